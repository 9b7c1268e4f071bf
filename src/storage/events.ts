/**
 * Accepting an event: event, payload, dedupe key and the deliveries it fans out to, all in one transaction.
 */
import type { Database } from "bun:sqlite";
import type { NewDelivery } from "../domain/delivery.ts";
import type { Accepted, NewEvent } from "../domain/event.ts";
import { createExecutionInserter } from "./callbacks.ts";
import type { DeliveryInserter } from "./deliveries.ts";
import { idBytes, idText } from "./ids.ts";
import type { Journal } from "./journal.ts";

export function createEventWrites(
  db: Database,
  insertDelivery: DeliveryInserter,
  nextSeq: () => number,
  journal: Journal,
) {
  // Uses the primary key of dedupe. An expired key is taken over in place; zero changes mean a living
  // duplicate.
  const remember = db.query(
    `INSERT INTO dedupe (source_seq, key, event_id, expires_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (source_seq, key) DO UPDATE SET event_id = excluded.event_id,
       expires_at = excluded.expires_at
     WHERE dedupe.expires_at <= ?`,
  );
  const firstOf = db.query<{ event_id: Uint8Array }, [number, string]>(
    "SELECT event_id FROM dedupe WHERE source_seq = ? AND key = ?",
  );
  const insertPayload = db.query("INSERT INTO payload (seq, headers, body) VALUES (?, ?, ?)");
  const insertEvent = db.query(
    `INSERT INTO event (seq, id, project, source_seq, type, tenant, received_at, remote_address, size_bytes)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );

  const acceptCallbacks = createCallbackAccept(db, nextSeq);

  function accept(event: NewEvent): Accepted {
    const id = idBytes(event.id);
    const { dedupe, sourceSeq, receivedAt } = event;
    if (dedupe !== null && sourceSeq !== null) {
      const { changes } = remember.run(sourceSeq, dedupe.key, id, dedupe.expiresAt, receivedAt);
      if (changes === 0) {
        const first = firstOf.get(sourceSeq, dedupe.key);
        if (first) return { isDuplicate: true, id: idText(first.event_id) };
      }
    }
    const seq = nextSeq();
    insertPayload.run(seq, event.headers, event.body);
    insertEvent.run(
      seq,
      id,
      event.project,
      sourceSeq,
      event.type,
      event.tenant,
      receivedAt,
      event.remoteAddress,
      event.body.byteLength,
    );
    journal.note({ kind: "accepted", seq, event });
    const createdAt = event.admission?.at ?? receivedAt;
    const origin = { eventSeq: seq, payloadSeq: seq, createdAt };
    const seqs = event.deliveries.map((delivery: NewDelivery) => insertDelivery(delivery, origin));
    if (event.callbacks !== undefined) acceptCallbacks(event, seq, seqs);
    return { isDuplicate: false, id: event.id, seqs };
  }

  return { accept };
}

/** Stores the executions of callbacks, each under the number of its delivery or one of its own. */
function createCallbackAccept(db: Database, nextSeq: () => number) {
  const insertExecution = createExecutionInserter(db, nextSeq);
  return (event: NewEvent, eventSeq: number, seqs: readonly number[]): void => {
    const owner = {
      eventSeq,
      project: event.project,
      tenant: event.tenant ?? "",
      type: event.type ?? "",
      createdAt: event.receivedAt,
    };
    for (const execution of event.callbacks ?? []) {
      const index = event.deliveries.findIndex(({ id }) => id === execution.id);
      insertExecution(execution, seqs[index] ?? null, owner);
    }
  };
}
