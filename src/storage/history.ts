/**
 * Reads of the history of one profile. The indexes are those of 0009: partial, so that a query must spell out
 * what they are partial by. A page of one state, one endpoint, or neither is one range of one of them.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { type DeliveryState, DUE_ON_RESUME } from "../domain/delivery.ts";
import type {
  HistoryCounts,
  HistoryEntry,
  HistoryFilter,
  HistoryPage,
  HistoryRow,
} from "../domain/history.ts";
import type { Id } from "../domain/id.ts";
import { idBytes, idText } from "./ids.ts";
import { Where } from "./where.ts";

const COLUMNS = `d.seq, d.id, d.project, d.endpoint_seq, d.profile, d.state, d.attempt_count, d.replay_count,
  d.created_at, d.due_at, d.finished_at, d.fetched_at, d.deleted_at, d.last_status, d.last_error, d.spec,
  d.event_seq, d.payload_seq`;
/** The latest attempt and the first by their primary key, the event by its own. */
const JOINS = `LEFT JOIN event e ON e.seq = d.event_seq
  LEFT JOIN attempt a ON a.delivery_seq = d.seq AND a.number = d.attempt_count
  LEFT JOIN attempt f ON f.delivery_seq = d.seq AND f.number = 1`;
const JOINED = `e.id AS event_id, e.type AS event_type, e.size_bytes, a.started_at AS last_attempt_at,
  a.duration_ms AS last_duration_ms, f.started_at AS first_attempt_at`;

interface Row {
  seq: number;
  id: Uint8Array;
  event_id: Uint8Array | null;
  event_type: string | null;
  project: string;
  endpoint_seq: number;
  profile: string;
  state: DeliveryState;
  attempt_count: number;
  replay_count: number;
  created_at: number;
  due_at: number | null;
  finished_at: number | null;
  fetched_at: number | null;
  deleted_at: number | null;
  last_status: number | null;
  last_error: string | null;
  last_attempt_at: number | null;
  last_duration_ms: number | null;
  first_attempt_at: number | null;
  size_bytes: number | null;
  spec: string | null;
}

/**
 * True when an index bounds what a page costs. A filter for what succeeded steps over everything else, a
 * type over every other one, and nobody knows how much that is.
 */
export function isBoundedHistory({ states, eventType, isInBackground }: HistoryFilter): boolean {
  if (isInBackground) return false;
  return eventType === undefined && (states === undefined || !states.includes("succeeded"));
}

/** The statement for one state, or for all of them (null). */
export function historySql(
  filter: HistoryFilter,
  state: DeliveryState | null,
): { sql: string; values: SQLQueryBindings[] } {
  const { profile, after, isOldestFirst = false } = filter;
  checkProfile(profile);
  const [past, order] = isOldestFirst ? [">", "ASC"] : ["<", "DESC"];
  const where = new Where()
    .andAlways(`d.profile = '${profile}'`)
    .and("d.endpoint_seq = ?", filter.lane)
    .and("d.project = ?", filter.project)
    .and("d.state = ?", state ?? undefined)
    .and("d.created_at >= ?", filter.since)
    .and("d.created_at < ?", filter.until);
  if (state !== null && state !== "succeeded") where.andAlways("d.state <> 'succeeded'");
  if (filter.isLivingOnly) where.andAlways("d.deleted_at IS NULL");
  if (after) where.andAll(`(d.created_at, d.seq) ${past} (?, ?)`, [after.createdAt, after.seq]);
  const type =
    filter.eventType === undefined
      ? ""
      : " AND EXISTS (SELECT 1 FROM event t WHERE t.seq = d.event_seq AND t.type = ?)";
  const values = filter.eventType === undefined ? where.values : [...where.values, filter.eventType];
  const index = indexFor(filter, state);
  // The page is cut before the joins, so that only its rows pay for them.
  return {
    sql: `SELECT d.*, ${JOINED} FROM (SELECT ${COLUMNS} FROM delivery d INDEXED BY ${index}
      WHERE ${where.sql}${type}
      ORDER BY d.created_at ${order}, d.seq ${order} LIMIT ?) d ${JOINS}
      ORDER BY d.created_at ${order}, d.seq ${order}`,
    values,
  };
}

/** Named, because without statistics SQLite counts equal terms and takes the wrong one. */
function indexFor({ lane }: HistoryFilter, state: DeliveryState | null): string {
  const hasState = state !== null && state !== "succeeded";
  if (lane !== undefined) return hasState ? "delivery_history_endpoint_state" : "delivery_history_endpoint";
  return hasState ? "delivery_history_state" : "delivery_history";
}

export function listHistory(db: Database, filter: HistoryFilter): HistoryPage {
  const { limit, states, isOldestFirst = false } = filter;
  const read = (state: DeliveryState | null) => {
    const { sql, values } = historySql(filter, state);
    return db
      .query<Row, SQLQueryBindings[]>(sql)
      .all(...values, limit + 1)
      .map(readRow);
  };
  const found = states === undefined ? read(null) : states.flatMap(read);
  if (states !== undefined && states.length > 1) {
    const sign = isOldestFirst ? 1 : -1;
    found.sort((a, b) => sign * (a.createdAt - b.createdAt || a.seq - b.seq));
  }
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return { rows, next: found.length > limit && last ? { createdAt: last.createdAt, seq: last.seq } : null };
}

interface HistoryLookup {
  readonly project: string;
  readonly profile: string;
  readonly id: Id;
}

export function countHistory(db: Database, { profile, lane }: { profile: string; lane: number }) {
  checkProfile(profile);
  // Both along an index that covers them.
  const total = db
    .query<{ count: number }, [number]>(
      `SELECT count(*) AS count FROM delivery INDEXED BY delivery_history_endpoint
       WHERE profile = '${profile}' AND endpoint_seq = ?`,
    )
    .get(lane);
  const byState = db
    .query<{ state: DeliveryState; count: number }, [number]>(
      `SELECT state, count(*) AS count FROM delivery INDEXED BY delivery_history_endpoint_state
       WHERE profile = '${profile}' AND state <> 'succeeded' AND endpoint_seq = ? GROUP BY state`,
    )
    .all(lane);
  const unfinished = Object.fromEntries(byState.map(({ state, count }) => [state, count]));
  return { total: total?.count ?? 0, unfinished } satisfies HistoryCounts;
}

function checkProfile(profile: string): void {
  if (!/^[a-z-]+$/.test(profile)) throw new Error(`"${profile}" is no profile`);
}

/** By the unique id of the delivery. */
const ENTRY_SQL = `SELECT ${COLUMNS}, ${JOINED}, p.headers, p.body FROM delivery d ${JOINS}
  LEFT JOIN payload p ON p.seq = d.payload_seq WHERE d.id = ? AND d.project = ? AND d.profile = ?`;

/** By the unique id of the event, then the index on event_seq. A door's events make one delivery each. */
const OF_EVENT_SQL = `SELECT ${COLUMNS}, ${JOINED}, p.headers, p.body
  FROM delivery d ${JOINS} LEFT JOIN payload p ON p.seq = d.payload_seq
  WHERE d.event_seq = (SELECT seq FROM event WHERE id = ?) AND d.project = ? AND d.profile = ?
  ORDER BY d.seq LIMIT 1`;

export function readHistoryEntry(db: Database, lookup: HistoryLookup): HistoryEntry | null {
  return readEntry(db, ENTRY_SQL, lookup);
}

export function readHistoryOfEvent(db: Database, lookup: HistoryLookup): HistoryEntry | null {
  return readEntry(db, OF_EVENT_SQL, lookup);
}

function readEntry(db: Database, sql: string, { id, project, profile }: HistoryLookup): HistoryEntry | null {
  type EntryRow = Row & { headers: string | null; body: Uint8Array | null };
  const row = db.query<EntryRow, [Uint8Array, string, string]>(sql).get(idBytes(id), project, profile);
  if (!row) return null;
  const { headers, body } = row;
  const payload =
    headers === null || body === null
      ? null
      : { headers: JSON.parse(headers) as Record<string, string>, body };
  return { ...readRow(row), payload };
}

function readRow(row: Row): HistoryRow {
  return {
    seq: row.seq,
    id: idText(row.id),
    eventId: row.event_id === null ? null : idText(row.event_id),
    eventType: row.event_type,
    project: row.project,
    lane: row.endpoint_seq,
    profile: row.profile,
    state: row.state,
    attemptCount: row.attempt_count,
    replayCount: row.replay_count,
    createdAt: row.created_at,
    // What waits for its source to resume has no time of its own.
    dueAt: row.due_at === DUE_ON_RESUME ? null : row.due_at,
    finishedAt: row.finished_at,
    fetchedAt: row.fetched_at,
    deletedAt: row.deleted_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
    lastAttemptAt: row.last_attempt_at,
    lastDurationMs: row.last_duration_ms,
    firstAttemptAt: row.first_attempt_at,
    sizeBytes: row.size_bytes,
    spec: row.spec,
  };
}
