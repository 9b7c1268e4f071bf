/**
 * Lines: deliveries of one lane and ordering key, sent in the order in which they were accepted, one at a
 * time. Only the head of a line is ever due; the rest waits at DUE_IN_ORDER, where no claim finds it. What
 * ends the head makes the next one due in the same transaction, so a line never stops and never has two
 * heads, whenever the process dies. Nothing of a line is held in memory.
 */
import type { Database } from "bun:sqlite";
import { DUE_IN_ORDER, DUE_ON_RESUME } from "../domain/delivery.ts";

export interface LinePlace {
  readonly lane: number;
  readonly key: string;
  readonly seq: number;
}

interface NextRow {
  delivery_seq: number;
  due_at: number;
}

/** The oldest of a line, by its primary key. */
export const NEXT_IN_LINE_SQL =
  "SELECT delivery_seq, due_at FROM line WHERE lane = ? AND key = ? ORDER BY delivery_seq LIMIT 1";

export type Lines = ReturnType<typeof createLines>;

export function createLines(db: Database) {
  const first = db.query<NextRow, [number, string]>(NEXT_IN_LINE_SQL);
  const own = db.query<{ is_head: number }, [number, string, number]>(
    "SELECT is_head FROM line WHERE lane = ? AND key = ? AND delivery_seq = ?",
  );
  const insert = db.query(
    "INSERT INTO line (lane, key, delivery_seq, is_head, due_at) VALUES (?, ?, ?, ?, ?)",
  );
  const remove = db.query<{ is_head: number }, [number, string, number]>(
    "DELETE FROM line WHERE lane = ? AND key = ? AND delivery_seq = ? RETURNING is_head",
  );
  const promote = db.query("UPDATE line SET is_head = 1 WHERE lane = ? AND key = ? AND delivery_seq = ?");
  const dequeue = db.query("DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ?");
  const enqueue = db.query("INSERT INTO queue (lane, due_at, delivery_seq, lease) VALUES (?, ?, ?, NULL)");
  const setDue = db.query("UPDATE delivery SET due_at = ? WHERE seq = ?");
  // The source of a delivery by its event, each by primary key.
  const isSourcePaused = db.query<{ seq: number }, [number]>(
    `SELECT s.seq FROM delivery d JOIN event e ON e.seq = d.event_seq JOIN source s ON s.seq = e.source_seq
     WHERE d.seq = ? AND s.paused_at IS NOT NULL AND s.deleted_at IS NULL`,
  );

  /**
   * Takes a place and returns when the delivery is due: as asked when it is the head, else in its turn. One
   * that is in the line already (a dead letter that blocks it) keeps its place.
   */
  function enter({ lane, key, seq }: LinePlace, dueAt: number): number {
    const known = own.get(lane, key, seq);
    if (known) return known.is_head === 1 ? dueAt : DUE_IN_ORDER;
    const isHead = first.get(lane, key) === null;
    insert.run(lane, key, seq, isHead ? 1 : 0, dueAt);
    return isHead ? dueAt : DUE_IN_ORDER;
  }

  /** Gives a place up, if it has one; the next becomes due when it was the head's. */
  function leave({ lane, key, seq }: LinePlace, now: number): void {
    if (remove.get(lane, key, seq)?.is_head !== 1) return;
    const next = first.get(lane, key);
    if (next === null) return;
    promote.run(lane, key, next.delivery_seq);
    const dueAt = dueOf(next, now);
    if (dequeue.run(lane, DUE_IN_ORDER, next.delivery_seq).changes === 0) {
      throw new Error(`delivery ${next.delivery_seq} stands in a line but does not wait for its turn`);
    }
    enqueue.run(lane, dueAt, next.delivery_seq);
    setDue.run(dueAt, next.delivery_seq);
  }

  /** What was held until its source resumes may have missed that while it waited for its turn. */
  function dueOf({ delivery_seq, due_at }: NextRow, now: number): number {
    if (due_at !== DUE_ON_RESUME) return due_at;
    return isSourcePaused.get(delivery_seq) === null ? now : DUE_ON_RESUME;
  }

  return { enter, leave };
}
