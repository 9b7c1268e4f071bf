-- Keys of Postern's own making, sealed under the master key. They outlive its rotation: a token that was
-- signed before it is still one afterwards.
CREATE TABLE secret (
  name TEXT PRIMARY KEY,
  sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
