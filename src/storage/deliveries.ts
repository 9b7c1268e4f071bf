/**
 * Writes to deliveries: insert, claim, apply a transition. The queue row is the lock: a transition first takes it
 * away under the lease it was decided with, and when it is no longer there somebody else was faster, which is an
 * answer (false), not an error.
 */
import type { Database } from "bun:sqlite";
import {
  DEADLINE_LANE,
  type DeliveryPosition,
  type DeliveryState,
  hasQueueRow,
  isFinal,
  NEXT_STATES,
  type NewDelivery,
  type Transition,
} from "../domain/delivery.ts";
import type { Id } from "../domain/id.ts";
import type { DeliveryFacts, Payload } from "../domain/strategy.ts";
import { idBytes, idText } from "./ids.ts";

export interface ClaimInput {
  readonly lane: number;
  readonly now: number;
  readonly limit: number;
  /** Stop after this many body bytes; the first one always comes. */
  readonly bytesMax: number;
}

/** A leased delivery with everything that sending it needs. */
export interface Claimed {
  readonly position: DeliveryPosition;
  readonly profile: string;
  readonly facts: DeliveryFacts;
  readonly payload: Payload;
}

export interface ClaimResult {
  readonly claimed: readonly Claimed[];
  /** When the lane next has something without a lease, or null when it has nothing. */
  readonly nextDueAt: number | null;
}

export interface DeliveryOrigin {
  readonly eventSeq: number | null;
  /** The payload to share when the delivery brings none. A payload has the seq of what it came with. */
  readonly payloadSeq: number | null;
  readonly createdAt: number;
}

export type DeliveryInserter = (delivery: NewDelivery, origin: DeliveryOrigin) => number;

/** Inserts one delivery with its queue row and returns its seq. */
export function createDeliveryInserter(db: Database, nextSeq: () => number, lease: number): DeliveryInserter {
  const insertPayload = db.query("INSERT INTO payload (seq, headers, body) VALUES (?, ?, ?)");
  const insert = db.query(
    `INSERT INTO delivery (seq, id, project, event_seq, payload_seq, endpoint_seq, profile, spec, state, created_at,
       scheduled_at, due_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const enqueue = db.query("INSERT INTO queue (lane, due_at, delivery_seq, lease) VALUES (?, ?, ?, ?)");
  return (delivery, origin) => {
    const { state, dueAt, lane, payload } = delivery;
    if (payload === null && origin.payloadSeq === null)
      throw new Error("a delivery without an event needs a payload");
    const seq = nextSeq();
    if (payload !== null) insertPayload.run(seq, payload.headers, payload.body);
    const isQueued = hasQueueRow(state);
    insert.run(
      seq,
      idBytes(delivery.id),
      delivery.project,
      origin.eventSeq,
      payload === null ? origin.payloadSeq : seq,
      lane,
      delivery.profile,
      delivery.spec,
      state,
      origin.createdAt,
      dueAt,
      isQueued ? dueAt : null,
    );
    if (isQueued) enqueue.run(lane, dueAt, seq, state === "sending" ? lease : null);
    return seq;
  };
}

interface ClaimRow {
  seq: number;
  due_at: number;
  id: Uint8Array;
  project: string;
  event_id: Uint8Array | null;
  profile: string;
  spec: string | null;
  attempt_count: number;
  budget_start: number;
  policy_state: string | null;
  created_at: number;
  scheduled_at: number;
  headers: string | null;
  body: Uint8Array | null;
}

/** Reads along the queue's primary key: one range of one lane, whatever else is pending. */
export const CLAIM_SQL = `SELECT q.due_at, d.seq, d.id, d.project, e.id AS event_id, d.profile, d.spec, d.attempt_count,
    d.budget_start, d.policy_state, d.created_at, d.scheduled_at, p.headers, p.body
  FROM queue q
  CROSS JOIN delivery d ON d.seq = q.delivery_seq
  LEFT JOIN event e ON e.seq = d.event_seq
  LEFT JOIN payload p ON p.seq = d.payload_seq
  WHERE q.lane = ? AND q.due_at <= ? AND q.lease IS NULL
  ORDER BY q.due_at, q.delivery_seq LIMIT ?`;

/** As above. Leased rows that lie before the first free one are stepped over: never more than are in flight. */
export const NEXT_DUE_SQL =
  "SELECT due_at FROM queue WHERE lane = ? AND lease IS NULL ORDER BY due_at LIMIT 1";

/** The queue row by its whole primary key. */
export const DEQUEUE_LEASED_SQL =
  "DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ? AND lease = ?";

export function createDeliveryWrites(db: Database, insertDelivery: DeliveryInserter, lease: number) {
  const due = db.query<ClaimRow, [number, number, number]>(CLAIM_SQL);
  const nextDue = db.query<{ due_at: number }, [number]>(NEXT_DUE_SQL);
  const takeLease = db.query(
    "UPDATE queue SET lease = ? WHERE lane = ? AND due_at = ? AND delivery_seq = ? AND lease IS NULL",
  );
  const markSending = db.query("UPDATE delivery SET state = 'sending' WHERE seq = ?");
  const dequeueLeased = db.query(DEQUEUE_LEASED_SQL);
  const dequeueFree = db.query(
    "DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ? AND lease IS NULL",
  );
  const enqueue = db.query("INSERT INTO queue (lane, due_at, delivery_seq, lease) VALUES (?, ?, ?, NULL)");
  const payloadOf = db.query<{ seq: number }, [number]>(
    "SELECT p.seq FROM delivery d JOIN payload p ON p.seq = d.payload_seq WHERE d.seq = ?",
  );
  const move = db.query(
    `UPDATE delivery SET state = ?, due_at = ?, finished_at = ?, attempt_count = ?, budget_start = ?, policy_state = ?
     WHERE seq = ? AND state = ?`,
  );
  const moveWithAttempt = db.query(
    `UPDATE delivery SET state = ?, due_at = ?, finished_at = ?, attempt_count = ?, budget_start = ?, policy_state = ?,
       last_status = ?, last_error = ?
     WHERE seq = ? AND state = ?`,
  );
  // The conflict is the acknowledgement (or its absence) that finishes an attempt left awaiting.
  const insertAttempt = db.query(
    `INSERT INTO attempt (delivery_seq, number, started_at, duration_ms, outcome, status, failure, error, excerpt, detail)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (delivery_seq, number) DO UPDATE SET outcome = excluded.outcome, failure = excluded.failure,
       error = excluded.error, duration_ms = excluded.started_at - attempt.started_at
     WHERE attempt.outcome = 'awaiting'`,
  );

  function claim(input: ClaimInput): ClaimResult {
    const { lane, now, limit, bytesMax } = input;
    const claimed: Claimed[] = [];
    let bytes = 0;
    for (const row of due.iterate(lane, now, limit)) {
      bytes += row.body?.byteLength ?? 0;
      if (claimed.length > 0 && bytes > bytesMax) break;
      claimed.push(toClaimed(row, lane, lease));
    }
    // Marked after the read is done: changing rows under an open cursor would make it see them again.
    for (const { position } of claimed) {
      takeLease.run(lease, lane, position.dueAt, position.seq);
      markSending.run(position.seq);
    }
    return { claimed, nextDueAt: nextDue.get(lane)?.due_at ?? null };
  }

  /**
   * Returns whether it applied; false means that the delivery is no longer as it was, or that a replay has no body
   * left to send. Throws for a change that the state table does not know.
   */
  function transition(change: Transition): boolean {
    const { seq, from, to } = change;
    if (!NEXT_STATES[from].includes(to)) throw new Error(`delivery ${seq}: ${from} never becomes ${to}`);
    if (isFinal(from) && hasQueueRow(to) && !payloadOf.get(seq)) return false;
    if (hasQueueRow(from) && !dequeue(change)) return false;
    if (!moveRow(change)) {
      if (hasQueueRow(from)) requeue(change);
      return false;
    }
    if (hasQueueRow(to)) enqueue.run(queueLane(to, change.lane), change.dueAt, seq);
    recordAttempt(change);
    for (const followUp of change.followUps) {
      insertDelivery(followUp, { eventSeq: null, payloadSeq: null, createdAt: change.at });
    }
    return true;
  }

  function dequeue({ seq, from, fromDueAt, lane, lease: holder }: Transition): boolean {
    const queued = queueLane(from, lane);
    const { changes } =
      holder === null
        ? dequeueFree.run(queued, fromDueAt, seq)
        : dequeueLeased.run(queued, fromDueAt, seq, holder);
    return changes > 0;
  }

  /** Undoes a dequeue: the row was there, but its delivery has changed to another waiting state in the meantime. */
  function requeue({ seq, from, fromDueAt, lane, lease: holder }: Transition): void {
    if (holder !== null) throw new Error(`delivery ${seq} is leased but not ${from}`);
    enqueue.run(queueLane(from, lane), fromDueAt, seq);
  }

  function moveRow(change: Transition): boolean {
    const { seq, from, to, dueAt, attempt, attemptCount, budgetStart, policyState } = change;
    const finishedAt = isFinal(to) ? change.at : null;
    const { changes } =
      attempt === null
        ? move.run(to, dueAt, finishedAt, attemptCount, budgetStart, policyState, seq, from)
        : moveWithAttempt.run(
            to,
            dueAt,
            finishedAt,
            attemptCount,
            budgetStart,
            policyState,
            attempt.status,
            attempt.error,
            seq,
            from,
          );
    return changes > 0;
  }

  function recordAttempt({ seq, attempt }: Transition): void {
    if (attempt === null) return;
    insertAttempt.run(
      seq,
      attempt.number,
      attempt.startedAt,
      attempt.durationMs,
      attempt.outcome,
      attempt.status,
      attempt.failure,
      attempt.error,
      attempt.excerpt,
      attempt.detail,
    );
  }

  return { claim, transition };
}

function queueLane(state: DeliveryState, lane: number): number {
  return state === "awaiting" ? DEADLINE_LANE : lane;
}

function toClaimed(row: ClaimRow, lane: number, lease: number): Claimed {
  const eventId: Id | null = row.event_id === null ? null : idText(row.event_id);
  return {
    position: {
      seq: row.seq,
      lane,
      state: "sending",
      dueAt: row.due_at,
      lease,
      attemptCount: row.attempt_count,
      budgetStart: row.budget_start,
      policyState: row.policy_state,
    },
    profile: row.profile,
    facts: {
      id: idText(row.id),
      eventId,
      project: row.project,
      createdAt: row.created_at,
      scheduledAt: row.scheduled_at,
      spec: row.spec,
    },
    payload: {
      headers: row.headers === null ? {} : (JSON.parse(row.headers) as Record<string, string>),
      body: row.body ?? new Uint8Array(0),
    },
  };
}
