/** A sweep along a table: what most kinds of the purge are (purge.ts). */
import type { Database } from "bun:sqlite";
import type { GoneObject } from "../domain/access.ts";

export interface PurgeBounds {
  /**
   * What finished, came, stopped or expired at or before this instant may go: for `dedupe` that is now.
   * Logs, bodies and pages that go for the disk budget go whatever it says; pass 0.
   */
  readonly before: number;
  /** Rows deleted at most, or pages. */
  readonly limit: number;
}

export interface PurgeResult {
  readonly deletedCount: number;
  readonly isDone: boolean;
  /** What whoever holds definitions in memory should forget. */
  readonly gone?: readonly GoneObject[];
}

export type PurgeStep = (bounds: PurgeBounds) => PurgeResult;

export interface Numbered {
  seq: number;
}

/** Seqs looked at in one step: about a millisecond of reading when none of them may go. */
const STRETCH = 2_048;

export interface Sweep {
  readonly table: "delivery" | "event" | "payload" | "log_line";
  /** When the row came: the sweep ends at the first one that is younger than `before`. */
  readonly instant: string;
  /** Chooses rows of the stretch: parameters are from, to, before, limit, in this order. */
  readonly find: string;
  readonly remove: (seq: number) => void;
}

/** Returns a sweep along a table's seq. Holes left by earlier deletes are jumped over. */
export function createSweep(db: Database, { table, instant, find, remove }: Sweep): PurgeStep {
  const next = db.query<{ seq: number; at: number }, [number]>(
    `SELECT seq, ${instant} AS at FROM ${table} WHERE seq > ? ORDER BY seq LIMIT 1`,
  );
  const rows = db.query<Numbered, [number, number, number, number]>(find);
  let cursor = 0;
  return ({ before, limit }) => {
    const from = next.get(cursor);
    // Rows are numbered as they come, so behind one that is too young there are only younger ones.
    if (!from || from.at > before) {
      cursor = 0;
      return { deletedCount: 0, isDone: true };
    }
    const to = from.seq + STRETCH - 1;
    const found = rows.all(from.seq, to, before, limit);
    for (const { seq } of found) remove(seq);
    // A full step may have left some of the stretch behind its last row.
    cursor = found.length < limit ? to : (found.at(-1)?.seq ?? to);
    return { deletedCount: found.length, isDone: false };
  };
}
