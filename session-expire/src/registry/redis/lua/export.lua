-- Returns all records of a user, each followed by its data. Writes nothing.
local texts = {}
for _, name in ipairs(redis.call('ZRANGE', due_index, 0, -1)) do
  local record, text = read(name)
  if record and record.user_hash == args.user and not record.rotated_to then
    texts[#texts + 1] = text
    texts[#texts + 1] = redis.call('HGET', records, 'd:' .. name) or ''
  end
end
return texts
