/**
 * What a paused source took in comes due when the source is resumed or retired. Step by step, like parking;
 * the index holds nothing else, so that a step costs the same whatever else is pending.
 */
import type { Database } from "bun:sqlite";
import { DUE_ON_RESUME } from "../domain/delivery.ts";

export interface ReleaseInput {
  readonly now: number;
  /** Rows looked at in this step. */
  readonly limit: number;
  /** The `next` of the step before; null at first. */
  readonly after: number | null;
}

export interface ReleaseResult {
  /** Lanes in which something is due now. */
  readonly lanes: readonly number[];
  /** Null when all were looked at. */
  readonly next: number | null;
}

interface HeldRow {
  seq: number;
  endpoint_seq: number;
  is_paused: number;
}

/** Along the partial index delivery_on_resume; its condition must stand here as it stands there. */
export const RELEASE_SQL = `SELECT d.seq, d.endpoint_seq,
    s.paused_at IS NOT NULL AND s.deleted_at IS NULL AS is_paused
  FROM delivery d
  LEFT JOIN event e ON e.seq = d.event_seq
  LEFT JOIN source s ON s.seq = e.source_seq
  WHERE d.due_at = ${DUE_ON_RESUME} AND d.seq > ? ORDER BY d.seq LIMIT ?`;

export function createReleases(db: Database) {
  const walk = db.query<HeldRow, [number, number]>(RELEASE_SQL);
  const dequeue = db.query("DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ?");
  const enqueue = db.query("INSERT INTO queue (lane, due_at, delivery_seq, lease) VALUES (?, ?, ?, NULL)");
  const release = db.query("UPDATE delivery SET state = 'queued', due_at = ? WHERE seq = ?");

  function releaseHeld({ now, limit, after }: ReleaseInput): ReleaseResult {
    const rows = walk.all(after ?? 0, limit);
    const lanes = new Set<number>();
    for (const { seq, endpoint_seq: lane, is_paused } of rows) {
      if (is_paused === 1) continue;
      dequeue.run(lane, DUE_ON_RESUME, seq);
      enqueue.run(lane, now, seq);
      release.run(now, seq);
      lanes.add(lane);
    }
    return { lanes: [...lanes], next: rows.length < limit ? null : (rows.at(-1)?.seq ?? null) };
  }

  return { releaseHeld };
}
