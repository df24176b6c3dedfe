-- Ends all sessions in this partition, voids its reservations, and returns the number of ended
-- sessions.
allow_when_full()
local ended, users = {}, {}
add_ended_by_first_attempt(ended, function() return true end)
for _, member in ipairs(redis.call('ZRANGE', open_index, 0, -1)) do
  local name, class = record_name(member), string.sub(member, 23, 23)
  if class == RESERVED then
    release(name)
  else
    local record = end_record(ended, name, args)
    if record then users[record.user_hash] = true end
  end
end
for user in pairs(users) do prune_history(user) end
extend_expiry()
return { string.format('%d', #ended) }
