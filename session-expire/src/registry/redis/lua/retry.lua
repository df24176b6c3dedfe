-- Records that were ended by the first attempt of an operation, whose response was lost.

-- End of the session that a login takes over.
local taken_end = {
  at = args.takes_at, reason = args.takes_for, cause = args.takes_cause, by = args.takes_by,
}

local function has_end(record, how)
  return record.ended == how.at and record.reason == how.reason
    and record.by == how.by and record.cause == how.cause
end

-- Returns true if the first attempt of this operation may have ended the record.
local function was_ended_by_this_operation(record)
  if record.id == args.takes and has_end(record, taken_end) then return true end
  if record.ended ~= args.at or record.rotated_to then return false end
  if record.reason == args.reason then
    return record.by == args.by and record.cause == args.cause
  end
  local is_expired = record.reason == 'idle' or record.reason == 'absolute'
  return is_expired or record.reason == args.replaces_for
end

-- Adds the records of `user` that the first attempt has ended. They are found by the time at which
-- they are due, in the history or as tombstones.
local function add_ended_by_first_attempt(ended, user, is_target)
  if not is_retry then return end
  local is_added, taken_at = {}, tonumber(args.takes_at or now)
  for _, at in ipairs({ now + history_age, now + DAY, taken_at + history_age }) do
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', due_list, at, at)) do
      local record, text = read(name_of(entry))
      local is_ours = record and record.hash == user and was_ended_by_this_operation(record)
      if is_ours and is_target(record) and not is_added[entry] then
        ended[#ended + 1], is_added[entry] = text, true
      end
    end
  end
end
