-- Applies an update to an open session.
if not args.is_growing then allow_when_full() end
local record, name = read_open(args.user, args.id)
if not record then return { 'ended' } end
if not merge_data(name) then return { 'too_large' } end
update(record)
write(name, record)
delete_after(name, tonumber(record.retention))
purge()
extend_expiry()
return { 'updated' }
