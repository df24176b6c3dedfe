-- Returns a page of the records of one user: the earliest login time of the page, and the texts of
-- all records since then. The time is empty if there are no earlier records.
--
-- It writes only after `end_everyone`, to move the ended sessions to the history.
if not is_settled(args.user) then
  allow_when_full()
  settle(args.user)
end

-- Returns the entries of one class, newest login first, and the time of the last one if there may be
-- more. Logins of the same time are on the same page.
local function page(class)
  local key, size = index_key(args.user), tonumber(args.count)
  local from, to = score(class, args.earliest), score(class, args.latest)
  local found = redis.call('ZREVRANGEBYSCORE', key, to, from, 'WITHSCORES', 'LIMIT', 0, size)
  local is_full, entries = #found == 2 * size, {}
  if is_full then
    from = tonumber(found[#found])
    found = redis.call('ZREVRANGEBYSCORE', key, to, from, 'WITHSCORES')
  end
  for i = 1, #found, 2 do entries[#entries + 1] = string.sub(found[i], 2) end
  return entries, is_full and from - score(class, 0)
end

local texts, earliest, classes = { '' }, nil, {}
if args.lists_open then classes = { COUNTED, UNCOUNTED } end
if args.lists_ended then classes[#classes + 1] = HISTORY end
for _, class in ipairs(classes) do
  local entries, cut = page(class)
  if cut then earliest = math.max(earliest or 0, cut) end
  for _, entry in ipairs(entries) do
    texts[#texts + 1] = read_listed(name_of(entry))
  end
end
if earliest then texts[1] = text_of(earliest) end
extend_expiry()
return texts
