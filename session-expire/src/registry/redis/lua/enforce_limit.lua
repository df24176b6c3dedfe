-- Ends the surplus sessions of a user except the requesting one, and returns the ended records.
allow_when_full()
settle(args.user)
local ended = {}
local own, record = find_open(args.user, args.id)
if not record or record.uncounted then return ended end
add_ended_by_first_attempt(ended, args.user, function() return true end)
local surplus = count(args.user, COUNTED) - limit
end_victims(ended, args.user, select_victims(args.user, { [own] = true }, surplus))
report(ended_ids)
prune_history(args.user)
extend_expiry()
return ended
