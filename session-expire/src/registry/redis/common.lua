-- What the scripts that write have in common. Numbers travel as text, because cjson would round them.
local records, open, past, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ask = cjson.decode(ARGV[1])
local now = tonumber(ask.at)
local LAST = 9223372036854775807
local CENTURY = 3155760000000
local longest = 0

local function read(name)
  local text = redis.call('HGET', records, name)
  local fine, record = pcall(cjson.decode, text or '')
  if fine and type(record) == 'table' and type(record.place) == 'string' then return record, text end
end

-- An user's entries in `open` and `past` are `user:place:name`, oldest login first.
local function entry(record, name)
  return record.place .. ':' .. name
end

local function user_of(record)
  return string.sub(record.place, 1, 32)
end

local function name_of(member)
  return string.sub(member, -32)
end

local function members(index, user, count)
  return redis.call('ZRANGEBYLEX', index, '[' .. user .. ':', '(' .. user .. ';', 'LIMIT', 0, count or -1)
end

local function count(index, user)
  return redis.call('ZLEXCOUNT', index, '[' .. user .. ':', '(' .. user .. ';')
end

local function remember(name, keep)
  redis.call('ZADD', due, string.format('%.0f', now + keep), name)
  longest = math.max(longest, keep)
end

-- Whatever is written last: no key stays when nobody comes any more.
local function stay()
  local keep = math.min(longest, CENTURY)
  for _, key in ipairs(KEYS) do
    local left = redis.call('PTTL', key)
    if left == -1 or (left >= 0 and left < keep) then
      redis.call('PEXPIRE', key, string.format('%.0f', math.max(keep, 1)))
    end
  end
end

-- A server whose memory is full refuses a script's first write, unless that write needs none. People must
-- be able to sign out of a full server.
local function even_when_full()
  redis.call('HDEL', records, '')
end

local function write(name, record)
  local text = cjson.encode(record)
  redis.call('HSET', records, name, text)
  return text
end

-- Forgets what nobody will ask for again; a few at a time, so that no request pays for many.
local function sweep()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ask.at, 'LIMIT', 0, 100)) do
    local record = read(name)
    if record then
      redis.call('ZREM', open, entry(record, name))
      redis.call('ZREM', past, entry(record, name))
    end
    redis.call('HDEL', records, name)
    redis.call('ZREM', due, name)
  end
end

-- `Record::end`: the first reason stays.
local function finish(over, name, reason, by)
  local record = read(name)
  if not record or record.ended then return end
  record.ended, record.reason, record.by = ask.at, reason, by
  redis.call('ZREM', open, entry(record, name))
  redis.call('ZADD', past, 0, entry(record, name))
  remember(name, tonumber(ask.keep_logged))
  over[#over + 1] = write(name, record)
  return record
end

-- Whether this very request may have ended it: then, for its reason or because it had run out.
local function ended_by_us(record)
  if record.ended ~= ask.at then return false end
  if record.reason == ask.reason then return record.by == ask.by end
  return record.reason == ask.replaces_for or record.reason == 'idle' or record.reason == 'absolute'
end

-- Whoever asks again because the answer was lost learns what the first time has ended, of those that `mine`
-- knows. What ended at this moment is forgotten at one of two, by which it is found.
local function ended_before(over, mine)
  if ARGV[2] ~= 'again' then return end
  local found = {}
  for _, keep in ipairs({ ask.keep_logged, ask.keep_unlogged }) do
    local at = string.format('%.0f', now + tonumber(keep))
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', due, at, at)) do
      local record, text = read(name)
      if record and not found[name] and ended_by_us(record) and mine(record, name) then
        over[#over + 1], found[name] = text, true
      end
    end
  end
end

-- Takes the oldest ended records out of the log. Their browsers don't know yet why they are out.
local function trim(user)
  if not ask.log_limit then return end
  local surplus = count(past, user) - tonumber(ask.log_limit)
  if surplus <= 0 then return end
  for _, member in ipairs(members(past, user, surplus)) do
    redis.call('ZREM', past, member)
    remember(name_of(member), tonumber(ask.keep_unlogged))
  end
end
