even_when_full()
local over = {}
local record = read(ask.name)
if not record or record.ended then return over end
local owner = owner_of(record)
ended_before(over, function(other) return owner_of(other) == owner end)
make_room(over, seats(owner, ask.name))
trim(owner)
stay()
return over
