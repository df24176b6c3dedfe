-- Reports of changes to the listeners of all processes; see changes.rs.

-- Public ids of the sessions that this script has ended.
local ended_ids = {}

-- The first script of a registry must change nothing if the user may not publish to the channel.
if args.tests_channel then redis.call('PUBLISH', args.channel, '') end

-- Reports changes in one message. Each word is the public id of a session, or `*` for all sessions
-- of the user.
local function report(words)
  if not args.partition or #words == 0 then return end
  redis.call('PUBLISH', args.channel, args.partition .. ' ' .. table.concat(words, ' '))
end
