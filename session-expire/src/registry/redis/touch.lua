-- `Record::touch`.
local function least(a, b)
  return tonumber(b) < tonumber(a) and b or a
end

local function most(a, b)
  return tonumber(b) > tonumber(a) and b or a
end

even_when_full()
local record = read(ask.name)
if not record or record.ended then return end
record.logged_in_at = least(record.logged_in_at, ask.at)
record.last_seen = most(least(record.last_seen, ask.at), least(ask.seen, ask.at))
-- An empty text takes it away.
if ask.patch then record.patch = ask.patch ~= '' and ask.patch or nil end
write(ask.name, record)
remember(ask.name, tonumber(record.keep))
sweep()
stay()
