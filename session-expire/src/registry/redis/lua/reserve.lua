-- Reserves a slot for a login, unless the session limit refuses it. An uncounted session needs no
-- slot. Returns the generation.
local reserved = { 'reserved', text_of(generation) }
if read(args.name) then return reserved end
settle(args.user)
local replaced = find_open(args.user, args.replaces)
local except = replaced and { [replaced] = true } or {}
if args.uncounted then return refused_uncounted(args.user, except) or reserved end
local refused = refused_outcome(args.user, except)
if refused then return refused end
write(args.name, { hash = args.user, deadline = args.deadline })
redis.call('ZADD', index_key(args.user), score(RESERVED, args.deadline), RESERVED .. args.name)
mark_generation(args.user)
schedule(args.user, 'r:' .. args.name, tonumber(args.deadline))
purge()
extend_expiry()
return reserved
