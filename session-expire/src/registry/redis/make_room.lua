even_when_full()
local over = {}
local record = read(ask.name)
if not record or record.ended then return over end
local owner = owner_of(record)
make_room(over, seats(owner, ask.name))
trim(owner)
stay()
return over
