allow_when_full()
release(ask.name)
local record = end_record({}, ask.name, ask)
if record then
  prune_history(record.owner)
  extend_expiry()
end
return {}
