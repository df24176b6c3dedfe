-- A second attempt is not a second login.
local _, known = read(ask.name)
if known then
  local committed = { 'committed', known }
  add_ended_before(committed, function(record) return record.owner == ask.user end)
  return committed
end

local function is_adoption_closed()
  if not ask.record.tombstone_until then return false end
  local deadline = redis.call('HGET', records, 'a:' .. ask.user)
  return ask.is_adoption_closed or deadline and tonumber(deadline) > now
end

if is_adoption_closed() then return { 'adoption_closed' } end
purge()
local replaced = find_open(ask.user, ask.replaces)
local is_counted = not ask.record.uncounted
local others = is_counted and open_sessions(ask.user, replaced) or {}
local refused = is_counted and not read_reservation(ask.name) and refusal(others)
if refused then return refused end

-- Before anything ends: if memory is full this fails, and nothing has changed.
ask.record.owner = ask.user
ask.record.order = next_order()
local committed = { 'committed', write(ask.name, ask.record) }
if ask.data then redis.call('HSET', records, 'd:' .. ask.name, ask.data) end
redis.call('HSET', records, 'i:' .. ask.record.id, ask.name)
redis.call('ZADD', open, 0, open_member(ask.record, ask.name))
delete_after(ask.name, tonumber(ask.record.keep))
longest = math.max(longest, keep_of_tombstone(ask.record, 0))
release(ask.name)
if replaced then end_record(committed, replaced, { reason = ask.replaces_for }) end
if is_counted then end_surplus(committed, others) end
prune_history(ask.user)
extend_expiry()
return committed
