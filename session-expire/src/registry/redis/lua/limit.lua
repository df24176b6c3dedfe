-- The rules of `SessionLimit` and of `judge`: the same as in Rust, line by line.
local limit = tonumber(ask.limit)
local LAST = 9223372036854775807

local function expired_since(start, timeout)
  if not timeout then return end
  local ends = math.min(math.min(start, now) + timeout, LAST)
  if now >= ends then return ends end
end

local function expiry_reason(record)
  local start, seen = tonumber(record.authenticated_at), tonumber(record.last_seen)
  local idle = expired_since(math.max(start, seen), tonumber(record.idle))
  local session = expired_since(start, tonumber(record.absolute))
  if idle and session then return idle < session and 'idle' or 'absolute' end
  return session and 'absolute' or idle and 'idle' or nil
end

-- The other counted open sessions of `user`, oldest login first; none if there are too few to
-- matter.
local function open_sessions(user, except)
  local found = {}
  if count(open, user, COUNTED) + count(open, user, RESERVED) < limit then return found end
  for _, member in ipairs(members(open, user, COUNTED, COUNTED)) do
    local name = name_of(member)
    local record, text = read(name)
    if record and not record.ended and name ~= except then
      found[#found + 1] = {
        name = name, text = text, position = #found,
        expired = expiry_reason(record),
        logged_in_at = tonumber(record.logged_in_at), last_seen = tonumber(record.last_seen),
      }
    end
  end
  return found
end

-- The reservation of a slot that is still active.
local function read_reservation(name)
  local reservation = read_json('r:' .. name)
  if reservation and tonumber(reservation.deadline) > now then return reservation end
end

-- How many slots of `user` are held for other logins.
local function count_reservations(user, except)
  local held = 0
  for _, member in ipairs(members(open, user, RESERVED, RESERVED)) do
    local name = name_of(member)
    if name ~= except and read_reservation(name) then held = held + 1 end
  end
  return held
end

-- The active sessions, after the word `refused`, if one more session is refused.
local function refusal(others)
  if ask.overflow ~= 'refuse' then return end
  local active = { 'refused' }
  for _, session in ipairs(others) do
    if not session.expired then active[#active + 1] = session.text end
  end
  if #active - 1 + count_reservations(ask.user, ask.name) >= limit then return active end
end

-- Ends those of `others` that are too many beside one more: first the expired, then the oldest.
local function end_surplus(ended, others)
  local surplus = #others + 1 - limit
  if surplus <= 0 then return end
  local age = ask.overflow == 'least_recent' and 'last_seen' or 'logged_in_at'
  table.sort(others, function(a, b)
    if (a.expired == nil) ~= (b.expired == nil) then return a.expired ~= nil end
    if a[age] ~= b[age] then return a[age] < b[age] end
    return a.position < b.position
  end)
  for i = 1, math.min(surplus, #others) do
    local session = others[i]
    end_record(ended, session.name, session.expired and { reason = session.expired } or ask)
  end
end
