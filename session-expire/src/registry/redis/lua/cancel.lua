-- Releases the reservation of a login, and ends its record if the login was committed.
allow_when_full()
release(args.name)
local record = end_record({}, args.name, args)
if record then
  prune_history(record.user_hash)
  extend_expiry()
end
return {}
