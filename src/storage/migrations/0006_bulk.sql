-- Sums per endpoint and minute, per endpoint and hour, and both again for the whole project (lane 0).
-- `durations` is a JSON object from the number of a latency bucket to a count (src/domain/rollup.ts).
CREATE TABLE rollup (
  project TEXT NOT NULL,
  lane INTEGER NOT NULL,
  bucket_ms INTEGER NOT NULL CHECK (bucket_ms = 60000 OR bucket_ms = 3600000),
  at INTEGER NOT NULL,
  created INTEGER NOT NULL,
  succeeded INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  discarded INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  retries INTEGER NOT NULL,
  attempts_succeeded INTEGER NOT NULL,
  attempts_failed INTEGER NOT NULL,
  duration_sum_ms INTEGER NOT NULL,
  duration_max_ms INTEGER NOT NULL,
  durations TEXT NOT NULL,
  PRIMARY KEY (project, lane, bucket_ms, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollup_age ON rollup (bucket_ms, at);

-- A repair of many deliveries: `filter` is JSON (src/domain/bulk.ts). Everything up to `cursor` has been looked
-- at, and what matched was changed in the transaction that moved the cursor there: that is why no crash makes
-- an item change twice or not at all. Deliveries newer than `last_seq` are none of its business.
CREATE TABLE bulk (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action = 'retry' OR action = 'cancel' OR action = 'discard' OR action = 'replay'),
  is_as_new INTEGER NOT NULL CHECK (is_as_new = 0 OR is_as_new = 1),
  filter TEXT NOT NULL,
  rate REAL CHECK (rate > 0),
  state TEXT NOT NULL CHECK (state = 'running' OR state = 'paused' OR state = 'done' OR state = 'cancelled'),
  last_seq INTEGER NOT NULL,
  cursor INTEGER NOT NULL,
  changed_count INTEGER NOT NULL DEFAULT 0,
  skipped_count INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  finished_at INTEGER,
  CHECK ((finished_at IS NOT NULL) = (state = 'done' OR state = 'cancelled'))
) STRICT;
CREATE INDEX bulk_project ON bulk (project, seq);
CREATE INDEX bulk_open ON bulk (seq) WHERE finished_at IS NULL;
CREATE INDEX bulk_finished ON bulk (finished_at) WHERE finished_at IS NOT NULL;
