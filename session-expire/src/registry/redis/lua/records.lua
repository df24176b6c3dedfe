-- Returns the texts of records. Writes nothing.
local texts = {}
for _, entry in ipairs(args.entries) do texts[#texts + 1] = read_listed(name_of(entry)) end
return texts
