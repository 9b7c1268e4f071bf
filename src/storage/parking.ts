/**
 * Parks a lane's backlog and takes it back, step by step. The queue rows stay where they are; only states
 * change.
 */
import type { Database } from "bun:sqlite";
import { DUE_WHEN_ASKED } from "../domain/delivery.ts";
import type { ParkInput, ParkResult } from "./contract.ts";

interface QueueKey {
  due_at: number;
  delivery_seq: number;
}

export function createParking(db: Database) {
  // One range of the queue's primary key; the cursor makes every step cost the same.
  const walk = db.query<QueueKey, [number, number, number, number, number]>(
    `SELECT due_at, delivery_seq FROM queue
     WHERE lane = ? AND (due_at, delivery_seq) > (?, ?) AND due_at <= ? AND lease IS NULL
     ORDER BY due_at, delivery_seq LIMIT ?`,
  );
  const hold = db.query(
    "UPDATE delivery SET state = 'held' WHERE seq = ? AND state IN ('queued', 'retrying')",
  );
  const unhold = db.query(
    `UPDATE delivery SET state = CASE WHEN attempt_count > budget_start THEN 'retrying' ELSE 'queued' END
     WHERE seq = ? AND state = 'held' AND due_at < ${DUE_WHEN_ASKED}`,
  );

  function parkLane({ lane, to, dueBy, limit, after }: ParkInput): ParkResult {
    const rows = walk.all(lane, after?.dueAt ?? -1, after?.seq ?? 0, dueBy, limit);
    const move = to === "held" ? hold : unhold;
    let movedCount = 0;
    for (const row of rows) movedCount += move.run(row.delivery_seq).changes;
    const last = rows.length < limit ? undefined : rows.at(-1);
    return { movedCount, next: last ? { dueAt: last.due_at, seq: last.delivery_seq } : null };
  }

  return { parkLane };
}
