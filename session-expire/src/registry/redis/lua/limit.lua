-- Rules of `SessionLimit` and `judge`; changes must be made in Rust, too.
local limit = tonumber(args.limit)
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

-- Returns the counted open sessions of `user` except `except`, oldest login first. If a slot is
-- free it returns none without reading the records.
local function open_sessions(user, except)
  local sessions = {}
  local taken = count(open_index, user, COUNTED) + count(open_index, user, RESERVED)
  if taken < limit then return sessions end
  for _, member in ipairs(members(open_index, user, COUNTED, COUNTED)) do
    local name = record_name(member)
    local record, text = read(name)
    if record and not record.ended and name ~= except then
      sessions[#sessions + 1] = {
        name = name, text = text, position = #sessions,
        expired = expiry_reason(record),
        logged_in_at = tonumber(record.logged_in_at), last_seen = tonumber(record.last_seen),
      }
    end
  end
  return sessions
end

-- Returns the reservation of a login if its deadline has not passed.
local function read_reservation(name)
  local reservation = read_json('r:' .. name)
  if reservation and tonumber(reservation.deadline) > now then return reservation end
end

-- Returns how many slots of `user` are reserved for other logins.
local function count_reservations(user, except)
  local reserved = 0
  for _, member in ipairs(members(open_index, user, RESERVED, RESERVED)) do
    local name = record_name(member)
    if name ~= except and read_reservation(name) then reserved = reserved + 1 end
  end
  return reserved
end

-- If one more session is refused, returns the word `refused` and the active sessions.
local function refused_outcome(others)
  if args.overflow ~= 'refuse' then return end
  local active = { 'refused' }
  for _, session in ipairs(others) do
    if not session.expired then active[#active + 1] = session.text end
  end
  if #active - 1 + count_reservations(args.user, args.name) >= limit then return active end
end

-- Ends the sessions of `others` that leave no slot for one more: expired ones first, then the
-- oldest or the least recently used.
local function end_surplus(ended, others)
  local surplus = #others + 1 - limit
  if surplus <= 0 then return end
  local age = args.overflow == 'least_recent' and 'last_seen' or 'logged_in_at'
  table.sort(others, function(a, b)
    if (a.expired == nil) ~= (b.expired == nil) then return a.expired ~= nil end
    if a[age] ~= b[age] then return a[age] < b[age] end
    return a.position < b.position
  end)
  for i = 1, math.min(surplus, #others) do
    local session = others[i]
    end_record(ended, session.name, session.expired and { reason = session.expired } or args)
  end
end
