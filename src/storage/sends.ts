/**
 * Sending with a key, and erasing. Both are decided inside the writer's transaction, so that two requests
 * with one key cannot both insert, and what is erased cannot be sent by a retry that is just being planned.
 */
import type { Database } from "bun:sqlite";
import type { DeliveryState } from "../domain/delivery.ts";
import type { Id } from "../domain/id.ts";
import type { EraseResult, NewSend, SendResult } from "../domain/sending.ts";
import type { DeliveryInserter } from "./deliveries.ts";
import { idBytes, idText } from "./ids.ts";
import type { Journal } from "./journal.ts";

interface KnownRow {
  fingerprint: Uint8Array;
  id: Uint8Array;
  state: DeliveryState;
}

export function createSendWrites(db: Database, insertDelivery: DeliveryInserter, journal: Journal) {
  // By the primary key of send_key, then of delivery.
  const find = db.query<KnownRow, [number, string]>(
    `SELECT k.fingerprint, d.id, d.state FROM send_key k JOIN delivery d ON d.seq = k.delivery_seq
     WHERE k.endpoint_seq = ? AND k.key = ?`,
  );
  const remember = db.query(
    "INSERT INTO send_key (endpoint_seq, key, delivery_seq, fingerprint) VALUES (?, ?, ?, ?)",
  );
  const expire = db.query("INSERT INTO payload_expiry (expires_at, payload_seq) VALUES (?, ?)");

  function send({ send: { delivery, key, expiresAt, now } }: { readonly send: NewSend }): SendResult {
    const known = key === null ? null : find.get(delivery.lane, key.key);
    if (known && key !== null) {
      if (Buffer.compare(known.fingerprint, key.fingerprint) !== 0) return { kind: "mismatch" };
      return { kind: "known", id: idText(known.id), state: known.state };
    }
    const seq = insertDelivery(delivery, { eventSeq: null, payloadSeq: null, createdAt: now });
    if (key !== null) remember.run(delivery.lane, key.key, seq, key.fingerprint);
    if (expiresAt !== null) expire.run(expiresAt, seq);
    return { kind: "created", seq };
  }

  return { send, erase: createErase(db, journal) };
}

interface ErasedRow {
  seq: number;
  payload_seq: number;
  state: DeliveryState;
  deleted_at: number | null;
  due_at: number | null;
  endpoint_seq: number;
  attempt_count: number;
  budget_start: number;
}

type Erase = (input: { id: Id; project: string; now: number }) => EraseResult;

function createErase(db: Database, journal: Journal): Erase {
  const find = db.query<ErasedRow, [Uint8Array, string]>(
    `SELECT seq, payload_seq, state, deleted_at, due_at, endpoint_seq, attempt_count, budget_start
     FROM delivery WHERE id = ? AND project = ?`,
  );
  const mark = db.query("UPDATE delivery SET deleted_at = ? WHERE seq = ?");
  const end = db.query(
    "UPDATE delivery SET deleted_at = ?1, state = ?3, due_at = NULL, finished_at = ?1 WHERE seq = ?2",
  );
  const dequeue = db.query("DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ?");
  const forget = db.query("DELETE FROM send_key WHERE delivery_seq = ?");
  const payload = db.query("DELETE FROM payload WHERE seq = ?");

  /** Those who count and watch hear of it as of any other end. */
  function finish(row: ErasedRow, to: "cancelled" | "discarded", now: number): void {
    end.run(now, row.seq, to);
    const { seq, endpoint_seq: lane, state: from, due_at: fromDueAt, attempt_count: attemptCount } = row;
    const change = {
      ...{ seq, lane, from, fromDueAt, lease: null, to, at: now, dueAt: null, attempt: null },
      ...{ attemptCount, budgetStart: row.budget_start, policyState: null, followUps: [] },
    };
    journal.note({ kind: "moved", change });
  }

  /** What waits is ended; what is out ends with its attempt, and keeps its body until then. */
  return ({ id, project, now }) => {
    const row = find.get(idBytes(id), project);
    if (!row) return { kind: "absent" };
    const { seq, state, deleted_at: deletedAt } = row;
    if (deletedAt !== null) return { kind: "known", at: deletedAt };
    if (state === "queued" || state === "retrying" || state === "held") {
      dequeue.run(row.endpoint_seq, row.due_at, seq);
      finish(row, "cancelled", now);
    } else if (state === "stored" || state === "fetched") finish(row, "discarded", now);
    else mark.run(now, seq);
    forget.run(seq);
    if (state !== "sending" && state !== "awaiting") payload.run(row.payload_seq);
    return { kind: "erased", at: now };
  };
}
