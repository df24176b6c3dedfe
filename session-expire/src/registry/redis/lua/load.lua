-- Returns a record with its data, and the number of open counted records of its user. Writes
-- nothing, so a replica accepts it.
local session = redis.call('HMGET', KEYS[1], ARGV[1], 'd:' .. ARGV[1])
if not session[1] then return false end
local is_valid, record = pcall(cjson.decode, session[1])
local user = is_valid and type(record) == 'table' and record.user_hash
if type(user) ~= 'string' then return { session, 0 } end
return { session, redis.call('ZLEXCOUNT', KEYS[2], '[' .. user .. ':', '(' .. user .. ';') }
