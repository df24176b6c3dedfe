-- Creates the record of a login, ends the replaced and the evicted sessions, and releases the
-- reservation. A login that was committed before returns its record.
local _, known = read(args.name)
if known then
  local committed = { 'committed', known }
  add_ended_by_first_attempt(committed, args.user, function() return true end)
  return committed
end

local record = parse(args.record)

local function is_adoption_closed()
  if not record.tombstone_until then return false end
  local deadline = redis.call('HGET', tag, 'a:' .. args.user)
  return generation > 0 or deadline and tonumber(deadline) > now
end

if args.reserved_in and tonumber(args.reserved_in) < generation then return { 'voided' } end
if is_adoption_closed() then return { 'adoption_closed' } end
settle(args.user)
local reservation = read_reservation(args.name)
local is_counted = not record.uncounted
local replaced, replaced_record = find_open(args.user, args.replaces)
local refused = is_counted and not reservation and refused_outcome(args.user, replaced)
if refused then return refused end

local function surplus()
  local others = count(args.user, COUNTED)
  if replaced and not replaced_record.uncounted then others = others - 1 end
  return others + 1 - limit
end

local victims = is_counted and select_victims(args.user, replaced, surplus()) or {}

-- The record comes first: if the memory is full, this write fails and nothing has changed.
if generation > 0 then record.generation = text_of(generation) end
local committed = { 'committed', write(args.name, record) }
if args.data then redis.call('HSET', tag, 'd:' .. args.name, args.data) end
-- A load needs only the key of the tag.
if generation > 0 then redis.call('HSET', tag, 'generation', text_of(generation)) end
redis.call('ZREM', index_key(args.user), RESERVED .. args.name)
redis.call('ZREM', due_list, 'r:' .. args.name)
index_open(entry_of(record, args.name), record)
if replaced then
  local how = { at = args.at, reason = args.replaces_for }
  end_record(committed, args.user, replaced, how)
end
end_victims(committed, args.user, victims)
prune_history(args.user)
purge()
extend_expiry()
return committed
