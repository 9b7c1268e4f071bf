-- The first shape of a store. Instants are epoch milliseconds. `seq` is the store's own sequence: events and
-- deliveries share one counter, assigned by the writer, and every cursor is made of it. Ids are UUIDv7 BLOBs.

CREATE TABLE process (
  seq INTEGER PRIMARY KEY,
  started_at INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL,
  stopped_at INTEGER,
  version TEXT NOT NULL
) STRICT;

-- One row per name: the check value of the master key, the kind of clock.
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE project (
  seq INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  door TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  retired_at INTEGER
) STRICT;

-- Keys are stored as SHA-256 only; they have full entropy, so a slow password hash would buy nothing per
-- request.
CREATE TABLE api_key (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  label TEXT,
  scope TEXT NOT NULL CHECK (scope IN ('ingest', 'read', 'admin')),
  door TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;

-- `spec` is the definition without secrets (JSON); `sealed` is the part with them, encrypted under the master
-- key.
CREATE TABLE endpoint (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  door TEXT NOT NULL,
  url TEXT NOT NULL,
  spec TEXT NOT NULL,
  sealed BLOB NOT NULL,
  paused_at INTEGER,
  disabled_at INTEGER,
  disabled_reason TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER,
  CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
) STRICT;
CREATE UNIQUE INDEX endpoint_name ON endpoint (project, name) WHERE deleted_at IS NULL;

CREATE TABLE source (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  door TEXT NOT NULL,
  spec TEXT NOT NULL,
  sealed BLOB NOT NULL,
  paused_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX source_name ON source (name) WHERE deleted_at IS NULL;

-- Nothing secret in it. `event_types` is a JSON list of patterns; `endpoint` is a name, as in a source's targets.
CREATE TABLE subscription (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  door TEXT NOT NULL,
  tenant TEXT NOT NULL,
  event_types TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX subscription_name ON subscription (project, name) WHERE deleted_at IS NULL;

-- `spec` is the definition (JSON). `next_run_at` is the planned instant of the next run and the guard of every
-- step: what was decided about another one is not applied. `next_due_at` is later by the run's jitter. Both are
-- absent in a schedule that is paused, ended or deleted.
CREATE TABLE schedule (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  door TEXT NOT NULL,
  spec TEXT NOT NULL,
  anchor_at INTEGER NOT NULL,
  next_run_at INTEGER,
  next_due_at INTEGER CHECK (next_due_at >= next_run_at),
  paused_at INTEGER,
  run_count INTEGER NOT NULL DEFAULT 0,
  skipped_count INTEGER NOT NULL DEFAULT 0,
  last_run_at INTEGER,
  last_skip_at INTEGER,
  last_skip_reason TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER,
  CHECK ((next_run_at IS NULL) = (next_due_at IS NULL)),
  CHECK (next_run_at IS NULL OR (paused_at IS NULL AND deleted_at IS NULL)),
  CHECK ((last_skip_at IS NULL) = (last_skip_reason IS NULL))
) STRICT;
CREATE UNIQUE INDEX schedule_name ON schedule (project, name) WHERE deleted_at IS NULL;
CREATE INDEX schedule_due ON schedule (next_due_at) WHERE next_due_at IS NOT NULL;
CREATE INDEX schedule_list ON schedule (project, seq) WHERE deleted_at IS NULL;

-- Runs that wait until an earlier one of their schedule is done (overlap "queue").
CREATE TABLE schedule_run (
  schedule_seq INTEGER NOT NULL,
  occurrence_at INTEGER NOT NULL,
  PRIMARY KEY (schedule_seq, occurrence_at)
) STRICT, WITHOUT ROWID;

-- Bodies and headers are written once and read only to send or to show; they stay out of every list and every
-- index.
CREATE TABLE payload (
  seq INTEGER PRIMARY KEY,
  headers TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  source_seq INTEGER,
  type TEXT,
  tenant TEXT,
  received_at INTEGER NOT NULL,
  remote_address TEXT,
  size_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX event_source ON event (source_seq, seq);

-- A remembered key carries the first event's id, so that a duplicate is answered even after that event was
-- purged.
CREATE TABLE dedupe (
  source_seq INTEGER NOT NULL,
  key TEXT NOT NULL,
  event_id BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (source_seq, key)
) STRICT, WITHOUT ROWID;

-- The states and what must hold in each; src/domain/delivery.ts has the table of changes. Written with OR on
-- purpose: for every IN list SQLite builds a table in memory each time a row is checked, which made an insert
-- cost 7.8 us instead of 2.2 and an update 7.5 instead of 1.2.
CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  event_seq INTEGER,
  payload_seq INTEGER NOT NULL,
  schedule_seq INTEGER,
  endpoint_seq INTEGER NOT NULL,
  profile TEXT NOT NULL,
  spec TEXT,
  state TEXT NOT NULL CHECK (state = 'queued' OR state = 'sending' OR state = 'succeeded' OR state = 'retrying'
    OR state = 'awaiting' OR state = 'held' OR state = 'stored' OR state = 'fetched' OR state = 'dead'
    OR state = 'cancelled' OR state = 'discarded'),
  attempt_count INTEGER NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
  budget_start INTEGER NOT NULL DEFAULT 0 CHECK (budget_start BETWEEN 0 AND attempt_count),
  policy_state TEXT,
  created_at INTEGER NOT NULL,
  scheduled_at INTEGER NOT NULL,
  due_at INTEGER,
  finished_at INTEGER,
  last_status INTEGER,
  last_error TEXT,
  deleted_at INTEGER,
  CHECK ((due_at IS NOT NULL) = (state = 'queued' OR state = 'sending' OR state = 'awaiting'
    OR state = 'retrying' OR state = 'held')),
  CHECK ((finished_at IS NOT NULL) = (state = 'succeeded' OR state = 'dead' OR state = 'cancelled'
    OR state = 'discarded')),
  CHECK (attempt_count > 0 OR (state <> 'retrying' AND state <> 'awaiting' AND state <> 'dead'))
) STRICT;
CREATE INDEX delivery_endpoint ON delivery (endpoint_seq, seq);
CREATE INDEX delivery_event ON delivery (event_seq) WHERE event_seq IS NOT NULL;
-- The runs of a schedule, and those of them that are not done.
CREATE INDEX delivery_schedule ON delivery (schedule_seq, seq) WHERE schedule_seq IS NOT NULL;
CREATE INDEX delivery_active_run ON delivery (schedule_seq)
  WHERE schedule_seq IS NOT NULL AND finished_at IS NULL;
-- Partial, so that the common way (queued or sending, then succeeded) never touches it.
CREATE INDEX delivery_notable ON delivery (state, seq)
  WHERE state = 'awaiting' OR state = 'retrying' OR state = 'held' OR state = 'stored' OR state = 'fetched'
    OR state = 'dead' OR state = 'cancelled' OR state = 'discarded';

-- Partial too: what a source in pull mode has waiting (its endpoint_seq is negative), and what is held until its
-- source resumes, which waits for the last instant there is.
CREATE INDEX delivery_pull ON delivery (endpoint_seq, state, seq) WHERE state = 'stored' OR state = 'fetched';
CREATE INDEX delivery_on_resume ON delivery (seq) WHERE due_at = 8640000000000000;

-- The hot table: a row exactly while the delivery waits or is being sent. Narrow on purpose; a lane is read
-- in order of due time. Lane 0 holds the deadlines of awaiting deliveries.
CREATE TABLE queue (
  lane INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  delivery_seq INTEGER NOT NULL,
  lease INTEGER,
  PRIMARY KEY (lane, due_at, delivery_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
  delivery_seq INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK (number > 0),
  started_at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome = 'succeeded' OR outcome = 'failed' OR outcome = 'awaiting'),
  status INTEGER,
  failure TEXT,
  error TEXT,
  excerpt BLOB,
  detail TEXT,
  PRIMARY KEY (delivery_seq, number),
  CHECK ((outcome = 'failed') = (failure IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE rejection (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  source_seq INTEGER NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  diagnosis TEXT,
  received_at INTEGER NOT NULL,
  method TEXT NOT NULL,
  url TEXT NOT NULL,
  remote_address TEXT,
  headers TEXT NOT NULL,
  body BLOB NOT NULL,
  is_body_cut INTEGER NOT NULL CHECK (is_body_cut IN (0, 1)),
  -- Once somebody let the request in after all: when, as which event, and whether against its verdict.
  admitted_at INTEGER,
  admitted_event_id BLOB,
  is_forced INTEGER CHECK (is_forced IN (0, 1)),
  CHECK ((admitted_at IS NULL) = (admitted_event_id IS NULL) AND (admitted_at IS NULL) = (is_forced IS NULL))
) STRICT;
CREATE INDEX rejection_source ON rejection (source_seq, seq);
