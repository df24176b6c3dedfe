-- Deletes all records of a user, and returns how many there were. Adopted sessions leave no tombstone:
-- their cookies must not be adopted a second time.
allow_when_full()
local erased, adopted_until = 0, nil
for _, name in ipairs(redis.call('ZRANGE', due, 0, -1)) do
  local record = read(name)
  if record and record.id and record.owner == ask.user then
    delete_record(name, record)
    local deadline = record.tombstone_until
    if deadline and (not adopted_until or tonumber(deadline) > tonumber(adopted_until)) then
      adopted_until = deadline
    end
    -- A tombstone of a rotated key is a copy.
    if not record.to then erased = erased + 1 end
  end
end
for _, member in ipairs(members(open, ask.user, RESERVED, RESERVED)) do release(name_of(member)) end
if adopted_until then close_adoption(ask.user, adopted_until) end
extend_expiry()
return { string.format('%d', erased) }
