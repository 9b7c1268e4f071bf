-- Whom a tenant's events are sent to. `spec` has no secret in it; `sealed` holds the signing secret and the
-- subscriptions, whose headers are often credentials of the receiver.
CREATE TABLE callback_config (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  door TEXT NOT NULL,
  tenant TEXT NOT NULL,
  spec TEXT NOT NULL,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;

-- One per event and matching subscription. It has the number of the delivery that sends it; what was refused
-- before anything could be sent has none. `event_seq` owns the payload.
CREATE TABLE callback_execution (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  config_id BLOB NOT NULL CHECK (length(config_id) = 16),
  event_seq INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  event_type TEXT NOT NULL,
  target_url TEXT NOT NULL,
  refusal TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX callback_execution_project ON callback_execution (project, seq);
-- Those that no delivery takes along when it is purged go with their event.
CREATE INDEX callback_execution_refused ON callback_execution (event_seq) WHERE refusal IS NOT NULL;
CREATE INDEX callback_execution_config ON callback_execution (config_id, seq);
