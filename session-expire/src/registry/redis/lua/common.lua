-- What the scripts that write share. Numbers travel as text, because cjson would round them.
local records, open, past, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ask = cjson.decode(ARGV[1])
local now = tonumber(ask.at)
local is_again = ARGV[2] == 'again'
local CENTURY = 3155760000000
local longest = 0

local MAX_TOMBSTONES = 1000

-- Classes of the members of `open` and `past`: see mod.rs.
local COUNTED, UNCOUNTED, RESERVED, TOMBSTONE = ':', ';', '<', '='

local function read_json(name)
  local text = redis.call('HGET', records, name)
  local is_valid, value = pcall(cjson.decode, text or '')
  if is_valid and type(value) == 'table' and type(value.owner) == 'string' then
    return value, text
  end
end

-- A record that cannot be read is passed over: it must not block the other sessions of its user.
local function read(name)
  local record, text = read_json(name)
  local is_valid = record and type(record.id) == 'string' and type(record.order) == 'string'
  if is_valid and tonumber(record.logged_in_at) then return record, text end
end

-- The open record that a `SessionRef` names.
local function read_open(user, id)
  local name = redis.call('HGET', records, 'i:' .. id)
  local record = name and read(name)
  if record and not record.ended and record.id == id and record.owner == user then
    return record, name
  end
end

local function find_open(user, id)
  if not id then return end
  local _, name = read_open(user, id)
  return name
end

local function open_member(record, name)
  return record.owner .. (record.uncounted and UNCOUNTED or COUNTED) .. record.order .. ':' .. name
end

-- The history is in the order of the times of login: an adopted session was signed in long before.
local function past_member(record, name)
  local at = math.min(math.max(tonumber(record.logged_in_at), 0), 2 ^ 53)
  return string.format('%s%s%016.0f:%s', record.owner, COUNTED, at, name)
end

local function tombstone_member(record, name)
  return record.owner .. TOMBSTONE .. record.tombstone .. ':' .. name
end

local function reservation_member(user, name)
  return user .. RESERVED .. name
end

local function name_of(member)
  return string.sub(member, -22)
end

-- The members of a user from one class to another, oldest login first.
local function members(index, user, first, last, count)
  local start, stop = '[' .. user .. first, '(' .. user .. string.char(string.byte(last) + 1)
  return redis.call('ZRANGEBYLEX', index, start, stop, 'LIMIT', 0, count or -1)
end

local function count(index, user, class)
  local stop = string.char(string.byte(class) + 1)
  return redis.call('ZLEXCOUNT', index, '[' .. user .. class, '(' .. user .. stop)
end

-- Deletes what is stored under `name` after `keep` milliseconds.
local function delete_after(name, keep)
  redis.call('ZADD', due, string.format('%.0f', now + keep), name)
  longest = math.max(longest, keep)
end

-- Comes last: a key that is no longer used expires.
local function extend_expiry()
  if longest <= 0 then return end
  local keep = math.min(longest, CENTURY)
  for _, key in ipairs(KEYS) do
    local left = redis.call('PTTL', key)
    if left == -1 or (left >= 0 and left < keep) then
      redis.call('PEXPIRE', key, string.format('%.0f', math.max(keep, 1)))
    end
  end
end

-- A server whose memory is full refuses the first write of a script, unless that write needs no
-- memory. A sign-out must work on a full server.
local function allow_when_full()
  redis.call('HDEL', records, '')
end

local function write(name, record)
  local text = cjson.encode(record)
  redis.call('HSET', records, name, text)
  return text
end

local function keep_of_tombstone(record, keep)
  local deadline = tonumber(record.tombstone_until)
  return deadline and math.max(keep, deadline - now) or keep
end

local function release(name)
  local reservation = read_json('r:' .. name)
  if reservation then redis.call('ZREM', open, reservation_member(reservation.owner, name)) end
  redis.call('HDEL', records, 'r:' .. name)
  redis.call('ZREM', due, 'r:' .. name)
end

local function delete_record(name, record)
  if record then
    redis.call('ZREM', open, open_member(record, name))
    redis.call('ZREM', past, past_member(record, name))
    if record.tombstone then redis.call('ZREM', past, tombstone_member(record, name)) end
    local pointer = 'i:' .. record.id
    if redis.call('HGET', records, pointer) == name then redis.call('HDEL', records, pointer) end
  end
  redis.call('HDEL', records, name, 'd:' .. name)
  redis.call('ZREM', due, name)
end

local function next_order()
  return string.format('%016d', redis.call('HINCRBY', records, 'counter', 1))
end

-- A user who signs in and out again and again must not fill the memory. Without the tombstone of an
-- adopted session, its old cookie could be adopted again.
local function limit_tombstones(user)
  local surplus = count(past, user, TOMBSTONE) - MAX_TOMBSTONES
  if surplus <= 0 then return end
  for _, member in ipairs(members(past, user, TOMBSTONE, TOMBSTONE, surplus)) do
    local name = name_of(member)
    local record = read(name)
    if not record then redis.call('ZREM', past, member) end
    if record and keep_of_tombstone(record, 0) <= 0 then delete_record(name, record) end
  end
end

-- Keeps an ended record that is not in the history.
local function keep_tombstone(name, record)
  record.tombstone = next_order()
  redis.call('ZADD', past, 0, tombstone_member(record, name))
  write(name, record)
  delete_after(name, tonumber(ask.keep_tombstone))
  longest = math.max(longest, keep_of_tombstone(record, 0))
  limit_tombstones(record.owner)
end

local function purge_record(name)
  local record = read(name)
  if record and keep_of_tombstone(record, 0) > 0 then
    redis.call('ZREM', past, past_member(record, name))
    delete_after(name, keep_of_tombstone(record, 0))
  else
    delete_record(name, record)
  end
end

-- Deletes what is due; a few at a time, so that no request pays for many.
local function purge()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ask.at, 'LIMIT', 0, 100)) do
    local kind = string.sub(name, 1, 2)
    if kind == 'r:' then
      release(string.sub(name, 3))
    elseif kind == 'a:' then
      redis.call('HDEL', records, name)
      redis.call('ZREM', due, name)
    else
      purge_record(name)
    end
  end
end

local function close_adoption(user, deadline)
  local name = 'a:' .. user
  local former = redis.call('HGET', records, name)
  if former and tonumber(former) >= tonumber(deadline) then return end
  redis.call('HSET', records, name, deadline)
  redis.call('ZADD', due, deadline, name)
end

-- `SessionRecord::end`: the first reason stays. The data is deleted.
local function end_record(ended, name, how)
  local record = read(name)
  if not record or record.ended then return end
  record.ended, record.reason, record.cause, record.by = ask.at, how.reason, how.cause, how.by
  redis.call('HDEL', records, 'd:' .. name, 'i:' .. record.id)
  redis.call('ZREM', open, open_member(record, name))
  redis.call('ZADD', past, 0, past_member(record, name))
  delete_after(name, tonumber(ask.keep_history))
  longest = math.max(longest, keep_of_tombstone(record, 0))
  ended[#ended + 1] = write(name, record)
  return record
end

-- Whether this very operation may have ended it: then, for its reason or because it had expired.
local function was_ended_here(record)
  if record.ended ~= ask.at or record.to then return false end
  if record.reason == ask.reason then
    return record.by == ask.by and record.cause == ask.cause
  end
  return record.reason == ask.replaces_for or record.reason == 'idle' or record.reason == 'absolute'
end

-- A second attempt, made because the response was lost, returns what the first one has ended, of
-- those that `is_target` accepts. What has ended now is due at one of two moments, by which it is
-- found.
local function add_ended_before(ended, is_target)
  if not is_again then return end
  local found = {}
  for _, keep in ipairs({ ask.keep_history, ask.keep_tombstone }) do
    local at = string.format('%.0f', now + tonumber(keep))
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', due, at, at)) do
      local record, text = read(name)
      if record and not found[name] and was_ended_here(record) and is_target(record) then
        ended[#ended + 1], found[name] = text, true
      end
    end
  end
end

-- Takes the oldest ended records out of the history. Their clients do not know the reason yet.
local function prune_history(user)
  if not ask.history_limit then return end
  local surplus = count(past, user, COUNTED) - tonumber(ask.history_limit)
  if surplus <= 0 then return end
  for _, member in ipairs(members(past, user, COUNTED, COUNTED, surplus)) do
    redis.call('ZREM', past, member)
    local name = name_of(member)
    local record = read(name)
    if record then keep_tombstone(name, record) end
  end
end
