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
  const insertPayload = db.query("INSERT INTO payload (seq, headers, body) VALUES (?, ?, ?)");
  const insertEvent = db.query(
    `INSERT INTO event (seq, id, project, source_seq, type, tenant, received_at, remote_address, size_bytes,
       external_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );

  const claimDedupe = createDedupeClaim(db);
  const claimKey = createKeyClaim(db);
  const acceptCallbacks = createCallbackAccept(db, nextSeq);

  function accept(event: NewEvent): Accepted {
    const id = idBytes(event.id);
    const { sourceSeq, receivedAt } = event;
    const earlier = claimDedupe(event) ?? claimKey(event);
    if (earlier !== null) return earlier;
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
      event.externalId ?? null,
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

/** Takes a source's dedupe key for an event; returns the answer when it belongs to an earlier one already. */
function createDedupeClaim(db: Database) {
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
  return ({ dedupe, sourceSeq, receivedAt, id }: NewEvent): Accepted | null => {
    if (dedupe === null || sourceSeq === null) return null;
    const { changes } = remember.run(sourceSeq, dedupe.key, idBytes(id), dedupe.expiresAt, receivedAt);
    const first = changes === 0 ? firstOf.get(sourceSeq, dedupe.key) : null;
    return first ? { isDuplicate: true, id: idText(first.event_id) } : null;
  };
}

/** Takes an idempotency key for an event; returns the answer when it belongs to an earlier one already. */
function createKeyClaim(db: Database) {
  // Both use the primary key of idempotency.
  const remember = db.query(
    `INSERT INTO idempotency (project, key, event_id, digest, expires_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (project, key) DO UPDATE SET event_id = excluded.event_id, digest = excluded.digest,
       expires_at = excluded.expires_at
     WHERE idempotency.expires_at <= ?`,
  );
  const firstOf = db.query<{ event_id: Uint8Array; digest: Uint8Array }, [string, string]>(
    "SELECT event_id, digest FROM idempotency WHERE project = ? AND key = ?",
  );
  return ({ project, id, receivedAt, idempotency }: NewEvent): Accepted | null => {
    if (idempotency === undefined) return null;
    const { key, digest, expiresAt } = idempotency;
    const { changes } = remember.run(project, key, idBytes(id), digest, expiresAt, receivedAt);
    const first = changes === 0 ? firstOf.get(project, key) : null;
    if (!first) return null;
    const isOther = !Buffer.from(digest).equals(first.digest);
    return { isDuplicate: true, id: idText(first.event_id), isOther };
  };
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
