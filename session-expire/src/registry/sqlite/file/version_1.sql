CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of the logins
    key_hash TEXT NOT NULL UNIQUE,          -- derived from the secret key by SHA-256
    id TEXT NOT NULL,                       -- public id
    signing_key TEXT NOT NULL,              -- signs the page tokens of this session
    user TEXT NOT NULL,
    logged_in_at INTEGER NOT NULL,          -- all times: milliseconds since 1970
    authenticated_at INTEGER NOT NULL,      -- login or last re-authentication
    last_seen INTEGER NOT NULL,
    ip TEXT,                                -- client of the login
    device TEXT NOT NULL,
    last_ip TEXT,                           -- client of the last activity,
    last_device TEXT,                       -- NULL: that of the login
    idle_ms INTEGER,                        -- NULL: never
    absolute_ms INTEGER,                    -- NULL: never
    login_policy TEXT,                      -- JSON, or NULL
    user_policy TEXT,                       -- JSON, or NULL
    uncounted INTEGER NOT NULL DEFAULT 0,   -- 1: takes no slot of the session limit
    actor TEXT,                             -- user who impersonates this one
    generation INTEGER NOT NULL DEFAULT 0,
    tombstone_until INTEGER,                -- NULL: a day after the end
    ended_at INTEGER,                       -- NULL: open
    ended_reason TEXT,
    ended_cause TEXT,                       -- the application's own word
    ended_by TEXT,                          -- device whose login evicted the session
    in_history INTEGER NOT NULL DEFAULT 1,  -- 0: a tombstone
    -- Session data as JSON; NULL: none. Columns behind a long value would be slow to read.
    data TEXT,
    CHECK ((ended_at IS NULL) = (ended_reason IS NULL)),
    CHECK (ended_at IS NULL OR data IS NULL),
    CHECK (in_history = 1 OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX sessions_open ON sessions (seq) WHERE ended_at IS NULL;
CREATE INDEX sessions_of_user ON sessions (user, logged_in_at, id) WHERE in_history = 1;
CREATE INDEX sessions_by_time ON sessions (logged_in_at, id) WHERE in_history = 1;
CREATE INDEX history_by_end ON sessions (ended_at)
    WHERE in_history = 1 AND ended_at IS NOT NULL;
CREATE INDEX tombstones_of_user ON sessions (user) WHERE in_history = 0;
CREATE INDEX tombstones_by_time
    ON sessions (max(ended_at + 86400000, coalesce(tombstone_until, 0))) WHERE in_history = 0;
CREATE TABLE renewed_keys (                 -- tombstones of keys that were rotated
    key_hash TEXT PRIMARY KEY,
    session INTEGER NOT NULL,               -- sessions.seq
    renewed_at INTEGER NOT NULL,
    tombstone_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX renewed_keys_of_session ON renewed_keys (session);
CREATE INDEX renewed_keys_by_time ON renewed_keys (tombstone_until);
CREATE TABLE closed_adoptions (             -- users whose sessions cannot be adopted
    user TEXT UNIQUE,                       -- NULL: all users
    until INTEGER,                          -- NULL: forever
    CHECK ((user IS NULL) = (until IS NULL))
) STRICT;
CREATE INDEX closed_adoptions_by_time ON closed_adoptions (until);
CREATE VIEW session_history AS
    SELECT user, id,
        strftime('%Y-%m-%dT%H:%M:%fZ', logged_in_at / 1000.0, 'unixepoch') AS logged_in_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1000.0, 'unixepoch') AS last_seen,
        strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
        ended_reason, ended_cause, ended_by, ip, device, actor
    FROM sessions WHERE in_history = 1;
