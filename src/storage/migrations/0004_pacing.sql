-- Lines: deliveries that are sent one after the other. Everything of a line that has not left it has a row here;
-- exactly one of them, the head, may be due. The others are in the queue at the instant that stands for "when it
-- is your turn", and keep here when they would have been due. `key` is empty in a line of a whole endpoint.
ALTER TABLE delivery ADD COLUMN ordering_key TEXT;

CREATE TABLE line (
  lane INTEGER NOT NULL,
  key TEXT NOT NULL,
  delivery_seq INTEGER NOT NULL,
  is_head INTEGER NOT NULL CHECK (is_head = 0 OR is_head = 1),
  due_at INTEGER NOT NULL,
  PRIMARY KEY (lane, key, delivery_seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX line_head ON line (lane, key) WHERE is_head = 1;

-- Since when an endpoint has done nothing but fail. A row only while it does, and only once that has lasted.
CREATE TABLE endpoint_failing (
  endpoint_seq INTEGER PRIMARY KEY,
  since INTEGER NOT NULL
) STRICT;
