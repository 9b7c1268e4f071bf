/** Reads for decisions: where a delivery stands, which deadlines have passed, when each lane is next due. */
import type { Database } from "bun:sqlite";
import { DEADLINE_LANE, type DeliveryState } from "../domain/delivery.ts";
import type { Id } from "../domain/id.ts";
import type { LaneHead, Located } from "./contract.ts";
import { factsOf } from "./delivery-facts.ts";
import { idBytes, idText } from "./ids.ts";

export interface LocatedRow {
  seq: number;
  endpoint_seq: number;
  state: DeliveryState;
  due_at: number | null;
  lease: number | null;
  attempt_count: number;
  budget_start: number;
  policy_state: string | null;
  profile: string;
  id: Uint8Array;
  event_id: Uint8Array | null;
  project: string;
  created_at: number;
  scheduled_at: number;
  spec: string | null;
  ordering_key: string | null;
  has_payload: number;
}

export const LOCATED_COLUMNS = `d.seq, d.endpoint_seq, d.state, d.due_at, d.attempt_count, d.budget_start,
  d.policy_state, d.profile, d.id, e.id AS event_id, d.project, d.created_at, d.scheduled_at, d.spec,
  d.ordering_key,
  EXISTS (SELECT 1 FROM payload p WHERE p.seq = d.payload_seq) AS has_payload`;

/** A delivery with its event and its queue row, both by their keys. */
export const LOCATED_FROM = `FROM delivery d
  LEFT JOIN event e ON e.seq = d.event_seq
  LEFT JOIN queue q ON q.delivery_seq = d.seq AND q.due_at = d.due_at
    AND q.lane = CASE d.state WHEN 'awaiting' THEN ${DEADLINE_LANE} ELSE d.endpoint_seq END`;

/** The delivery by its unique id, its queue row by the primary key. */
const LOCATE_SQL = `SELECT ${LOCATED_COLUMNS}, q.lease
  ${LOCATED_FROM}
  WHERE d.id = ? AND d.deleted_at IS NULL`;

/** One range of the queue's primary key. */
const DEADLINES_SQL = `SELECT ${LOCATED_COLUMNS}, q.lease
  FROM queue q
  CROSS JOIN delivery d ON d.seq = q.delivery_seq
  LEFT JOIN event e ON e.seq = d.event_seq
  WHERE q.lane = ${DEADLINE_LANE} AND q.due_at <= ? ORDER BY q.due_at, q.delivery_seq LIMIT ?`;

/** A loose index scan: one seek per lane, whatever the number of rows in it. */
const LANE_HEADS_SQL = `WITH RECURSIVE head (lane) AS (
    SELECT (SELECT lane FROM queue ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT q.lane FROM queue q WHERE q.lane > head.lane ORDER BY q.lane LIMIT 1)
    FROM head WHERE head.lane IS NOT NULL
  )
  SELECT lane, (SELECT q.due_at FROM queue q WHERE q.lane = head.lane AND q.lease IS NULL
    ORDER BY q.due_at LIMIT 1) AS next_due_at
  FROM head WHERE lane IS NOT NULL`;

const NEWEST_ID_SQL = `SELECT max(id) AS id FROM (
    SELECT max(id) AS id FROM event UNION ALL SELECT max(id) FROM delivery
    UNION ALL SELECT max(id) FROM rejection UNION ALL SELECT max(id) FROM endpoint
    UNION ALL SELECT max(id) FROM source UNION ALL SELECT max(id) FROM api_key
    UNION ALL SELECT max(id) FROM schedule UNION ALL SELECT max(id) FROM bulk
  )`;

const LAST_SEQ_SQL = `SELECT max(seq) AS seq FROM (
    SELECT max(seq) AS seq FROM event UNION ALL SELECT max(seq) FROM delivery
    UNION ALL SELECT max(seq) FROM payload UNION ALL SELECT max(seq) FROM callback_execution
  )`;

export function createPositionReads(db: Database) {
  const locate = db.query<LocatedRow, [Uint8Array]>(LOCATE_SQL);
  const deadlines = db.query<LocatedRow, [number, number]>(DEADLINES_SQL);
  const heads = db.query<{ lane: number; next_due_at: number | null }, []>(LANE_HEADS_SQL);

  function laneHeads(): LaneHead[] {
    const found: LaneHead[] = [];
    for (const { lane, next_due_at } of heads.all()) {
      if (next_due_at !== null) found.push({ lane, nextDueAt: next_due_at });
    }
    return found;
  }

  function deliveryPosition(id: Id): Located | null {
    const row = locate.get(idBytes(id));
    return row ? toLocated(row) : null;
  }

  return {
    laneHeads,
    deliveryPosition,
    dueDeadlines: (now: number, limit: number): Located[] => deadlines.all(now, limit).map(toLocated),
  };
}

/**
 * The newest id of any table, or null in an empty store. Each part is one step from the end of a unique
 * index.
 */
export function readNewestId(db: Database): Id | null {
  const row = db.query<{ id: Uint8Array | null }, []>(NEWEST_ID_SQL).get();
  return row?.id ? idText(row.id) : null;
}

export function readLastSeq(db: Database): number {
  return db.query<{ seq: number | null }, []>(LAST_SEQ_SQL).get()?.seq ?? 0;
}

export function toLocated(row: LocatedRow): Located {
  return {
    position: {
      seq: row.seq,
      lane: row.endpoint_seq,
      state: row.state,
      dueAt: row.due_at,
      lease: row.lease,
      attemptCount: row.attempt_count,
      budgetStart: row.budget_start,
      policyState: row.policy_state,
      ...(row.ordering_key === null ? {} : { line: row.ordering_key }),
    },
    profile: row.profile,
    facts: factsOf(row),
    hasPayload: row.has_payload === 1,
  };
}
