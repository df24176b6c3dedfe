-- Deletes all records of a user, and returns their number.
allow_when_full()
local erased, count_of_records, adopted_until = {}, 0, 0
for _, class in ipairs({ COUNTED, UNCOUNTED, HISTORY, TOMBSTONE }) do
  for _, entry in ipairs(members(args.user, class)) do
    local record = read(name_of(entry))
    erased[#erased + 1] = entry
    -- The tombstone of a rotated key is a copy.
    if record and not record.rotated_to then count_of_records = count_of_records + 1 end
    adopted_until = math.max(adopted_until, tonumber(record and record.tombstone_until or 0))
  end
end

-- Closes adoption, because the tombstones of adopted sessions are deleted, too. This comes first,
-- because a key that becomes empty loses its expiry.
if adopted_until > 0 then close_adoption(args.user, text_of(adopted_until)) end
for _, name in ipairs(members(args.user, RESERVED)) do release(name) end
for _, entry in ipairs(erased) do delete(args.user, entry) end
redis.call('ZREM', due_list, 'k:' .. args.user)
redis.call('DEL', index_key(args.user))
report({ '*' })
return { text_of(count_of_records) }
