-- Returns the generation, a record with its data, and the number of open counted records of its
-- user. Writes nothing, so a replica accepts it.
local tag, name = KEYS[1], ARGV[1]
local session = redis.call('HMGET', tag, 'generation', name, 'd:' .. name)
local user = string.match('\n' .. (session[2] or ''), '\nhash=([^\n]*)\n')
if not user then return { session, 0 } end
local CLASS_SIZE = 2 ^ 43
local index = tag .. ':' .. user
local marker = redis.call('ZSCORE', index, 'G')
local own = marker and tonumber(marker) - 9 * CLASS_SIZE or 0
if own < tonumber(session[1] or 0) then return { session, 0 } end
return { session, redis.call('ZCOUNT', index, CLASS_SIZE, 2 * CLASS_SIZE - 1) }
