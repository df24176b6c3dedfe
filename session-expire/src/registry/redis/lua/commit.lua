-- Creates the record of a login, ends the replaced and the evicted sessions, and releases the
-- reservation. A login that was committed before returns its record.
local _, known = read(args.name)
if known then
  local committed = { 'committed', known }
  add_ended_by_first_attempt(committed, function(record) return record.user_hash == args.user end)
  return committed
end

local function is_adoption_closed()
  if not args.record.tombstone_until then return false end
  local deadline = redis.call('HGET', records, 'a:' .. args.user)
  return args.is_adoption_closed or deadline and tonumber(deadline) > now
end

if is_adoption_closed() then return { 'adoption_closed' } end
purge()
local replaced = find_open(args.user, args.replaces)
local is_counted = not args.record.uncounted
local others = is_counted and open_sessions(args.user, replaced) or {}
local refused = is_counted and not read_reservation(args.name) and refused_outcome(others)
if refused then return refused end

-- The record comes first: if the memory is full, this write fails and nothing has changed.
args.record.user_hash = args.user
args.record.order = next_order()
local committed = { 'committed', write(args.name, args.record) }
if args.data then redis.call('HSET', records, 'd:' .. args.name, args.data) end
redis.call('HSET', records, 'i:' .. args.record.id, args.name)
redis.call('ZADD', open_index, 0, open_member(args.record, args.name))
delete_after(args.name, tonumber(args.record.retention))
longest_retention = math.max(longest_retention, tombstone_retention(args.record, 0))
release(args.name)
if replaced then end_record(committed, replaced, { reason = args.replaces_for }) end
if is_counted then end_surplus(committed, others) end
prune_history(args.user)
extend_expiry()
return committed
