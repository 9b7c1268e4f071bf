-- What dated deliveries need: those that are listed by the instant that they are planned for. Partial, so that
-- deliveries of other doors never touch these indexes.

CREATE INDEX delivery_dated ON delivery (project, scheduled_at, seq)
  WHERE profile = 'posthook' AND deleted_at IS NULL;
CREATE INDEX delivery_dated_created ON delivery (project, created_at, seq)
  WHERE profile = 'posthook' AND deleted_at IS NULL;
-- Two kinds that are looked for among many others: what has not ended, and what ended without success.
CREATE INDEX delivery_dated_active ON delivery (project, scheduled_at, seq)
  WHERE profile = 'posthook' AND deleted_at IS NULL AND finished_at IS NULL;
CREATE INDEX delivery_dated_failed ON delivery (project, scheduled_at, seq)
  WHERE profile = 'posthook' AND deleted_at IS NULL
    AND (state = 'dead' OR state = 'cancelled' OR state = 'discarded');

-- How much of an allowance a project has used in the period that began at period_at. One row per allowance.
CREATE TABLE allowance (
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  period_at INTEGER NOT NULL,
  used INTEGER NOT NULL CHECK (used >= 0),
  PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;
