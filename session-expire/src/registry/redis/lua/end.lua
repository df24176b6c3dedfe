allow_when_full()
if ask.except and not find_open(ask.user, ask.except) then return {} end

local function is_target(record)
  if ask.id then return record.id == ask.id end
  return not ask.except or record.id ~= ask.except
end

local function target_names()
  if ask.id then return { find_open(ask.user, ask.id) } end
  local found, names = members(open, ask.user, COUNTED, UNCOUNTED), {}
  -- Counted and uncounted sessions together, oldest login first.
  table.sort(found, function(a, b) return string.sub(a, 24) < string.sub(b, 24) end)
  for _, member in ipairs(found) do names[#names + 1] = name_of(member) end
  return names
end

if ask.close_adoption_until then
  close_adoption(ask.user, ask.close_adoption_until)
  longest = tonumber(ask.close_adoption_until) - now
end
local ended = {}
add_ended_before(ended, function(record) return record.owner == ask.user and is_target(record) end)
for _, name in ipairs(target_names()) do
  local record = read(name)
  if record and is_target(record) then end_record(ended, name, ask) end
end
prune_history(ask.user)
extend_expiry()
return ended
