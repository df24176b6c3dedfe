-- One record with its data, and how many counted records of its user are open. Reads only, so that
-- a replica can answer.
local found = redis.call('HMGET', KEYS[1], ARGV[1], 'd:' .. ARGV[1])
if not found[1] then return false end
local is_valid, record = pcall(cjson.decode, found[1])
local user = is_valid and type(record) == 'table' and record.owner
if type(user) ~= 'string' then return { found, 0 } end
return { found, redis.call('ZLEXCOUNT', KEYS[2], '[' .. user .. ':', '(' .. user .. ';') }
