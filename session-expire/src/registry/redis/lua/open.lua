-- Open sessions and their index entries.

-- Returns when an unused record moves to the history, and the reason of its end.
local function departure(record)
  local function longest(timeout)
    return tonumber(record['longest_' .. timeout] or record[timeout])
  end
  local idle, absolute = longest('idle'), longest('absolute')
  local idle_end = idle and tonumber(record.seen) + idle
  local absolute_end = absolute and tonumber(record.auth or record.login) + absolute
  if not idle_end and not absolute_end then return tonumber(record.seen) + UNUSED, 'idle' end
  if not idle_end or absolute_end and absolute_end <= idle_end then
    return absolute_end + DAY, 'absolute'
  end
  return idle_end + DAY, 'idle'
end

-- Returns when the first of the record's own timeouts ends; nothing without timeouts.
local function expiry(record)
  local start = tonumber(record.auth or record.login)
  local idle, absolute = tonumber(record.idle), tonumber(record.absolute)
  local idle_end = idle and math.max(start, tonumber(record.seen)) + idle
  local absolute_end = absolute and start + absolute
  if idle_end and absolute_end then return math.min(idle_end, absolute_end) end
  return idle_end or absolute_end
end

-- Returns a number derived from a public id. Different ids may have the same number.
local function id_number(id)
  local number = 0
  for i = 1, 7 do number = number * 64 + (string.byte(id, i) or 0) % 64 end
  return number
end

-- Adds an open record to the indexes, or updates its scores.
local function index_open(entry, record)
  local class = record.uncounted and UNCOUNTED or COUNTED
  local scores = {
    score(class, record.login), class .. entry,
    score(ID, id_number(record.id)), ID .. entry,
  }
  local function add(other, value)
    scores[#scores + 1] = score(other, value)
    scores[#scores + 1] = other .. entry
  end
  if class == COUNTED then add(SEEN, record.seen) end
  local expiry_class = record.uncounted and UNCOUNTED_EXPIRY or EXPIRY
  if expiry(record) then add(expiry_class, expiry(record)) end
  if generation > 0 then
    scores[#scores + 1], scores[#scores + 2] = score(GENERATION, generation), GENERATION
  end
  redis.call('ZADD', index_key(record.hash), unpack(scores))
  redis.call('ZADD', open_list, record.login, entry)
  schedule(record.hash, entry, (departure(record)))
  keep(record.hash, tonumber(record.tombstone_until or now) - now)
end

local function remove_from_open(user, entries)
  local found = {}
  for _, class in ipairs(OPEN_CLASSES) do
    for _, entry in ipairs(entries) do found[#found + 1] = class .. entry end
  end
  call_with_all('ZREM', index_key(user), found)
  call_with_all('ZREM', open_list, entries)
end

-- Returns the entry and the record of a `SessionRef` if the session is open.
local function find_open(user, id)
  if not id then return end
  local number = id_number(id)
  for _, entry in ipairs(members(user, ID, number, number)) do
    local record = read(name_of(entry))
    if record and record.id == id and not record.ended then return entry, record end
  end
end
