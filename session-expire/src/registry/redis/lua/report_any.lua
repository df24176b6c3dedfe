-- Reports that all sessions may have changed: a message that contains only its number.
allow_when_full()
redis.call('PUBLISH', changes, count_report())
return {}
