/** Reads of deliveries for lists and details. Synchronous: the reader decides on which thread they run. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { AttemptRecord, FailureKind } from "../domain/attempt.ts";
import { type DeliveryState, waitsFor } from "../domain/delivery.ts";
import type {
  DeliveryDetail,
  DeliveryFilter,
  DeliveryRow,
  Lookup,
  NamedDelivery,
  Page,
  StateCounts,
} from "../domain/reads.ts";
import { idBytes, idText } from "./ids.ts";
import { pageBounds, toPage } from "./page.ts";
import { Where } from "./where.ts";

/** The states of the partial index delivery_notable. */
export const NOTABLE_STATES: readonly string[] = [
  "awaiting",
  "retrying",
  "held",
  "stored",
  "fetched",
  "dead",
  "cancelled",
  "discarded",
];
/** The condition of that index. */
const NOTABLE_SQL = `(${NOTABLE_STATES.map((state) => `state = '${state}'`).join(" OR ")})`;

const ATTEMPTS_MAX = 200;
const FAN_OUT_MAX = 200;

/** Of a list, with `FROM` behind it. */
export const DELIVERY_COLUMNS = `d.seq, d.id, d.project, e.id AS event_id, e.source_seq, s.name AS schedule,
  d.endpoint_seq, d.profile, d.state, d.attempt_count, d.created_at, d.scheduled_at, d.due_at, d.finished_at,
  d.last_status, d.last_error, d.ordering_key`;
export const DELIVERY_FROM = `FROM delivery d LEFT JOIN event e ON e.seq = d.event_seq
  LEFT JOIN schedule s ON s.seq = d.schedule_seq`;

export interface DeliveryRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  event_id: Uint8Array | null;
  source_seq: number | null;
  schedule: string | null;
  endpoint_seq: number;
  profile: string;
  state: DeliveryState;
  attempt_count: number;
  created_at: number;
  scheduled_at: number;
  due_at: number | null;
  finished_at: number | null;
  last_status: number | null;
  last_error: string | null;
  ordering_key: string | null;
}

/**
 * True when an index bounds what a page costs: the newest of everything, of one endpoint, of one event, or of
 * one state that few are in. `isOnlyProject`: nothing has to be stepped over to find the project's own.
 */
export function isBoundedDeliveryList(filter: DeliveryFilter, isOnlyProject: boolean): boolean {
  const { state, lane, sourceSeq, eventId, scheduleSeq, since, until } = filter;
  if (eventId !== undefined) return true;
  if (scheduleSeq !== undefined) return state === undefined && since === undefined && until === undefined;
  if (sourceSeq !== undefined || since !== undefined || until !== undefined) return false;
  if (lane !== undefined) return state === undefined;
  return isOnlyProject && (state === undefined || NOTABLE_STATES.includes(state));
}

/** The statement of a list, apart so that its plan can be asserted. */
export function deliveryListSql(
  filter: DeliveryFilter,
  before: number,
): { sql: string; values: SQLQueryBindings[] } {
  const { state, eventId } = filter;
  const isNotable = state !== undefined && NOTABLE_STATES.includes(state);
  const where = new Where()
    .and("d.seq < ?", before)
    .and("d.endpoint_seq = ?", filter.lane)
    .and("d.schedule_seq = ?", filter.scheduleSeq)
    .and(
      "d.event_seq = (SELECT seq FROM event WHERE id = ?)",
      eventId === undefined ? undefined : idBytes(eventId),
    )
    .and("d.state = ?", isNotable ? undefined : state)
    .and("d.project = ?", filter.project)
    .and("e.source_seq = ?", filter.sourceSeq)
    .and("d.created_at >= ?", filter.since)
    .and("d.created_at < ?", filter.until)
    .andAlways("d.deleted_at IS NULL");
  // Spelled out, because a partial index is used only where the text of the query shows that its condition
  // holds.
  if (isNotable) where.andAlways(`d.state = '${state}'`);
  return {
    sql: `SELECT ${DELIVERY_COLUMNS} ${DELIVERY_FROM}
      WHERE ${where.sql} ORDER BY d.seq DESC LIMIT ?`,
    values: where.values,
  };
}

export function listDeliveries(db: Database, filter: DeliveryFilter): Page<DeliveryRow> {
  const { before, limit } = pageBounds(filter);
  const { sql, values } = deliveryListSql(filter, before);
  const rows = db.query<DeliveryRecord, SQLQueryBindings[]>(sql).all(...values, limit + 1);
  return toPage(rows.map(readDelivery), limit);
}

/** By the index on event_seq. */
export function listFanOut(db: Database, eventSeq: number): DeliveryRow[] {
  return db
    .query<DeliveryRecord, [number, number]>(
      `SELECT ${DELIVERY_COLUMNS} ${DELIVERY_FROM}
       WHERE d.event_seq = ? AND d.deleted_at IS NULL ORDER BY d.seq LIMIT ?`,
    )
    .all(eventSeq, FAN_OUT_MAX)
    .map(readDelivery);
}

/** Each by the primary key. */
export function deliveriesOfSeqs(db: Database, seqs: readonly number[]): NamedDelivery[] {
  return db
    .query<DeliveryRecord & { type: string | null }, [string]>(
      `SELECT ${DELIVERY_COLUMNS}, e.type ${DELIVERY_FROM}
       WHERE d.seq IN (SELECT value FROM json_each(?)) AND d.deleted_at IS NULL`,
    )
    .all(JSON.stringify(seqs))
    .map((row) => ({ ...readDelivery(row), type: row.type }));
}

/** By the unique id, then the attempts by their primary key. */
export function getDelivery(db: Database, { project, id }: Lookup): DeliveryDetail | null {
  const row = db
    .query<DeliveryRecord & { spec: string | null; has_payload: number }, [Uint8Array, string]>(
      `SELECT ${DELIVERY_COLUMNS}, d.spec,
         EXISTS (SELECT 1 FROM payload p WHERE p.seq = d.payload_seq) AS has_payload
       ${DELIVERY_FROM} WHERE d.id = ? AND d.project = ? AND d.deleted_at IS NULL`,
    )
    .get(idBytes(id), project);
  if (!row) return null;
  return {
    ...readDelivery(row),
    spec: row.spec,
    hasPayload: row.has_payload === 1,
    attempts: listAttempts(db, row.seq),
  };
}

interface AttemptRow {
  number: number;
  started_at: number;
  duration_ms: number;
  outcome: AttemptRecord["outcome"];
  status: number | null;
  failure: FailureKind | null;
  error: string | null;
  excerpt: Uint8Array | null;
  detail: string | null;
}

export function listAttempts(db: Database, deliverySeq: number): AttemptRecord[] {
  const rows = db
    .query<AttemptRow, [number, number]>(
      `SELECT number, started_at, duration_ms, outcome, status, failure, error, excerpt, detail FROM attempt
       WHERE delivery_seq = ? ORDER BY number DESC LIMIT ?`,
    )
    .all(deliverySeq, ATTEMPTS_MAX);
  return rows.reverse().map(({ started_at, duration_ms, ...rest }) => ({
    ...rest,
    startedAt: started_at,
    durationMs: duration_ms,
  }));
}

/**
 * Counts along the queue and the index of notable states only: both are narrow, and a long history of
 * successes is in neither. What waits in the queue and is in no notable state is queued.
 */
const COUNT_SQL = `SELECT state, count(*) AS count FROM delivery INDEXED BY delivery_notable
    WHERE ${NOTABLE_SQL} GROUP BY state
  UNION ALL SELECT 'sending', count(lease) FROM queue
  UNION ALL SELECT 'queued', count(*) - count(lease) FROM queue`;

const IN_QUEUE: readonly DeliveryState[] = ["awaiting", "retrying", "held"];

export function countDeliveries(db: Database): StateCounts {
  const counts = new Map<DeliveryState, number>();
  const rows = db.query<{ state: DeliveryState; count: number }, []>(COUNT_SQL).all();
  for (const { state, count } of rows) counts.set(state, count);
  const notable = IN_QUEUE.reduce((sum, state) => sum + (counts.get(state) ?? 0), 0);
  counts.set("queued", (counts.get("queued") ?? 0) - notable);
  return Object.fromEntries([...counts].filter(([, count]) => count > 0));
}

export function readDelivery(row: DeliveryRecord): DeliveryRow {
  return {
    seq: row.seq,
    id: idText(row.id),
    project: row.project,
    eventId: row.event_id === null ? null : idText(row.event_id),
    sourceSeq: row.source_seq,
    schedule: row.schedule,
    lane: row.endpoint_seq,
    profile: row.profile,
    state: row.state,
    attemptCount: row.attempt_count,
    createdAt: row.created_at,
    scheduledAt: row.scheduled_at,
    dueAt: waitsFor(row.due_at) === null ? row.due_at : null,
    waitsFor: waitsFor(row.due_at),
    orderingKey: row.ordering_key,
    finishedAt: row.finished_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
  };
}
