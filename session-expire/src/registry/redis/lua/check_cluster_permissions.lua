-- Returns the commands that the user may not run. Each argument is a command that a script cannot
-- call, such as `cluster|info`. The channels of `ssubscribe` are not checked.
local denied = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '[^|]+') do words[#words + 1] = word end
  if not redis.acl_check_cmd(unpack(words)) then denied[#denied + 1] = command end
end
return denied
