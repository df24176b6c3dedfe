-- Reports that all sessions of all users may have changed.
redis.call('PUBLISH', args.channel, args.call)
return {}
