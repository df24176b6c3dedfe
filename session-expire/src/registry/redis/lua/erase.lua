-- Deletes all records of a user, and returns their number.
allow_when_full()
local erased, adopted_until = {}, nil
for _, name in ipairs(redis.call('ZRANGE', due_index, 0, -1)) do
  local record = read(name)
  if record and record.user_hash == args.user then
    erased[name] = record
    local deadline = record.tombstone_until
    if deadline and (not adopted_until or tonumber(deadline) > tonumber(adopted_until)) then
      adopted_until = deadline
    end
  end
end

-- Closes adoption, because the tombstones of adopted sessions are deleted, too. This comes first:
-- a key that becomes empty would lose its expiry.
if adopted_until then close_adoption(args.user, adopted_until) end
local count = 0
for name, record in pairs(erased) do
  delete_record(name, record)
  -- The tombstone of a rotated key is a copy.
  if not record.rotated_to then count = count + 1 end
end
for _, member in ipairs(members(open_index, args.user, RESERVED, RESERVED)) do
  release(record_name(member))
end
return { string.format('%d', count) }
