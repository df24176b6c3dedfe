-- Reports that all sessions of all users may have changed.
publish(args.call)
return {}
