-- Ends of sessions: the history, tombstones, reservations and closed adoption.

-- Returns the time until which the tombstone of an ended record is kept.
local function tombstone_end(record)
  return math.max(tonumber(record.ended) + DAY, tonumber(record.tombstone_until or 0))
end

local function delete(user, entry)
  redis.call('HDEL', tag, name_of(entry), 'd:' .. name_of(entry))
  remove_from_open(user, { entry })
  redis.call('ZREM', index_key(user), HISTORY .. entry, TOMBSTONE .. entry)
  for _, list in ipairs(ALL_LISTS) do redis.call('ZREM', list, entry) end
end

-- Deletes surplus tombstones, oldest first: repeated sign-ins and sign-outs of one user must not
-- fill the memory. Tombstones of adopted sessions stay, because an old cookie could be adopted
-- again.
local function limit_tombstones(user)
  local surplus, has_adopted = count(user, TOMBSTONE) - MAX_TOMBSTONES, false
  -- The tombstones of adopted sessions may be many. A later call continues after them.
  while surplus > 0 and not has_adopted do
    for _, entry in ipairs(members(user, TOMBSTONE, nil, nil, math.min(surplus, 50))) do
      local record = read(name_of(entry))
      if record and tonumber(record.tombstone_until or 0) > now then
        redis.call('ZADD', index_key(user), score(TOMBSTONE, next_number()), TOMBSTONE .. entry)
        has_adopted = true
      else
        delete(user, entry)
      end
    end
    surplus = surplus - 50
  end
end

-- Turns entries into tombstones.
local function add_tombstones(user, entries, at)
  local scores, due = {}, {}
  for _, entry in ipairs(entries) do
    scores[#scores + 1], scores[#scores + 2] = score(TOMBSTONE, next_number()), TOMBSTONE .. entry
    due[#due + 1], due[#due + 2] = at, entry
  end
  call_with_all('ZADD', index_key(user), scores)
  call_with_all('ZADD', due_list, due)
  keep(user, at - now)
  limit_tombstones(user)
end

local function leave_history(user, entries)
  local found = {}
  for i, entry in ipairs(entries) do found[i] = HISTORY .. entry end
  call_with_all('ZREM', index_key(user), found)
  call_with_all('ZREM', ended_list, entries)
  add_tombstones(user, entries, now + DAY)
end

-- Moves surplus records, oldest login first, from the history to the tombstones.
local function prune_history(user)
  if not args.history_limit then return end
  local surplus = count(user, HISTORY) - tonumber(args.history_limit)
  if surplus > 0 then leave_history(user, members(user, HISTORY, nil, nil, surplus)) end
end

-- Moves an open record that cannot be read to the tombstones, where an erasure finds it.
local function set_unreadable_aside(user, entry)
  remove_from_open(user, { entry })
  add_tombstones(user, { entry }, now + history_age)
end

-- Ends a record as `SessionRecord::end` does, and deletes its data. Adds its text to `ended` and
-- its id to `ended_ids`.
local function end_record(ended, user, entry, how)
  local name = name_of(entry)
  local record = read(name)
  if not record then return set_unreadable_aside(user, entry) end
  if record.ended then return remove_from_open(user, { entry }) end
  record.ended, record.reason, record.cause, record.by = how.at, how.reason, how.cause, how.by
  redis.call('HDEL', tag, 'd:' .. name)
  remove_from_open(user, { entry })
  redis.call('ZADD', index_key(user), score(HISTORY, record.login), HISTORY .. entry)
  redis.call('ZADD', ended_list, record.login, entry)
  schedule(user, entry, tonumber(how.at) + history_age)
  keep(user, tonumber(record.tombstone_until or now) - now)
  ended[#ended + 1], ended_ids[#ended_ids + 1] = write(name, record), record.id
end

-- Returns the reservation of a login if its deadline has not passed.
local function read_reservation(name)
  local reservation = parse(redis.call('HGET', tag, name))
  if reservation.deadline and tonumber(reservation.deadline) > now then return reservation end
end

-- Deletes a reservation unless its login was committed.
local function release(name)
  local reservation = parse(redis.call('HGET', tag, name))
  if is_readable(reservation) then return end
  redis.call('HDEL', tag, name)
  redis.call('ZREM', due_list, 'r:' .. name)
  if reservation.hash then redis.call('ZREM', index_key(reservation.hash), RESERVED .. name) end
end

local function delete_tickets(user, names)
  local found = {}
  for i, name in ipairs(names) do found[i] = TICKET .. name end
  call_with_all('ZREM', index_key(user), found)
end

-- Closes adoption for a user. The name of the field is a hash, because it remains after an erasure.
local function close_adoption(user, deadline)
  local name = 'a:' .. user
  local former = redis.call('HGET', tag, name)
  if former and tonumber(former) >= tonumber(deadline) then return end
  redis.call('HSET', tag, name, deadline)
  redis.call('ZADD', due_list, deadline, name)
  longest_retention = math.max(longest_retention, tonumber(deadline) - now)
end
