/**
 * Process rows: a lease names one. The lock makes this process the only live one, so it may take back all
 * others'.
 */
import type { Database } from "bun:sqlite";
import { createEndRemoved } from "./removals.ts";

export interface Registration {
  readonly lease: number;
  /** Deliveries that a process which is gone was sending; they are back in line. */
  readonly rescuedCount: number;
}

/**
 * Makes this process's row and returns every foreign lease to the queue, in one transaction. Reads the whole
 * queue once (opening a store with a million rows takes some 60 ms in all, measured once): an index on leases
 * would cost two writes per delivery instead.
 */
export function registerProcess(db: Database, version: string, now: number): Registration {
  return db
    .transaction(() => {
      db.query("UPDATE process SET stopped_at = ? WHERE stopped_at IS NULL").run(now);
      const { lastInsertRowid } = db
        .query("INSERT INTO process (started_at, heartbeat_at, version) VALUES (?, ?, ?)")
        .run(now, now, version);
      const { changes } = db
        .query(
          `UPDATE delivery
           SET state = CASE WHEN attempt_count > budget_start THEN 'retrying' ELSE 'queued' END
           WHERE state = 'sending' AND seq IN (SELECT delivery_seq FROM queue WHERE lease IS NOT NULL)`,
        )
        .run();
      endRemovedInFlight(db, now);
      db.query("UPDATE queue SET lease = NULL WHERE lease IS NOT NULL").run();
      return { lease: Number(lastInsertRowid), rescuedCount: changes };
    })
    .immediate();
}

/** What was taken back while it was in flight is not sent again. */
function endRemovedInFlight(db: Database, now: number): void {
  const removed = `SELECT seq FROM delivery
    WHERE deleted_at IS NOT NULL AND seq IN (SELECT delivery_seq FROM queue WHERE lease IS NOT NULL)`;
  const endRemoved = createEndRemoved(db);
  for (const { seq } of db.query<{ seq: number }, []>(removed).all()) endRemoved(seq, now);
}

export function createProcessWrites(db: Database, lease: number) {
  const beat = db.query("UPDATE process SET heartbeat_at = ? WHERE seq = ?");
  return { heartbeat: (now: number): void => void beat.run(now, lease) };
}

export function markStopped(db: Database, lease: number, now: number): void {
  db.query("UPDATE process SET heartbeat_at = ?, stopped_at = ? WHERE seq = ?").run(now, now, lease);
}
