-- Ends sessions of one user, and returns the ended records.
allow_when_full()
settle(args.user)
if args.except and not find_open(args.user, args.except) then return {} end

local function is_target(record)
  if args.id then return record.id == args.id end
  return not args.except or record.id ~= args.except
end

local function target_entries()
  if args.id then return { (find_open(args.user, args.id)) } end
  local entries, except = {}, find_open(args.user, args.except)
  for _, class in ipairs({ COUNTED, UNCOUNTED }) do
    for _, entry in ipairs(members(args.user, class)) do
      if entry ~= except then entries[#entries + 1] = entry end
    end
  end
  return entries
end

if args.close_adoption_until then close_adoption(args.user, args.close_adoption_until) end
if not args.id then delete_tickets(args.user, members(args.user, TICKET)) end
local ended = {}
add_ended_by_first_attempt(ended, args.user, is_target)
for _, entry in ipairs(target_entries()) do end_record(ended, args.user, entry, args) end
report(ended_ids)
prune_history(args.user)
extend_expiry()
return ended
