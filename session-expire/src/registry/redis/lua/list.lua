-- Returns the records of one user, or of all users of the partition. ARGV[2] selects open records,
-- ARGV[3] selects the history. Writes nothing.
local texts = {}
local first, last = '-', '+'
if ARGV[1] ~= '' then first, last = '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. '<' end
for i, index in ipairs({ KEYS[2], KEYS[3] }) do
  if ARGV[i + 1] == '1' then
    for _, member in ipairs(redis.call('ZRANGEBYLEX', index, first, last)) do
      local class = string.sub(member, 23, 23)
      local is_record = class == ':' or class == ';'
      local text = is_record and redis.call('HGET', KEYS[1], string.sub(member, -22))
      if text then texts[#texts + 1] = text end
    end
  end
end
return texts
