-- Reports of changes to the listeners of all processes; see changes.rs.

-- Public ids of the sessions that this script has ended.
local ended_ids = {}

-- In a Cluster, the channel belongs to the slot of the tag.
local function publish(message)
  if args.has_slot then
    redis.call('SPUBLISH', args.channel, message)
  else
    redis.call('PUBLISH', args.channel, message)
  end
end

-- A script must change nothing if the user may not publish to the channel.
if args.tests_channel and args.has_slot then
  if not redis.acl_check_cmd('SPUBLISH', args.channel, '') then
    return redis.error_reply('NOPERM No permissions to access the channel ' .. args.channel)
  end
elseif args.tests_channel then
  publish('')
end

-- Reports changes in one message. Each word is the public id of a session, or `*` for all sessions
-- of the user.
local function report(words)
  if not args.partition or #words == 0 then return end
  publish(args.partition .. ' ' .. table.concat(words, ' '))
end
