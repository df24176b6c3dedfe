if not ask.is_growing then allow_when_full() end
local record, name = read_open(ask.user, ask.id)
if not record then return { 'ended' } end
if not merge_data(name) then return { 'too_large' } end
update(record)
write(name, record)
delete_after(name, tonumber(record.keep))
purge()
extend_expiry()
return { 'updated' }
