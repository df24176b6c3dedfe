even_when_full()
local names = { ask.name }
if ask.user then
  for _, member in ipairs(members(open, ask.user)) do
    names[#names + 1] = name_of(member)
  end
end

local function wanted(record)
  if ask.id then return record.id == ask.id end
  return not ask.but or record.id ~= ask.but
end

local over, user = {}, nil
ended_before(over, function(record, name)
  return (name == ask.name or user_of(record) == ask.user) and wanted(record)
end)
for _, name in ipairs(names) do
  local record = read(name)
  local ended = record and wanted(record) and finish(over, name, ask.reason, ask.by)
  if ended then user = user_of(ended) end
end
if user then
  trim(user)
  stay()
end
return over
