/** Since when endpoints have done nothing but fail: what disabling them must remember over a restart. */
import type { Database } from "bun:sqlite";

export interface FailingSince {
  readonly lane: number;
  readonly since: number;
}

export function createFailingWrites(db: Database) {
  const put = db.query(
    `INSERT INTO endpoint_failing (endpoint_seq, since) VALUES (?, ?)
     ON CONFLICT (endpoint_seq) DO UPDATE SET since = excluded.since`,
  );
  const remove = db.query("DELETE FROM endpoint_failing WHERE endpoint_seq = ?");
  return {
    setFailingSince: (lane: number, since: number | null): void => {
      if (since === null) remove.run(lane);
      else put.run(lane, since);
    },
  };
}

/** At most one row per endpoint. */
export function loadFailing(db: Database): FailingSince[] {
  return db
    .query<{ endpoint_seq: number; since: number }, []>("SELECT endpoint_seq, since FROM endpoint_failing")
    .all()
    .map(({ endpoint_seq, since }) => ({ lane: endpoint_seq, since }));
}
