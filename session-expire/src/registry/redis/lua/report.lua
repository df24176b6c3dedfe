-- Reports of changes to the subscribers of all processes; see changes.rs.
--
-- `changes` is the name of a hash, which counts the reports, and of the channel. Only a script that
-- reports has it.
local changes = KEYS[7]

-- Public ids of the sessions that this script has ended.
local ended_ids = {}

-- The first report of a process: without the permission for the channel, nothing may change.
if args.tests_channel then redis.call('PUBLISH', changes, '') end

local function count_report()
  return text_of(redis.call('HINCRBY', changes, 'reports', 1))
end

-- Reports these words in one message, after its number and the partition key of the user. The word
-- `*` means all sessions of the user.
local function report(words)
  if not changes or #words == 0 then return end
  local message = count_report() .. ' ' .. args.partition .. ' ' .. table.concat(words, ' ')
  redis.call('PUBLISH', changes, message)
end
