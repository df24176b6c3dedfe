even_when_full()
local names = { ask.name }
if ask.owner then
  for _, member in ipairs(members(open, ask.owner)) do
    names[#names + 1] = name_of(member)
  end
end

local function wanted(name)
  if not ask.id and not ask.but then return true end
  local record = read(name)
  return record and (record.id == ask.id or (ask.but and record.id ~= ask.but))
end

local over, owner = {}, nil
for _, name in ipairs(names) do
  local ended = wanted(name) and finish(over, name, ask.reason, ask.by)
  if ended then owner = owner_of(ended) end
end
if owner then
  trim(owner)
  stay()
end
return over
