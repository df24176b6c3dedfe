-- Ends sessions of one user, and returns the ended records.
allow_when_full()
if args.except and not find_open(args.user, args.except) then return {} end

local function is_target(record)
  if args.id then return record.id == args.id end
  return not args.except or record.id ~= args.except
end

local function target_names()
  if args.id then return { find_open(args.user, args.id) } end
  local open, names = members(open_index, args.user, COUNTED, UNCOUNTED), {}
  -- Sorts counted and uncounted sessions together, oldest login first.
  table.sort(open, function(a, b) return string.sub(a, 24) < string.sub(b, 24) end)
  for _, member in ipairs(open) do names[#names + 1] = record_name(member) end
  return names
end

if args.close_adoption_until then
  close_adoption(args.user, args.close_adoption_until)
  longest_retention = tonumber(args.close_adoption_until) - now
end
local ended = {}
add_ended_by_first_attempt(ended, function(record)
  return record.user_hash == args.user and is_target(record)
end)
for _, name in ipairs(target_names()) do
  local record = read(name)
  if record and is_target(record) then end_record(ended, name, args) end
end
prune_history(args.user)
extend_expiry()
return ended
