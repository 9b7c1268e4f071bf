/**
 * Claiming: takes due deliveries of one lane under this process's lease, with everything that sending them
 * needs.
 */
import type { Database } from "bun:sqlite";
import type { DeliveryPosition } from "../domain/delivery.ts";
import type { DeliveryFacts, Payload } from "../domain/strategy.ts";
import { factsOf } from "./delivery-facts.ts";

export interface ClaimInput {
  readonly lane: number;
  readonly now: number;
  readonly limit: number;
  /** Stop after this many body bytes; the first one always comes. */
  readonly bytesMax: number;
}

/** A leased delivery with everything that sending it needs. */
interface Claimed {
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
  ordering_key: string | null;
  headers: string | null;
  body: Uint8Array | null;
}

/** Reads along the queue's primary key: one range of one lane, whatever else is pending. */
export const CLAIM_SQL = `SELECT q.due_at, d.seq, d.id, d.project, e.id AS event_id, d.profile, d.spec,
    d.attempt_count, d.budget_start, d.policy_state, d.created_at, d.scheduled_at, d.ordering_key, p.headers,
    p.body
  FROM queue q
  CROSS JOIN delivery d ON d.seq = q.delivery_seq
  LEFT JOIN event e ON e.seq = d.event_seq
  LEFT JOIN payload p ON p.seq = d.payload_seq
  WHERE q.lane = ? AND q.due_at <= ? AND q.lease IS NULL
  ORDER BY q.due_at, q.delivery_seq LIMIT ?`;

/**
 * As above. Leased rows that lie before the first free one are stepped over: never more than are in flight.
 */
export const NEXT_DUE_SQL =
  "SELECT due_at FROM queue WHERE lane = ? AND lease IS NULL ORDER BY due_at LIMIT 1";

export function createClaim(db: Database, lease: number): (input: ClaimInput) => ClaimResult {
  const due = db.query<ClaimRow, [number, number, number]>(CLAIM_SQL);
  const nextDue = db.query<{ due_at: number }, [number]>(NEXT_DUE_SQL);
  const takeLease = db.query(
    "UPDATE queue SET lease = ? WHERE lane = ? AND due_at = ? AND delivery_seq = ? AND lease IS NULL",
  );
  const markSending = db.query("UPDATE delivery SET state = 'sending' WHERE seq = ?");

  return ({ lane, now, limit, bytesMax }) => {
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
  };
}

function toClaimed(row: ClaimRow, lane: number, lease: number): Claimed {
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
      ...(row.ordering_key === null ? {} : { line: row.ordering_key }),
    },
    profile: row.profile,
    facts: factsOf(row),
    payload: {
      headers: row.headers === null ? {} : (JSON.parse(row.headers) as Record<string, string>),
      body: row.body ?? new Uint8Array(0),
    },
  };
}
