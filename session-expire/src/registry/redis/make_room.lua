even_when_full()
local over = {}
local record = read(ask.name)
if not record or record.ended then return over end
local user = user_of(record)
ended_before(over, function(other) return user_of(other) == user end)
make_room(over, seats(user, ask.name))
trim(user)
stay()
return over
