-- Renames the key of a session, and applies an update. After a first attempt whose response was
-- lost, the tombstone of the old key names the new key.
local former = read(args.from)
if former and former.rotated_to == args.to then return { 'rotated' } end
local record, name = read_open(args.user, args.id)
if not record then return { 'ended' } end
if not merge_data(name) then return { 'too_large' } end
local tombstone = read(name)
update(record)
if name ~= args.from then
  write(name, record)
  delete_after(name, tonumber(record.retention))
  extend_expiry()
  return { 'lost' }
end

local function write_tombstone()
  tombstone.ended, tombstone.reason, tombstone.rotated_to = args.at, 'renewed', args.to
  add_tombstone(name, tombstone)
end

local function move_data()
  local data = redis.call('HGET', records, 'd:' .. name)
  if data then write_data(args.to, data) end
  redis.call('HDEL', records, 'd:' .. name, 'i:' .. record.id)
end

local function reauthenticate(id)
  record.id = id
  record.authenticated_at = most(record.authenticated_at, args.at)
  record.last_seen = most(record.last_seen, args.at)
end

write_tombstone()
move_data()
redis.call('ZREM', open_index, open_member(record, name))
if args.reauthenticated_as then reauthenticate(args.reauthenticated_as) end
write(args.to, record)
redis.call('HSET', records, 'i:' .. record.id, args.to)
redis.call('ZADD', open_index, 0, open_member(record, args.to))
delete_after(args.to, tonumber(record.retention))
purge()
extend_expiry()
return { 'rotated' }
