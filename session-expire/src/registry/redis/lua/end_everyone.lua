-- Starts a new generation in this tag, and returns the number of sessions that were open. It changes
-- no record, no index of a user and no reservation, so its time does not depend on their number.
-- A repetition of a remembered call changes nothing: it may follow later calls and logins.
local numbers = {}
for age = 0, REMEMBERED_ENDS - 1 do numbers[age + 1] = text_of(generation - age) end
for _, text in ipairs(redis.call('HMGET', ends, unpack(numbers))) do
  local how = parse(text)
  if how.call == args.call then return { how.count } end
end
allow_when_full()
-- The script of the first tag gets the key of the epoch. After the scripts of all tags, one message
-- reports the new epoch.
if KEYS[8] then redis.call('SET', KEYS[8], args.call) end

-- Sessions that an earlier call has ended may be in the list of former sessions.
local function merge_with_former()
  local open, former = redis.call('ZRANGE', open_list, 0, -1, 'WITHSCORES'), {}
  for i = 1, #open, 2 do former[i], former[i + 1] = open[i + 1], open[i] end
  call_with_all('ZADD', former_list, former)
  redis.call('PEXPIRE', former_list, math.max(redis.call('PTTL', tag), 1))
  redis.call('DEL', open_list)
end

local how = { ended = args.at, reason = args.reason, cause = args.cause, by = args.by }
how.call, how.count = args.call, text_of(redis.call('ZCARD', open_list))
local number = text_of(generation + 1)
redis.call('HSET', ends, 'generation', number, number, render(how))
redis.call('HDEL', ends, text_of(generation + 1 - REMEMBERED_ENDS))
-- A tag without open sessions may have sessions that earlier calls have ended. A load finds their
-- ends by the current generation.
if redis.call('EXISTS', tag) == 1 then redis.call('HSET', tag, 'generation', number) end
if how.count == '0' then return { how.count } end
if redis.call('EXISTS', former_list) == 1 then
  merge_with_former()
else
  redis.call('RENAME', open_list, former_list)
end
return { how.count }
