-- Counts an attempt to re-authenticate. Returns the resulting record, or nothing if the session is not
-- open. The field `attempts` contains the ids of the counted calls, so a retry is counted once.
local MAX_ATTEMPTS = 5
allow_when_full()
settle(args.user)

-- Returns the number of counted calls, and true if this call is one of them.
local function counted_calls(record)
  local number, is_counted = 0, false
  for call in string.gmatch(record.attempts or '', '[^,]+') do
    number, is_counted = number + 1, is_counted or call == args.call
  end
  return number, is_counted
end

local function was_ended_by_this_call(record)
  local _, is_counted = counted_calls(record)
  return record.id == args.id and is_counted
end

local counted = {}
local entry, record = find_open(args.user, args.id)
if not record then
  add_ended_by_first_attempt(counted, args.user, was_ended_by_this_call)
  return counted
end
local number, is_counted = counted_calls(record)
if is_counted then return { render(record) } end
record.attempts = record.attempts and record.attempts .. ',' .. args.call or args.call
local text = write(name_of(entry), record)
if number < MAX_ATTEMPTS then
  counted[1] = text
else
  end_record(counted, args.user, entry, args)
  report(ended_ids)
  prune_history(args.user)
end
purge()
extend_expiry()
return counted
