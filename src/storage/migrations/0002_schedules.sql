-- How many runs of a schedule were given up, and why: a row per reason that occurred. schedule.skipped_count is
-- their sum, read with every list.
CREATE TABLE schedule_skip (
  schedule_seq INTEGER NOT NULL,
  reason TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count > 0),
  PRIMARY KEY (schedule_seq, reason)
) STRICT, WITHOUT ROWID;

-- How late runs were: the newest one, and the worst since the schedule was made. In milliseconds, from when a run
-- was due until it was stored.
ALTER TABLE schedule ADD COLUMN last_late_ms INTEGER CHECK (last_late_ms >= 0);
ALTER TABLE schedule ADD COLUMN late_ms_max INTEGER CHECK (late_ms_max >= last_late_ms);

-- Retired ones, for retention.
CREATE INDEX schedule_retired ON schedule (seq) WHERE deleted_at IS NOT NULL;
