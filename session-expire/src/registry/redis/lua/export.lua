-- Returns all records of a user, each followed by its data. Writes nothing.
local texts = {}
for _, class in ipairs({ COUNTED, UNCOUNTED, HISTORY, TOMBSTONE }) do
  for _, entry in ipairs(members(args.user, class)) do
    local record, text = read(name_of(entry))
    if record and not record.rotated_to then
      texts[#texts + 1] = text
      texts[#texts + 1] = redis.call('HGET', tag, 'd:' .. name_of(entry)) or ''
    end
  end
end
return texts
