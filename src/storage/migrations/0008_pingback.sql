-- Functions: what an application registered and we call. A function is an endpoint and, if it is a cron, a
-- schedule of the same name; an execution is a delivery. What they need beyond that is here.

-- The delivery whose outcome made this one (fan-out). Parents may be purged before their children: a number
-- that leads nowhere means that there is no parent any more.
ALTER TABLE delivery ADD COLUMN parent_seq INTEGER;
CREATE INDEX delivery_parent ON delivery (parent_seq, seq) WHERE parent_seq IS NOT NULL;
-- What waits for a retry takes a place of its function, also while it is not due.
CREATE INDEX delivery_retrying ON delivery (endpoint_seq) WHERE state = 'retrying';

-- What a handler logged; it commits with the outcome of its attempt. `at` is the application's word,
-- `stored_at` ours, and the one that retention goes by.
CREATE TABLE log_line (
  seq INTEGER PRIMARY KEY,
  delivery_seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL CHECK (attempt > 0),
  project TEXT NOT NULL,
  endpoint_seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  level TEXT NOT NULL CHECK (level = 'debug' OR level = 'info' OR level = 'warn' OR level = 'error'),
  message TEXT NOT NULL,
  meta TEXT
) STRICT;
CREATE INDEX log_line_delivery ON log_line (delivery_seq, seq);
CREATE INDEX log_line_endpoint ON log_line (endpoint_seq, seq);

-- Where the functions of a project live: one application per project. The secret that it shares with us is
-- sealed under the master key.
CREATE TABLE function_host (
  project TEXT PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  title TEXT NOT NULL,
  domain TEXT,
  endpoint_url TEXT,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Executions of a project, newest first: the deliveries that follow this profile.
CREATE INDEX delivery_execution ON delivery (project, seq) WHERE profile = 'pingback';

-- When a key was last used, to the minute.
CREATE TABLE key_use (
  key_id BLOB PRIMARY KEY CHECK (length(key_id) = 16),
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
