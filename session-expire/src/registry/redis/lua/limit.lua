-- Rules of `SessionLimit` and `judge`; changes must be made in Rust, too.
local limit = tonumber(args.limit)
local LAST = 9223372036854775807

-- `SessionLimit::MAX_UNCOUNTED`.
local MAX_UNCOUNTED = 100

-- Number of expired sessions to compare by age when the oldest are selected.
local COMPARED = 200

local function expired_since(start, timeout)
  if not timeout then return end
  local ends_at = math.min(math.min(start, now) + timeout, LAST)
  if now >= ends_at then return ends_at end
end

local function expiry_reason(record)
  local start, seen = tonumber(record.auth or record.login), tonumber(record.seen)
  local idle = expired_since(math.max(start, seen), tonumber(record.idle))
  local session = expired_since(start, tonumber(record.absolute))
  if idle and session then return idle < session and 'idle' or 'absolute' end
  return session and 'absolute' or idle and 'idle' or nil
end

-- Returns up to `count` expired sessions of `user` except `except`, first expired first. `except`
-- is a set with at most two entries, which are its keys.
local function expired_sessions(user, except, count)
  local found = {}
  for _, entry in ipairs(members(user, EXPIRY, 0, now, count + 2)) do
    if not except[entry] and #found < count then found[#found + 1] = entry end
  end
  return found
end

-- Returns how many slots of `user` are reserved for logins other than `except`.
local function count_reservations(user, except)
  local reserved = count(user, RESERVED, now + 1)
  return read_reservation(except) and reserved - 1 or reserved
end

-- Returns the texts of the active sessions of a class except `except`, oldest login first.
local function active_sessions(user, class, except)
  local is_expired, active = {}, {}
  local expiry_class = class == UNCOUNTED and UNCOUNTED_EXPIRY or EXPIRY
  for _, entry in ipairs(members(user, expiry_class, 0, now)) do is_expired[entry] = true end
  for _, entry in ipairs(members(user, class)) do
    if not except[entry] and not is_expired[entry] then
      local text = redis.call('HGET', tag, name_of(entry))
      if text and is_readable(parse(text)) then active[#active + 1] = text end
    end
  end
  return active
end

-- Returns `refused` and the active sessions if the limit refuses one more session. Reads records
-- only if all slots of the user are taken.
local function refused_outcome(user, except)
  if args.overflow ~= 'refuse' then return end
  local reserved = count_reservations(user, args.name)
  if count(user, COUNTED) + reserved < limit then return end
  local active = active_sessions(user, COUNTED, except)
  if #active + reserved < limit then return end
  table.insert(active, 1, 'refused')
  return active
end

-- Returns `refused` and the active uncounted sessions except those in `except`, if there are as
-- many as allowed. Reads records only if as many are active, those in `except` included.
local function refused_uncounted(user, except)
  local without_expiry = count(user, UNCOUNTED) - count(user, UNCOUNTED_EXPIRY)
  if without_expiry + count(user, UNCOUNTED_EXPIRY, now + 1) < MAX_UNCOUNTED then return end
  local active = active_sessions(user, UNCOUNTED, except)
  if #active < MAX_UNCOUNTED then return end
  table.insert(active, 1, 'refused')
  return active
end

-- Returns the expired uncounted sessions, if as many uncounted sessions are open as may be active.
local function expired_uncounted(user)
  if count(user, UNCOUNTED) < MAX_UNCOUNTED then return {} end
  return members(user, UNCOUNTED_EXPIRY, 0, now)
end

-- Sorts expired sessions by age, and truncates the list to `count` entries.
local function sort_by_age(user, class, entries, count)
  local age = {}
  for _, entry in ipairs(entries) do
    age[entry] = tonumber(redis.call('ZSCORE', index_key(user), class .. entry) or 0)
  end
  table.sort(entries, function(a, b)
    if age[a] ~= age[b] then return age[a] < age[b] end
    return a < b
  end)
  for i = #entries, count + 1, -1 do entries[i] = nil end
end

-- Returns the sessions to end to free `surplus` slots: expired ones first, then the oldest or the
-- least recently used. Only the records of these sessions are read later.
local function select_victims(user, except, surplus)
  if surplus <= 0 then return {} end
  local class = args.overflow == 'least_recent' and SEEN or COUNTED
  local victims, is_chosen = expired_sessions(user, except, math.max(surplus, COMPARED)), {}
  sort_by_age(user, class, victims, surplus)
  if #victims == surplus then return victims end
  for _, entry in ipairs(victims) do is_chosen[entry] = true end
  for _, entry in ipairs(members(user, class, 0, CLASS_SIZE, surplus + 2)) do
    local is_victim = not except[entry] and not is_chosen[entry] and #victims < surplus
    if is_victim then victims[#victims + 1] = entry end
  end
  return victims
end

-- Ends sessions, expired ones for the reason of their expiry.
local function end_victims(ended, user, victims)
  for _, entry in ipairs(victims) do
    local record = read(name_of(entry))
    local reason = record and expiry_reason(record)
    local evicted = { at = args.at, reason = args.reason, cause = args.cause, by = args.by }
    end_record(ended, user, entry, reason and { at = args.at, reason = reason } or evicted)
  end
end
