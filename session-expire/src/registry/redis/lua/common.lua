-- Functions that all writing scripts share. Arguments are texts, because cjson would round numbers.
--
-- A `user` is the hash of a user id. An `entry` is three letters of a public id, followed by the
-- name of the record. A class is a range of scores in the index of a user; see mod.rs. KEYS[7] never
-- exists; see operations.rs.
local tag, open_list, ended_list, due_list, ends = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local former_list = KEYS[6]
local args = cjson.decode(ARGV[1])
local now = tonumber(args.at)
local is_retry = ARGV[2] == 'retry'
local history_age = tonumber(args.history_age)

local DAY = 86400000
local CENTURY = 3155760000000
local NAME_LENGTH = 22
local MAX_TOMBSTONES = 1000
-- Retention of an open record without timeouts after its last activity.
local UNUSED = 90 * DAY
local REMEMBERED_ENDS = 16

-- Every class of a user index has its own range of scores: a time, a number, or 0.
local CLASS_SIZE = 2 ^ 43
local COUNTED, SEEN, EXPIRY, UNCOUNTED, ID = 'C', 'S', 'E', 'U', 'I'
local RESERVED, HISTORY, TOMBSTONE, GENERATION = 'R', 'H', 'T', 'G'
local UNCOUNTED_EXPIRY, TICKET = 'X', 'K'
local CLASS_NUMBERS = {
  C = 1, S = 2, E = 3, U = 4, I = 5, R = 6, H = 7, T = 8, G = 9, X = 10, K = 11,
}
local ALL_LISTS = { open_list, ended_list, due_list, former_list }
local OPEN_CLASSES = { COUNTED, SEEN, EXPIRY, UNCOUNTED, UNCOUNTED_EXPIRY, ID }

-- Number of calls of `end_everyone`.
-- The target of a migration may have lost one of the keys.
local generation = math.max(
  tonumber(redis.call('HGET', ends, 'generation') or 0),
  tonumber(redis.call('HGET', tag, 'generation') or 0)
)
-- How long the keys of the tag and of some users must be kept, in milliseconds.
local longest_retention, touched_users = 0, {}

local function index_key(user)
  return tag .. ':' .. user
end

local function score(class, value)
  local offset = math.min(math.max(tonumber(value), 0), CLASS_SIZE - 1)
  return CLASS_NUMBERS[class] * CLASS_SIZE + offset
end

local function name_of(entry)
  return string.sub(entry, -NAME_LENGTH)
end

-- Returns the entry of a record in the indexes. Simultaneous logins are in the order of their ids.
local function entry_of(record, name)
  return string.sub(record.id, 1, 3) .. name
end

local function text_of(number)
  return string.format('%.0f', number)
end

-- Calls `command` on `key` with many arguments, in several calls: Lua limits their number.
local function call_with_all(command, key, items)
  for first = 1, #items, 1000 do
    redis.call(command, key, unpack(items, first, math.min(first + 999, #items)))
  end
end

-- Returns the fields of a stored record or reservation.
local function parse(text)
  local fields = {}
  for name, value in string.gmatch(text or '', '([%w_]+)=([^\n]*)\n') do fields[name] = value end
  return fields
end

local function render(fields)
  local lines = {}
  for name, value in pairs(fields) do lines[#lines + 1] = name .. '=' .. value .. '\n' end
  table.sort(lines)
  return table.concat(lines)
end

local function is_readable(record)
  return record.id and record.hash and tonumber(record.login) and tonumber(record.seen)
end

-- Returns the end by the first call of `end_everyone` after the generation `number`. If that call
-- is no longer remembered, returns the oldest remembered end.
local function end_after(number)
  local call = math.max(number + 1, generation - REMEMBERED_ENDS + 1)
  return parse(redis.call('HGET', ends, text_of(call)))
end

-- Returns a record and its text; nothing if it cannot be read. An unreadable record must not block
-- the other sessions of its user. An open record of an earlier generation is returned as ended.
local function read(name)
  local text = redis.call('HGET', tag, name)
  local record = parse(text)
  if not is_readable(record) then return end
  local own = tonumber(record.generation or 0)
  if record.ended or own >= generation then return record, text end
  local how = end_after(own)
  record.ended, record.reason = how.ended or args.at, how.reason or 'revoked'
  record.cause, record.by = how.cause, how.by
  return record, render(record)
end

-- Returns the text of a record for a list. A record that cannot be read is returned unchanged, and
-- the reader logs it.
local function read_listed(name)
  local _, text = read(name)
  return text or redis.call('HGET', tag, name) or nil
end

local function write(name, record)
  local text = render(record)
  redis.call('HSET', tag, name, text)
  return text
end

-- A server whose memory is full refuses the first write of a script, unless the write needs no
-- memory. A sign-out must work on such a server.
local function allow_when_full()
  redis.call('HDEL', tag, '')
end

local function next_number()
  return redis.call('HINCRBY', tag, 'counter', 1)
end

-- Returns the members of a class without the letter of the class, lowest score first.
local function members(user, class, first, last, count)
  local key, found = index_key(user), {}
  local from, to = score(class, first or 0), score(class, last or CLASS_SIZE)
  for i, member in ipairs(redis.call('ZRANGEBYSCORE', key, from, to, 'LIMIT', 0, count or -1)) do
    found[i] = string.sub(member, 2)
  end
  return found
end

local function count(user, class, first)
  return redis.call('ZCOUNT', index_key(user), score(class, first or 0), score(class, CLASS_SIZE))
end

-- Keeps the keys of the tag and of the user for at least `retention` milliseconds.
local function keep(user, retention)
  touched_users[user] = true
  longest_retention = math.max(longest_retention, retention)
end

-- Sets the time at which the entry is due for a purge.
local function schedule(user, entry, at)
  redis.call('ZADD', due_list, at, entry)
  keep(user, at - now)
end

-- Extends the expiry of the keys, which deletes the records of users who do not return. Scripts
-- call it last. A record that is due may still move to the history, so `history_age` is added. One
-- more day makes most later calls unnecessary.
local function extend_expiry()
  if longest_retention <= 0 and not next(touched_users) then return end
  local needed = math.min(math.max(longest_retention, 0) + history_age, CENTURY)
  local keys = { tag, open_list, ended_list, due_list }
  for user in pairs(touched_users) do keys[#keys + 1] = index_key(user) end
  for _, key in ipairs(keys) do
    local left = redis.call('PTTL', key)
    if left == -1 or (left >= 0 and left < needed) then
      redis.call('PEXPIRE', key, text_of(needed + DAY))
    end
  end
end
