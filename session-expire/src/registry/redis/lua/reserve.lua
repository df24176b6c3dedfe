-- Reserves a slot for a login, unless the session limit refuses it.
if read(args.name) then return { 'reserved' } end
purge()
local refused = refused_outcome(open_sessions(args.user, find_open(args.user, args.replaces)))
if refused then return refused end
local reservation = { user_hash = args.user, deadline = args.deadline }
write('r:' .. args.name, reservation)
redis.call('ZADD', open_index, 0, reservation_member(args.user, args.name))
delete_after('r:' .. args.name, tonumber(args.deadline) - now)
extend_expiry()
return { 'reserved' }
