-- Ends the surplus sessions of a user except the requesting one, and returns the ended records.
allow_when_full()
local ended = {}
local record, name = read_open(args.user, args.id)
if not record or record.uncounted then return ended end
add_ended_by_first_attempt(ended, function(other) return other.user_hash == args.user end)
end_surplus(ended, open_sessions(args.user, name))
prune_history(args.user)
extend_expiry()
return ended
