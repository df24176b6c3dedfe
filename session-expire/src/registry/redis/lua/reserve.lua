-- Reserves a slot for a login, unless the session limit refuses it.
if read(args.name) then return { 'reserved' } end
settle(args.user)
local refused = refused_outcome(args.user, (find_open(args.user, args.replaces)))
if refused then return refused end
local reservation = { hash = args.user, deadline = args.deadline }
if generation > 0 then reservation.generation = text_of(generation) end
write(args.name, reservation)
redis.call('ZADD', index_key(args.user), score(RESERVED, args.deadline), RESERVED .. args.name)
if generation > 0 then
  redis.call('ZADD', index_key(args.user), score(GENERATION, generation), GENERATION)
end
schedule(args.user, 'r:' .. args.name, tonumber(args.deadline))
purge()
extend_expiry()
return { 'reserved' }
