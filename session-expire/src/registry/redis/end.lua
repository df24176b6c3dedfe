even_when_full()
local names = { ask.name }
if ask.owner then
  for _, member in ipairs(members(open, ask.owner)) do
    names[#names + 1] = name_of(member)
  end
end

local function wanted(record)
  if ask.id then return record.id == ask.id end
  return not ask.but or record.id ~= ask.but
end

local over, owner = {}, nil
ended_before(over, function(record, name)
  return (name == ask.name or owner_of(record) == ask.owner) and wanted(record)
end)
for _, name in ipairs(names) do
  local record = read(name)
  local ended = record and wanted(record) and finish(over, name, ask.reason, ask.by)
  if ended then owner = owner_of(ended) end
end
if owner then
  trim(owner)
  stay()
end
return over
