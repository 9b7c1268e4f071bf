/**
 * Inserting deliveries. Claims are in claims.ts, changes of state in transitions.ts, lists in
 * list-deliveries.ts.
 */
import type { Database } from "bun:sqlite";
import { DUE_ON_RESUME, hasQueueRow, type NewDelivery } from "../domain/delivery.ts";
import { idBytes } from "./ids.ts";
import type { Journal } from "./journal.ts";
import type { Lines } from "./lines.ts";

interface DeliveryOrigin {
  readonly eventSeq: number | null;
  /** The payload to share when the delivery brings none. A payload has the seq of what it came with. */
  readonly payloadSeq: number | null;
  readonly createdAt: number;
}

interface DeliveryInsertParts {
  readonly nextSeq: () => number;
  readonly lease: number;
  readonly lines: Lines;
  readonly journal: Journal;
}

export type DeliveryInserter = (delivery: NewDelivery, origin: DeliveryOrigin) => number;

/** Inserts one delivery with its queue row and returns its seq. */
export function createDeliveryInserter(
  db: Database,
  { nextSeq, lease, lines, journal }: DeliveryInsertParts,
): DeliveryInserter {
  const insertPayload = db.query("INSERT INTO payload (seq, headers, body) VALUES (?, ?, ?)");
  const insert = db.query(
    `INSERT INTO delivery (seq, id, project, event_seq, payload_seq, schedule_seq, endpoint_seq, profile,
       spec, state, created_at, scheduled_at, due_at, ordering_key, parent_seq)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const enqueue = db.query("INSERT INTO queue (lane, due_at, delivery_seq, lease) VALUES (?, ?, ?, ?)");
  return (delivery, origin) => {
    const { state, dueAt, lane, payload, line } = delivery;
    if (line !== undefined && state === "sending")
      throw new Error("only a claim may start what is in a line");
    if (payload === null && origin.payloadSeq === null)
      throw new Error("a delivery without an event needs a payload");
    const seq = nextSeq();
    if (payload !== null) insertPayload.run(seq, payload.headers, payload.body);
    const isQueued = hasQueueRow(state);
    const queuedAt = line === undefined || !isQueued ? dueAt : lines.enter({ lane, key: line, seq }, dueAt);
    insert.run(
      seq,
      idBytes(delivery.id),
      delivery.project,
      origin.eventSeq,
      payload === null ? origin.payloadSeq : seq,
      delivery.scheduleSeq ?? null,
      lane,
      delivery.profile,
      delivery.spec,
      state,
      origin.createdAt,
      delivery.scheduledAt ?? (dueAt === DUE_ON_RESUME ? origin.createdAt : dueAt),
      isQueued ? queuedAt : null,
      line ?? null,
      delivery.parentSeq ?? null,
    );
    if (isQueued) enqueue.run(lane, queuedAt, seq, state === "sending" ? lease : null);
    journal.note({ kind: "created", seq, delivery, createdAt: origin.createdAt });
    return seq;
  };
}
