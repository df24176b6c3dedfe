-- Reserves a slot for a login, unless the session limit refuses it. Returns the generation.
local reserved = { 'reserved', text_of(generation) }
if read(args.name) then return reserved end
settle(args.user)
local refused = refused_outcome(args.user, (find_open(args.user, args.replaces)))
if refused then return refused end
write(args.name, { hash = args.user, deadline = args.deadline })
redis.call('ZADD', index_key(args.user), score(RESERVED, args.deadline), RESERVED .. args.name)
if generation > 0 then
  redis.call('ZADD', index_key(args.user), score(GENERATION, generation), GENERATION)
end
schedule(args.user, 'r:' .. args.name, tonumber(args.deadline))
purge()
extend_expiry()
return reserved
