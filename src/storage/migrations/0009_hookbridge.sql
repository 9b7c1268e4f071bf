-- What a history of messages needs: how often one was replayed, when a consumer fetched it, keys that make
-- sending idempotent, and indexes that let a page of a log cost the same whatever lies around it.

ALTER TABLE delivery ADD COLUMN replay_count INTEGER NOT NULL DEFAULT 0 CHECK (replay_count >= 0);
ALTER TABLE delivery ADD COLUMN fetched_at INTEGER;

-- Partial: deliveries of other doors never touch them. What succeeded, the common end, is found along the first;
-- what is in any other state is rare in comparison and has its own.
CREATE INDEX delivery_history ON delivery (project, profile, created_at, seq)
  WHERE profile = 'hookbridge' OR profile = 'hookbridge-inbound' OR profile = 'hookbridge-pull';
CREATE INDEX delivery_history_endpoint ON delivery (endpoint_seq, created_at, seq)
  WHERE profile = 'hookbridge' OR profile = 'hookbridge-inbound' OR profile = 'hookbridge-pull';
CREATE INDEX delivery_history_state ON delivery (project, profile, state, created_at, seq)
  WHERE state <> 'succeeded'
    AND (profile = 'hookbridge' OR profile = 'hookbridge-inbound' OR profile = 'hookbridge-pull');
CREATE INDEX delivery_history_endpoint_state ON delivery (endpoint_seq, state, created_at, seq)
  WHERE state <> 'succeeded'
    AND (profile = 'hookbridge' OR profile = 'hookbridge-inbound' OR profile = 'hookbridge-pull');

-- One row per idempotency key of a sender. It goes with its delivery, or when that is erased.
CREATE TABLE send_key (
  endpoint_seq INTEGER NOT NULL,
  key TEXT NOT NULL,
  delivery_seq INTEGER NOT NULL,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  PRIMARY KEY (endpoint_seq, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX send_key_delivery ON send_key (delivery_seq);
CREATE TRIGGER send_key_purged AFTER DELETE ON delivery BEGIN
  DELETE FROM send_key WHERE delivery_seq = old.seq;
END;

-- Bodies that are to go before their time. A row waits until its delivery has ended.
CREATE TABLE payload_expiry (
  expires_at INTEGER NOT NULL,
  payload_seq INTEGER NOT NULL,
  PRIMARY KEY (expires_at, payload_seq)
) STRICT, WITHOUT ROWID;

-- What was handed out in pull mode counts like what was sent.
ALTER TABLE rollup ADD COLUMN fetched INTEGER NOT NULL DEFAULT 0;

-- How long what succeeded had taken since it was made; the mean over a window needs no list of deliveries.
ALTER TABLE rollup ADD COLUMN delivery_sum_ms INTEGER NOT NULL DEFAULT 0;

-- How a key begins, where its maker wanted it shown: the rest of it is known by its hash only.
ALTER TABLE api_key ADD COLUMN hint TEXT;

-- Files that clients ask for, in parts: `spec` is what was asked (JSON). Parts go when the export does.
CREATE TABLE export (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  project TEXT NOT NULL,
  spec TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state = 'pending' OR state = 'processing' OR state = 'completed'
    OR state = 'failed' OR state = 'expired'),
  row_count INTEGER,
  size_bytes INTEGER,
  error TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  completed_at INTEGER,
  expires_at INTEGER
) STRICT;
CREATE INDEX export_project ON export (project, seq);
CREATE TABLE export_part (
  export_seq INTEGER NOT NULL,
  number INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (export_seq, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER export_removed AFTER DELETE ON export BEGIN
  DELETE FROM export_part WHERE export_seq = old.seq;
END;
