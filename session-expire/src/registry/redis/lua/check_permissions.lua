-- Returns the commands that the user may not run. Each argument is a command with its arguments,
-- without effect: the key does not exist, or the server rejects the arguments.
local denied = {}
for _, call in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(call, '%S+') do words[#words + 1] = word end
  local response = redis.pcall(unpack(words))
  local text = type(response) == 'table' and response.err or ''
  -- Other errors come after the check of the permission: that of the key, for example.
  if string.find(text, 'run this command') or string.find(text, 'permissions to run') then
    denied[#denied + 1] = words[1]
  end
end
return denied
