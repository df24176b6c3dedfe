-- Deletes all records of a user, and returns how many there were.
allow_when_full()
local found, adopted_until = {}, nil
for _, name in ipairs(redis.call('ZRANGE', due, 0, -1)) do
  local record = read(name)
  if record and record.owner == ask.user then
    found[name] = record
    local deadline = record.tombstone_until
    if deadline and (not adopted_until or tonumber(deadline) > tonumber(adopted_until)) then
      adopted_until = deadline
    end
  end
end

-- Adopted sessions leave no tombstone: their cookies must not be adopted a second time. This comes
-- first, so that no key becomes empty and loses its expiry.
if adopted_until then close_adoption(ask.user, adopted_until) end
local erased = 0
for name, record in pairs(found) do
  delete_record(name, record)
  -- A tombstone of a rotated key is a copy.
  if not record.to then erased = erased + 1 end
end
for _, member in ipairs(members(open, ask.user, RESERVED, RESERVED)) do release(name_of(member)) end
return { string.format('%d', erased) }
