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

local function has_ticket()
  local until_score = redis.call('ZSCORE', index_key(args.user), TICKET .. args.ticket)
  return until_score and tonumber(until_score) > score(TICKET, now)
end

if args.ticket and not has_ticket() then return { 'ticket_invalid' } end

-- The replaced session and that of the takeover, with their ends.
local chosen, except, freed_slots = {}, {}, 0

local function choose(id, how)
  local entry, other = find_open(args.user, id)
  if not entry or except[entry] then return end
  chosen[#chosen + 1], except[entry] = { entry = entry, how = how }, true
  if not other.uncounted then freed_slots = freed_slots + 1 end
end

choose(args.replaces, { at = args.at, reason = args.replaces_for })
choose(args.takes, taken_end)

local function refused()
  if record.uncounted then return refused_uncounted(args.user, except) end
  if not read_reservation(args.name) then return refused_outcome(args.user, except) end
end

local function select_all_victims()
  if record.uncounted then return expired_uncounted(args.user) end
  local others = count(args.user, COUNTED) - freed_slots
  return select_victims(args.user, except, others + 1 - limit)
end

local refusal = refused()
if refusal then return refusal end
local victims = select_all_victims()

-- The record comes first: if the memory is full, this write fails and nothing has changed.
if generation > 0 then record.generation = text_of(generation) end
local committed = { 'committed', write(args.name, record) }
if args.data then redis.call('HSET', tag, 'd:' .. args.name, args.data) end
-- A load needs only the key of the tag.
if generation > 0 then redis.call('HSET', tag, 'generation', text_of(generation)) end
redis.call('ZREM', index_key(args.user), RESERVED .. args.name)
redis.call('ZREM', due_list, 'r:' .. args.name)
if args.ticket then delete_tickets(args.user, { args.ticket }) end
index_open(entry_of(record, args.name), record)
for _, other in ipairs(chosen) do end_record(committed, args.user, other.entry, other.how) end
end_victims(committed, args.user, victims)
ended_ids[#ended_ids + 1] = '*'
report(ended_ids)
prune_history(args.user)
purge()
extend_expiry()
return committed
