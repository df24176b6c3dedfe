-- Retention: sessions that `end_everyone` has ended, and entries of the tag that are due.

local function index_generation(user)
  local marker = redis.call('ZSCORE', index_key(user), GENERATION)
  return marker and tonumber(marker) - score(GENERATION, 0) or 0
end

-- Returns true unless `end_everyone` has ended open sessions or reservations in the index.
local function is_settled(user)
  if generation == 0 then return true end
  return index_generation(user) >= generation or redis.call('EXISTS', index_key(user)) == 0
end

-- Sets the generation of an index to which a member is added.
local function mark_generation(user)
  if generation > 0 then
    redis.call('ZADD', index_key(user), score(GENERATION, generation), GENERATION)
  end
end

-- Stores the end of a session that `end_everyone` has ended. Otherwise its end would change when
-- the end of that call is no longer stored.
local function store_end(entry)
  local name = name_of(entry)
  local record = read(name)
  if record then write(name, record) end
  redis.call('HDEL', tag, 'd:' .. name)
end

-- Moves the sessions that `end_everyone` has ended into the history, and deletes the reservations
-- and tickets, which are void.
local function settle(user)
  if is_settled(user) then return end
  local key, ended_at = index_key(user), tonumber(end_after(index_generation(user)).ended)
  local entries, history, ended, due = {}, {}, {}, {}
  for _, class in ipairs({ COUNTED, UNCOUNTED }) do
    local from, to = score(class, 0), score(class, CLASS_SIZE)
    local found = redis.call('ZRANGEBYSCORE', key, from, to, 'WITHSCORES')
    for i = 1, #found, 2 do
      local entry, login = string.sub(found[i], 2), tonumber(found[i + 1]) - from
      entries[#entries + 1] = entry
      history[#history + 1], history[#history + 2] = score(HISTORY, login), HISTORY .. entry
      ended[#ended + 1], ended[#ended + 2] = login, entry
      due[#due + 1], due[#due + 2] = ended_at + history_age, entry
    end
  end
  redis.call('ZADD', key, score(GENERATION, generation), GENERATION)
  call_with_all('ZADD', key, history)
  call_with_all('ZADD', ended_list, ended)
  call_with_all('ZADD', due_list, due)
  remove_from_open(user, entries)
  call_with_all('ZREM', former_list, entries)
  for _, entry in ipairs(entries) do store_end(entry) end
  for _, name in ipairs(members(user, RESERVED)) do
    release(name)
    redis.call('ZREM', key, RESERVED .. name)
  end
  delete_tickets(user, members(user, TICKET))
  keep(user, ended_at + history_age - now)
  prune_history(user)
end

local function purge_record(entry)
  local name = name_of(entry)
  local record = read(name)
  if not record then
    -- The user of the record is unknown. A later operation on the user removes the entry from the
    -- index.
    for _, list in ipairs(ALL_LISTS) do redis.call('ZREM', list, entry) end
    redis.call('HDEL', tag, name, 'd:' .. name)
    return
  end
  local user = record.hash
  settle(user)
  if not record.ended then
    local leaves_at, reason = departure(record)
    if leaves_at > now then return schedule(user, entry, leaves_at) end
    end_record({}, user, entry, { at = text_of(leaves_at - DAY), reason = reason })
    prune_history(user)
    record = read(name)
  end
  if redis.call('ZSCORE', ended_list, entry) then
    local leaves_at = tonumber(record.ended) + history_age
    if leaves_at > now then return schedule(user, entry, leaves_at) end
    leave_history(user, { entry })
  end
  if tombstone_end(record) > now then
    schedule(user, entry, tombstone_end(record))
  else
    delete(user, entry)
  end
end

-- Deletes the expired tickets of a user, and schedules the purge of the other tickets.
local function purge_tickets(user)
  delete_tickets(user, members(user, TICKET, 0, now))
  local key, from, to = index_key(user), score(TICKET, 0), score(TICKET, CLASS_SIZE)
  local first = redis.call('ZRANGEBYSCORE', key, from, to, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] then
    schedule(user, 'k:' .. user, tonumber(first[2]) - from)
  else
    redis.call('ZREM', due_list, 'k:' .. user)
  end
end

local function purge_due(entry)
  local kind = string.match(entry, '^(.):')
  if not kind then
    purge_record(entry)
  elseif kind == 'r' then
    release(string.sub(entry, 3))
    redis.call('ZREM', due_list, entry)
  elseif kind == 'k' then
    purge_tickets(string.sub(entry, 3))
  elseif kind == 'a' then
    redis.call('HDEL', tag, entry)
    redis.call('ZREM', due_list, entry)
  else
    -- A step of a newer version. It must not block the other steps.
    redis.call('ZADD', due_list, now + DAY, entry)
  end
end

-- Handles the entries of the tag that are due, at most 50 per call: a request must not wait for
-- thousands.
local function purge()
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', due_list, '-inf', args.at, 'LIMIT', 0, 50)) do
    purge_due(entry)
  end
end
