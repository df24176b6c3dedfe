-- The sessions are copied, because an added column would come after the session data.
DROP VIEW session_history;
ALTER TABLE sessions RENAME TO sessions_2;
DROP INDEX open_of_user;
DROP INDEX open_by_time;
DROP INDEX open_by_check;
DROP INDEX history_of_user;
DROP INDEX history_by_time;
DROP INDEX history_by_end;
DROP INDEX tombstones_of_user;
DROP INDEX tombstones_by_time;
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
    longest_idle_ms INTEGER,                -- of all policies; NULL: never
    longest_absolute_ms INTEGER,            -- of all policies; NULL: never
    check_at INTEGER NOT NULL DEFAULT 0,    -- when an open session may be due to end
    login_policy TEXT,                      -- JSON, or NULL
    user_policy TEXT,                       -- JSON, or NULL
    uncounted INTEGER NOT NULL DEFAULT 0,   -- 1: takes no slot of the session limit
    remembered INTEGER NOT NULL DEFAULT 0,  -- 1: came back after the application's idle timeout
    confirmation_attempts INTEGER NOT NULL DEFAULT 0, -- since the last authentication
    stamp INTEGER,                          -- derived from the credential, or NULL
    actor TEXT,                             -- user who impersonates this one
    generation INTEGER NOT NULL DEFAULT 0,  -- lower than that of the registry: ended
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
INSERT INTO sessions (seq, key_hash, id, signing_key, user, logged_in_at, authenticated_at,
        last_seen, ip, device, last_ip, last_device, idle_ms, absolute_ms, longest_idle_ms,
        longest_absolute_ms, check_at, login_policy, user_policy, uncounted, actor, generation,
        tombstone_until, ended_at, ended_reason, ended_cause, ended_by, in_history, data)
    SELECT seq, key_hash, id, signing_key, user, logged_in_at, authenticated_at,
        last_seen, ip, device, last_ip, last_device, idle_ms, absolute_ms, longest_idle_ms,
        longest_absolute_ms, check_at, login_policy, user_policy, uncounted, actor, generation,
        tombstone_until, ended_at, ended_reason, ended_cause, ended_by, in_history, data
    FROM sessions_2 ORDER BY seq;
DROP TABLE sessions_2;
CREATE INDEX open_of_user ON sessions (user, logged_in_at, id, uncounted, generation)
    WHERE ended_at IS NULL;
CREATE INDEX open_by_time ON sessions (logged_in_at, id) WHERE ended_at IS NULL;
CREATE INDEX open_by_check ON sessions (generation, check_at) WHERE ended_at IS NULL;
CREATE INDEX history_of_user ON sessions (user, logged_in_at, id)
    WHERE in_history = 1 AND ended_at IS NOT NULL;
CREATE INDEX history_by_time ON sessions (logged_in_at, id)
    WHERE in_history = 1 AND ended_at IS NOT NULL;
CREATE INDEX history_by_end ON sessions (ended_at)
    WHERE in_history = 1 AND ended_at IS NOT NULL;
CREATE INDEX tombstones_of_user ON sessions (user, ended_at) WHERE in_history = 0;
CREATE INDEX tombstones_by_time
    ON sessions (max(ended_at + 86400000, coalesce(tombstone_until, 0))) WHERE in_history = 0;
CREATE TABLE tickets (                      -- one-time tickets of refused logins
    key_hash TEXT PRIMARY KEY,
    user_hash TEXT NOT NULL,                -- SHA-256 of the user id
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_of_user ON tickets (user_hash, until);
CREATE INDEX tickets_by_time ON tickets (until);
CREATE TABLE changes (                      -- latest changes of sessions, for open streams
    number INTEGER PRIMARY KEY,             -- in the order of the changes
    partition_key TEXT,                     -- first characters of `key_hash`; NULL: any session
    id TEXT                                 -- public id before the change; NULL: any of the user
) STRICT;
-- A reporter expects to read the last change that it has reported, so the table is never empty.
INSERT INTO changes DEFAULT VALUES;
-- Triggers also report the changes of processes that use an older version, and of other programs.
-- They do not run for activity and session data.
CREATE TRIGGER session_began AFTER INSERT ON sessions WHEN NEW.ended_at IS NULL BEGIN
    INSERT INTO changes (partition_key) VALUES (substr(NEW.key_hash, 1, 8));
END;
CREATE TRIGGER session_ended AFTER UPDATE OF ended_at ON sessions
    WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
        -- The end by `end_everyone` has already been reported.
        AND NEW.generation > (SELECT coalesce(max(generation), -1) FROM ends_of_everyone)
BEGIN
    INSERT INTO changes (partition_key, id) VALUES (substr(OLD.key_hash, 1, 8), OLD.id);
END;
CREATE TRIGGER session_rotated AFTER UPDATE OF key_hash ON sessions
    WHEN OLD.key_hash <> NEW.key_hash
BEGIN
    INSERT INTO changes (partition_key, id) VALUES (substr(OLD.key_hash, 1, 8), OLD.id);
END;
CREATE TRIGGER session_policy_changed AFTER UPDATE OF user_policy, signing_key ON sessions
    WHEN OLD.user_policy IS NOT NEW.user_policy OR OLD.signing_key <> NEW.signing_key
BEGIN
    INSERT INTO changes (partition_key, id) VALUES (substr(OLD.key_hash, 1, 8), OLD.id);
END;
CREATE TRIGGER session_deleted AFTER DELETE ON sessions WHEN OLD.ended_at IS NULL BEGIN
    INSERT INTO changes (partition_key) VALUES (substr(OLD.key_hash, 1, 8));
END;
CREATE TRIGGER everyone_ended AFTER INSERT ON ends_of_everyone BEGIN
    INSERT INTO changes (partition_key) VALUES (NULL);
END;
CREATE TRIGGER old_changes_deleted AFTER INSERT ON changes WHEN NEW.number % 100 = 0 BEGIN
    DELETE FROM changes WHERE number <= NEW.number - 10000;
END;
CREATE VIEW session_history AS
    SELECT user, id,
        strftime('%Y-%m-%dT%H:%M:%fZ', logged_in_at / 1000.0, 'unixepoch') AS logged_in_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1000.0, 'unixepoch') AS last_seen,
        strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
        ended_reason, ended_cause, ended_by, ip, device, actor
    FROM sessions WHERE in_history = 1;
