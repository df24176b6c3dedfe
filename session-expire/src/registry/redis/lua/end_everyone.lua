-- Ends all sessions in this partition, voids its reservations, and returns how many have ended.
allow_when_full()
local ended, users = {}, {}
add_ended_before(ended, function() return true end)
for _, member in ipairs(redis.call('ZRANGE', open, 0, -1)) do
  local name, class = name_of(member), string.sub(member, 23, 23)
  if class == RESERVED then
    release(name)
  else
    local record = end_record(ended, name, ask)
    if record then users[record.owner] = true end
  end
end
for user in pairs(users) do prune_history(user) end
extend_expiry()
return { string.format('%d', #ended) }
