-- One record, and how many records of its user have not ended. Reads only, so that a replica can answer.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return false end
local fine, record = pcall(cjson.decode, text)
local place = fine and type(record) == 'table' and record.place
if type(place) ~= 'string' then return { text, 0 } end
local user = string.sub(place, 1, 32)
return { text, redis.call('ZLEXCOUNT', KEYS[2], '[' .. user .. ':', '(' .. user .. ';') }
