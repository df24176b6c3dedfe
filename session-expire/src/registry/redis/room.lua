-- The rule of `Room` and of `judge`: the same as in Rust, line by line.
local places = tonumber(ask.places)

local function over_since(start, limit)
  if not limit then return end
  local ends = math.min(math.min(start, now) + limit, LAST)
  if now >= ends then return ends end
end

local function ran_out(record)
  local login, seen = tonumber(record.logged_in_at), tonumber(record.last_seen)
  local idle = over_since(math.max(login, seen), tonumber(record.idle))
  local session = over_since(login, tonumber(record.absolute))
  if idle and session then return idle < session and 'idle' or 'absolute' end
  return session and 'absolute' or idle and 'idle' or nil
end

-- The open sessions of `user` but one, oldest login first; none where there are too few to matter.
local function seats(user, but)
  local found = {}
  if count(open, user) < places then return found end
  for _, member in ipairs(members(open, user)) do
    local name = name_of(member)
    local record, text = read(name)
    if record and not record.ended and name ~= but then
      found[#found + 1] = {
        name = name, text = text, order = #found, gone = ran_out(record),
        logged_in_at = tonumber(record.logged_in_at), last_seen = tonumber(record.last_seen),
      }
    end
  end
  return found
end

local function make_room(over, others)
  local surplus = #others + 1 - places
  if surplus <= 0 then return end
  local age = ask.overflow == 'least_recent' and 'last_seen' or 'logged_in_at'
  table.sort(others, function(a, b)
    if (a.gone == nil) ~= (b.gone == nil) then return a.gone ~= nil end
    if a[age] ~= b[age] then return a[age] < b[age] end
    return a.order < b.order
  end)
  for i = 1, math.min(surplus, #others) do
    local seat = others[i]
    if seat.gone then
      finish(over, seat.name, seat.gone)
    else
      finish(over, seat.name, ask.reason, ask.by)
    end
  end
end
