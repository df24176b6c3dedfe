-- Releases the reservation of a login, and ends its record if the login was committed.
allow_when_full()
local record = read(args.name)
if not record then
  -- A record that cannot be read is not a reservation.
  if parse(redis.call('HGET', tag, args.name)).deadline then release(args.name) end
  return {}
end
settle(record.hash)
if not record.ended then end_record({}, record.hash, entry_of(record, args.name), args) end
report(ended_ids)
prune_history(record.hash)
extend_expiry()
return {}
