-- Stores a ticket until it expires. If the user has too many, those that expire first are deleted.
local MAX_TICKETS = 16
settle(args.user)
delete_tickets(args.user, { args.name })
purge_tickets(args.user)
local surplus = count(args.user, TICKET) + 1 - MAX_TICKETS
if surplus > 0 then delete_tickets(args.user, members(args.user, TICKET, nil, nil, surplus)) end
redis.call('ZADD', index_key(args.user), score(TICKET, args.deadline), TICKET .. args.name)
mark_generation(args.user)
schedule(args.user, 'k:' .. args.user, tonumber(args.deadline))
purge()
extend_expiry()
return {}
