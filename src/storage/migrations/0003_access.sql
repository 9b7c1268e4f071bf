-- Keys under which API callers make an event at most once. The digest of what was sent with it tells a repeat
-- from another event under the same key. Purged by a walk along the primary key, as dedupe is.
CREATE TABLE idempotency (
  project TEXT NOT NULL,
  key TEXT NOT NULL,
  event_id BLOB NOT NULL CHECK (length(event_id) = 16),
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (project, key)
) STRICT, WITHOUT ROWID;

-- What the caller of the API calls the event; shown, and never searched for.
ALTER TABLE event ADD COLUMN external_id TEXT;
