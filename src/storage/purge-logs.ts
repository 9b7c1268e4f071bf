/** Forgetting what functions logged: by age, and for the disk budget (purge.ts). */
import type { Database } from "bun:sqlite";
import { createSweep, type Numbered, type PurgeStep } from "./purge-sweep.ts";

/** The oldest first, from the front of the table: lines are numbered as they are stored. */
export function createLogs(db: Database): PurgeStep {
  const oldest = db.query<Numbered & { stored_at: number }, [number]>(
    "SELECT seq, stored_at FROM log_line ORDER BY seq LIMIT ?",
  );
  const remove = db.query("DELETE FROM log_line WHERE seq = ?");
  return ({ before, limit }) => {
    const old = oldest.all(limit).filter(({ stored_at: at }) => at <= before);
    for (const { seq } of old) remove.run(seq);
    return { deletedCount: old.length, isDone: old.length < limit };
  };
}

/** Oldest first, whatever their age. Those of an execution that is not over stay: somebody is watching it. */
export function createFinishedLogs(db: Database): PurgeStep {
  const remove = db.query("DELETE FROM log_line WHERE seq = ?");
  return createSweep(db, {
    table: "log_line",
    instant: "-1",
    // The primary key's range, then delivery by primary key. The third parameter is unused.
    find: `SELECT seq FROM log_line l WHERE seq BETWEEN ? AND ? AND ? IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq = l.delivery_seq AND d.finished_at IS NULL)
      ORDER BY seq LIMIT ?`,
    remove: (seq) => void remove.run(seq),
  });
}
