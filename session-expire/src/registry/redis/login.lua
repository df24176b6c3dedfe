-- Whoever asks again because the answer was lost is not a second login.
local _, known = read(ask.name)
if known then
  local answer = { 'admitted', known }
  ended_before(answer, function(record) return user_of(record) == ask.user end)
  return answer
end
sweep()
local others = seats(ask.user, ask.replaces)
if ask.overflow == 'refuse' then
  local holders = { 'refused' }
  for _, seat in ipairs(others) do
    if not seat.gone then holders[#holders + 1] = seat.text end
  end
  if #holders > places then return holders end
end

-- Before anything ends: if memory is full this fails, and nothing has changed.
ask.record.place = string.format('%s:%016d', ask.user, redis.call('HINCRBY', records, 'logins', 1))
local answer = { 'admitted', write(ask.name, ask.record) }
redis.call('ZADD', open, 0, entry(ask.record, ask.name))
remember(ask.name, tonumber(ask.record.keep))
-- The keys here are those of many users: only a login of the same user may be replaced.
local before = ask.replaces and read(ask.replaces)
if before and user_of(before) == ask.user then finish(answer, ask.replaces, ask.replaces_for) end
make_room(answer, others)
trim(ask.user)
stay()
return answer
