/**
 * Taking deliveries back. What waits ends here and now; what is in flight is only marked, and ends when its
 * attempt does: `endRemoved` then keeps it from being sent again.
 */
import type { Database } from "bun:sqlite";
import type { Removal } from "../domain/dated.ts";
import { DEADLINE_LANE, type DeliveryState, hasQueueRow } from "../domain/delivery.ts";
import { idBytes } from "./ids.ts";

interface RemovedRow {
  seq: number;
  state: DeliveryState;
  endpoint_seq: number;
  due_at: number | null;
}

export function createRemovals(db: Database) {
  // By the unique id.
  const find = db.query<RemovedRow, [Uint8Array, string, string]>(
    `SELECT seq, state, endpoint_seq, due_at FROM delivery
     WHERE id = ? AND project = ? AND profile = ? AND deleted_at IS NULL`,
  );
  // The queue's whole primary key.
  const dequeue = db.query("DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ?");
  const cancel = db.query(
    "UPDATE delivery SET state = 'cancelled', due_at = NULL, finished_at = ?, deleted_at = ? WHERE seq = ?",
  );
  const mark = db.query("UPDATE delivery SET deleted_at = ? WHERE seq = ?");

  /** Returns whether there was one to remove. */
  return ({ id, project, profile, states, now }: Removal): boolean => {
    const row = find.get(idBytes(id), project, profile);
    if (!row || (states !== undefined && !states.includes(row.state))) return false;
    if (row.state === "sending" || !hasQueueRow(row.state)) mark.run(now, row.seq);
    else {
      dequeue.run(row.state === "awaiting" ? DEADLINE_LANE : row.endpoint_seq, row.due_at, row.seq);
      cancel.run(now, now, row.seq);
    }
    return true;
  };
}

/**
 * Returns what a transition calls when it has put a delivery back into the queue: one that was removed while
 * it was in flight ends there.
 */
export function createEndRemoved(db: Database): (seq: number, at: number) => void {
  const find = db.query<RemovedRow, [number]>(
    "SELECT seq, state, endpoint_seq, due_at FROM delivery WHERE seq = ? AND deleted_at IS NOT NULL",
  );
  const dequeue = db.query("DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ?");
  const cancel = db.query(
    "UPDATE delivery SET state = 'cancelled', due_at = NULL, finished_at = ? WHERE seq = ?",
  );
  return (seq, at) => {
    const row = find.get(seq);
    if (!row) return;
    dequeue.run(row.state === "awaiting" ? DEADLINE_LANE : row.endpoint_seq, row.due_at, row.seq);
    cancel.run(at, row.seq);
  };
}
