-- A second attempt finds its own tombstone.
local former = read(ask.from)
if former and former.to == ask.to then return { 'rotated' } end
local record, name = read_open(ask.user, ask.id)
if not record then return { 'ended' } end
if not merge_data(name) then return { 'too_large' } end
local tombstone = read(name)
update(record)
if name ~= ask.from then
  write(name, record)
  delete_after(name, tonumber(record.keep))
  extend_expiry()
  return { 'lost' }
end

local function write_tombstone()
  tombstone.ended, tombstone.reason, tombstone.to = ask.at, 'renewed', ask.to
  keep_tombstone(name, tombstone)
end

local function move_data()
  local data = redis.call('HGET', records, 'd:' .. name)
  if data then write_data(ask.to, data) end
  redis.call('HDEL', records, 'd:' .. name, 'i:' .. record.id)
end

-- `SessionRecord::reauthenticate`.
local function reauthenticate(id)
  record.id = id
  record.authenticated_at = most(record.authenticated_at, ask.at)
  record.last_seen = most(record.last_seen, ask.at)
end

write_tombstone()
move_data()
redis.call('ZREM', open, open_member(record, name))
if ask.reauthenticated_as then reauthenticate(ask.reauthenticated_as) end
write(ask.to, record)
redis.call('HSET', records, 'i:' .. record.id, ask.to)
redis.call('ZADD', open, 0, open_member(record, ask.to))
delete_after(ask.to, tonumber(record.keep))
purge()
extend_expiry()
return { 'rotated' }
