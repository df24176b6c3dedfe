allow_when_full()
local ended = {}
local record, name = read_open(ask.user, ask.id)
if not record or record.uncounted then return ended end
add_ended_before(ended, function(other) return other.owner == ask.user end)
end_surplus(ended, open_sessions(ask.user, name))
prune_history(ask.user)
extend_expiry()
return ended
