-- All records of a user, each followed by its data. Reads only.
local found = {}
for _, name in ipairs(redis.call('ZRANGE', due, 0, -1)) do
  local record, text = read(name)
  if record and record.owner == ask.user and not record.to then
    found[#found + 1] = text
    found[#found + 1] = redis.call('HGET', records, 'd:' .. name) or ''
  end
end
return found
