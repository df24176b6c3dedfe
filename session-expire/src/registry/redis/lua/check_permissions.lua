-- Returns the commands that the user may not run. Each argument is a call without effect: its key
-- does not exist, or the server rejects its arguments.
local denied = {}
for _, call in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(call, '%S+') do words[#words + 1] = word end
  local response = redis.pcall(unpack(words))
  local text = type(response) == 'table' and response.err or ''
  -- The server checks this permission first. Any other error, such as that of a key, follows it.
  if string.find(text, 'run this command') or string.find(text, 'permissions to run') then
    denied[#denied + 1] = words[1]
  end
end
return denied
