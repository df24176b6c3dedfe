-- Renames the key of a session, and applies an update. After a first attempt whose response was
-- lost, the tombstone of the old key names the new key.
local former = parse(redis.call('HGET', tag, args.from))
if former.rotated_to == args.to then return { 'rotated' } end
settle(args.user)
local entry, record = find_open(args.user, args.id)
if not record then return { 'ended' } end
local name = name_of(entry)
if not merge_data(name) then return { 'too_large' } end
if name ~= args.from then
  store_update(entry, record)
  purge()
  extend_expiry()
  return outcome_of_update('lost')
end

local function write_tombstone()
  local tombstone = read(name)
  tombstone.ended, tombstone.reason, tombstone.rotated_to = args.at, 'renewed', args.to
  tombstone.id = args.reauthenticated_as or tombstone.id
  write(name, tombstone)
  add_tombstones(args.user, { entry }, now + DAY)
end

local function move_data()
  local data = redis.call('HGET', tag, 'd:' .. name)
  if data then write_data(args.to, data) end
  redis.call('HDEL', tag, 'd:' .. name)
end

local function reauthenticate(id)
  record.id, record.remembered, record.attempts = id, nil, nil
  record.auth = most(record.auth or record.login, args.at)
  record.seen = most(record.seen, args.at)
end

write_tombstone()
move_data()
remove_from_open(args.user, { entry })
update(record)
-- Only the tombstone of the first key is kept longer, because the session could be adopted again by
-- that key.
record.tombstone_until = nil
if args.reauthenticated_as then reauthenticate(args.reauthenticated_as) end
write(args.to, record)
index_open(entry_of(record, args.to), record)
report({ args.id })
purge()
extend_expiry()
return { 'rotated' }
