if read(ask.name) then return { 'reserved' } end
purge()
local refused = refusal(open_sessions(ask.user, find_open(ask.user, ask.replaces)))
if refused then return refused end
local reservation = { owner = ask.user, deadline = ask.deadline }
write('r:' .. ask.name, reservation)
redis.call('ZADD', open, 0, reservation_member(ask.user, ask.name))
delete_after('r:' .. ask.name, tonumber(ask.deadline) - now)
extend_expiry()
return { 'reserved' }
