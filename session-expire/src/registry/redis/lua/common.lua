-- Functions that all writing scripts share. Arguments are texts, because cjson would round numbers.
local records, open_index, ended_index, due_index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local args = cjson.decode(ARGV[1])
local now = tonumber(args.at)
local is_retry = ARGV[2] == 'retry'
local CENTURY = 3155760000000
local longest_retention = 0

local MAX_TOMBSTONES = 1000

-- Classes of the members of `open_index` and `ended_index`; see mod.rs.
local COUNTED, UNCOUNTED, RESERVED, TOMBSTONE = ':', ';', '<', '='

local function read_json(name)
  local text = redis.call('HGET', records, name)
  local is_valid, value = pcall(cjson.decode, text or '')
  if is_valid and type(value) == 'table' and type(value.user_hash) == 'string' then
    return value, text
  end
end

-- Returns a record and its text; nothing if it cannot be read. An unreadable record must not block
-- the other sessions of its user.
local function read(name)
  local record, text = read_json(name)
  local is_valid = record and type(record.id) == 'string' and type(record.order) == 'string'
  if is_valid and tonumber(record.logged_in_at) then return record, text end
end

-- Returns the open record of a `SessionRef`, and its name.
local function read_open(user, id)
  local name = redis.call('HGET', records, 'i:' .. id)
  local record = name and read(name)
  if record and not record.ended and record.id == id and record.user_hash == user then
    return record, name
  end
end

local function find_open(user, id)
  if not id then return end
  local _, name = read_open(user, id)
  return name
end

local function open_member(record, name)
  local class = record.uncounted and UNCOUNTED or COUNTED
  return record.user_hash .. class .. record.order .. ':' .. name
end

-- The history is sorted by the time of login. For an adopted session, that is long before now.
local function history_member(record, name)
  local at = math.min(math.max(tonumber(record.logged_in_at), 0), 2 ^ 53)
  return string.format('%s%s%016.0f:%s', record.user_hash, COUNTED, at, name)
end

local function tombstone_member(record, name)
  return record.user_hash .. TOMBSTONE .. record.tombstone_order .. ':' .. name
end

local function reservation_member(user, name)
  return user .. RESERVED .. name
end

local function record_name(member)
  return string.sub(member, -22)
end

-- Returns a user's members in the classes `first` to `last`, oldest login first.
local function members(index, user, first, last, count)
  local start, stop = '[' .. user .. first, '(' .. user .. string.char(string.byte(last) + 1)
  return redis.call('ZRANGEBYLEX', index, start, stop, 'LIMIT', 0, count or -1)
end

local function count(index, user, class)
  local stop = string.char(string.byte(class) + 1)
  return redis.call('ZLEXCOUNT', index, '[' .. user .. class, '(' .. user .. stop)
end

-- Sets the time in milliseconds after which a later purge deletes the field `name`.
local function delete_after(name, retention)
  redis.call('ZADD', due_index, string.format('%.0f', now + retention), name)
  longest_retention = math.max(longest_retention, retention)
end

-- Extends the expiry of the four keys to the longest retention. The keys of users who do not come
-- back expire. Scripts call it last.
local function extend_expiry()
  if longest_retention <= 0 then return end
  local retention = math.min(longest_retention, CENTURY)
  for _, key in ipairs(KEYS) do
    local left = redis.call('PTTL', key)
    if left == -1 or (left >= 0 and left < retention) then
      redis.call('PEXPIRE', key, string.format('%.0f', math.max(retention, 1)))
    end
  end
end

-- A server whose memory is full refuses the first write of a script, unless the write needs no
-- memory. A sign-out must work on such a server.
local function allow_when_full()
  redis.call('HDEL', records, '')
end

local function write(name, record)
  local text = cjson.encode(record)
  redis.call('HSET', records, name, text)
  return text
end

local function tombstone_retention(record, minimum)
  local deadline = tonumber(record.tombstone_until)
  return deadline and math.max(minimum, deadline - now) or minimum
end

local function release(name)
  local reservation = read_json('r:' .. name)
  if reservation then
    redis.call('ZREM', open_index, reservation_member(reservation.user_hash, name))
  end
  redis.call('HDEL', records, 'r:' .. name)
  redis.call('ZREM', due_index, 'r:' .. name)
end

local function delete_record(name, record)
  if record then
    redis.call('ZREM', open_index, open_member(record, name))
    redis.call('ZREM', ended_index, history_member(record, name))
    if record.tombstone_order then
      redis.call('ZREM', ended_index, tombstone_member(record, name))
    end
    local pointer = 'i:' .. record.id
    if redis.call('HGET', records, pointer) == name then redis.call('HDEL', records, pointer) end
  end
  redis.call('HDEL', records, name, 'd:' .. name)
  redis.call('ZREM', due_index, name)
end

local function next_order()
  return string.format('%016d', redis.call('HINCRBY', records, 'counter', 1))
end

-- Deletes surplus tombstones: repeated sign-ins and sign-outs of one user must not fill the memory.
-- Tombstones of adopted sessions stay, because an old cookie could be adopted again.
local function limit_tombstones(user)
  local surplus = count(ended_index, user, TOMBSTONE) - MAX_TOMBSTONES
  if surplus <= 0 then return end
  for _, member in ipairs(members(ended_index, user, TOMBSTONE, TOMBSTONE, surplus)) do
    local name = record_name(member)
    local record = read(name)
    if not record then redis.call('ZREM', ended_index, member) end
    if record and tombstone_retention(record, 0) <= 0 then delete_record(name, record) end
  end
end

-- Stores an ended record that is not in the history.
local function add_tombstone(name, record)
  record.tombstone_order = next_order()
  redis.call('ZADD', ended_index, 0, tombstone_member(record, name))
  write(name, record)
  delete_after(name, tonumber(args.tombstone_retention))
  longest_retention = math.max(longest_retention, tombstone_retention(record, 0))
  limit_tombstones(record.user_hash)
end

local function purge_record(name)
  local record = read(name)
  if record and tombstone_retention(record, 0) > 0 then
    redis.call('ZREM', ended_index, history_member(record, name))
    delete_after(name, tombstone_retention(record, 0))
  else
    delete_record(name, record)
  end
end

-- Deletes fields that are due, at most 100 per call: a request must not wait for thousands.
local function purge()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', due_index, '-inf', args.at, 'LIMIT', 0, 100)) do
    local kind = string.sub(name, 1, 2)
    if kind == 'r:' then
      release(string.sub(name, 3))
    elseif kind == 'a:' then
      redis.call('HDEL', records, name)
      redis.call('ZREM', due_index, name)
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
  redis.call('ZADD', due_index, deadline, name)
end

-- Ends a record as `SessionRecord::end` does, deletes its data, and adds its text to `ended`.
local function end_record(ended, name, how)
  local record = read(name)
  if not record or record.ended then return end
  record.ended, record.reason, record.cause, record.by = args.at, how.reason, how.cause, how.by
  redis.call('HDEL', records, 'd:' .. name, 'i:' .. record.id)
  redis.call('ZREM', open_index, open_member(record, name))
  redis.call('ZADD', ended_index, 0, history_member(record, name))
  delete_after(name, tonumber(args.history_retention))
  longest_retention = math.max(longest_retention, tombstone_retention(record, 0))
  ended[#ended + 1] = write(name, record)
  return record
end

-- Returns true if the first attempt of this operation may have ended the record.
local function was_ended_by_this_operation(record)
  if record.ended ~= args.at or record.rotated_to then return false end
  if record.reason == args.reason then
    return record.by == args.by and record.cause == args.cause
  end
  local is_expired = record.reason == 'idle' or record.reason == 'absolute'
  return is_expired or record.reason == args.replaces_for
end

-- Adds the records that the first attempt of this operation has ended, whose response was lost.
-- They are found by the time at which they are due: now plus the retention of the history or of
-- tombstones.
local function add_ended_by_first_attempt(ended, is_target)
  if not is_retry then return end
  local is_added = {}
  for _, retention in ipairs({ args.history_retention, args.tombstone_retention }) do
    local at = string.format('%.0f', now + tonumber(retention))
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', due_index, at, at)) do
      local record, text = read(name)
      local is_ours = record and was_ended_by_this_operation(record) and is_target(record)
      if is_ours and not is_added[name] then
        ended[#ended + 1], is_added[name] = text, true
      end
    end
  end
end

-- Moves surplus records, oldest login first, from the history to the tombstones.
local function prune_history(user)
  if not args.history_limit then return end
  local surplus = count(ended_index, user, COUNTED) - tonumber(args.history_limit)
  if surplus <= 0 then return end
  for _, member in ipairs(members(ended_index, user, COUNTED, COUNTED, surplus)) do
    redis.call('ZREM', ended_index, member)
    local name = record_name(member)
    local record = read(name)
    if record then add_tombstone(name, record) end
  end
end
