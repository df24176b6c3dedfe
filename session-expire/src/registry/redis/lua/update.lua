-- Applies an update to an open session.
if not args.is_growing then allow_when_full() end
settle(args.user)
local entry, record = find_open(args.user, args.id)
if not record then return { 'ended' } end
if not merge_data(name_of(entry)) then return { 'too_large' } end
store_update(entry, record)
report({ args.id })
purge()
extend_expiry()
return outcome_of_update('updated')
