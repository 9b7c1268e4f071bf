/**
 * Lists of deliveries by the instant that they are planned for, and taking them back. The indexes are those
 * of migration 0010; each is partial, so every statement spells their conditions out.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import {
  COUNT_MAX,
  type DatedFilter,
  type DatedLookup,
  type DatedPage,
  type DatedRow,
  TIES_MAX,
} from "../domain/dated.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import { idBytes, idText } from "./ids.ts";
import { Where } from "./where.ts";

interface DatedRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  spec: string | null;
  state: DeliveryState;
  attempt_count: number;
  budget_start: number;
  created_at: number;
  scheduled_at: number;
  due_at: number | null;
  finished_at: number | null;
  last_error: string | null;
  started_at: number | null;
  duration_ms: number | null;
  body: Uint8Array | null;
}

const COLUMNS = `d.seq, d.id, d.project, d.spec, d.state, d.attempt_count, d.budget_start, d.created_at,
  d.scheduled_at, d.due_at, d.finished_at, d.last_error, a.started_at, a.duration_ms, p.body`;
/** Both by primary key. */
const JOINS = `LEFT JOIN attempt a ON a.delivery_seq = d.seq AND a.number = d.attempt_count
  LEFT JOIN payload p ON p.seq = d.payload_seq`;
/** Deeper offsets step over so many rows that they go to the read thread. */
const OFFSET_MAX = 1_000;
/** Bodies of one page of ties, in memory at once. */
const TIE_BYTES_MAX = 32 * 1_048_576;
const FAILED: readonly DeliveryState[] = ["dead", "cancelled", "discarded"];
/** As the index has it, word for word. */
const FAILED_SQL = `(${FAILED.map((state) => `d.state = '${state}'`).join(" OR ")})`;
const ACTIVE: readonly DeliveryState[] = ["queued", "sending", "awaiting", "retrying", "held"];

/** True when an index bounds what a page costs: the filters are on the column that it is sorted by. */
export function isBoundedDatedList(filter: DatedFilter): boolean {
  const { states, path, sortBy, offset = 0, withTies = false } = filter;
  if (states !== undefined || path !== undefined || withTies || offset > OFFSET_MAX) return false;
  const isOnlyScheduled = filter.createdAfter === undefined && filter.createdBefore === undefined;
  const isOnlyCreated =
    filter.scheduledAfter === undefined &&
    filter.scheduledBefore === undefined &&
    filter.scheduledFrom === undefined;
  return sortBy === "scheduledAt" ? isOnlyScheduled : isOnlyCreated;
}

interface DatedSql {
  readonly page: string;
  readonly count: string;
  readonly values: SQLQueryBindings[];
}

/** The statements of a list, apart so that their plans can be asserted. */
export function datedListSql(filter: DatedFilter): DatedSql {
  const { sortBy, isDescending, after } = filter;
  const column = sortBy === "scheduledAt" ? "d.scheduled_at" : "d.created_at";
  const index = indexOf(filter);
  const where = conditionOf(filter, index);
  const count = where.sql;
  if (after !== undefined) {
    const order = isDescending ? "<" : ">";
    where.and(`(${column}, d.seq) ${order} (?, ?)`, after.at);
    where.values.push(after.seq);
  }
  const direction = isDescending ? "DESC" : "ASC";
  // The page is chosen from the index alone; only its rows are looked up.
  const chosen = `SELECT d.seq FROM delivery d INDEXED BY ${index.name} WHERE ${where.sql}
    ORDER BY ${column} ${direction}, d.seq ${direction} LIMIT ? OFFSET ?`;
  return {
    page: `SELECT ${COLUMNS} FROM (${chosen}) c CROSS JOIN delivery d ON d.seq = c.seq ${JOINS}`,
    count: `SELECT count(*) AS count FROM
      (SELECT 1 FROM delivery d INDEXED BY ${index.name} WHERE ${count} LIMIT ${COUNT_MAX + 1})`,
    values: where.values,
  };
}

interface DatedIndex {
  readonly name: string;
  /** Its condition beyond what all four share. */
  readonly condition: string | null;
}

function indexOf({ sortBy, states }: DatedFilter): DatedIndex {
  if (sortBy === "createdAt") return { name: "delivery_dated_created", condition: null };
  if (states?.every((state) => FAILED.includes(state))) {
    return { name: "delivery_dated_failed", condition: FAILED_SQL };
  }
  if (states?.every((state) => ACTIVE.includes(state))) {
    return { name: "delivery_dated_active", condition: "d.finished_at IS NULL" };
  }
  return { name: "delivery_dated", condition: null };
}

function conditionOf(filter: DatedFilter, index: DatedIndex): Where {
  const { project, profile, states } = filter;
  const where = new Where()
    .and("d.project = ?", project)
    .andAlways(`d.profile = '${literal(profile)}'`)
    .andAlways("d.deleted_at IS NULL");
  if (index.condition !== null) where.andAlways(index.condition);
  if (states !== undefined) {
    where.andAlways(`(${states.map((state) => `+d.state = '${literal(state)}'`).join(" OR ")})`);
  }
  return where
    .and("d.scheduled_at > ?", filter.scheduledAfter)
    .and("d.scheduled_at >= ?", filter.scheduledFrom)
    .and("d.scheduled_at < ?", filter.scheduledBefore)
    .and("d.created_at > ?", filter.createdAfter)
    .and("d.created_at < ?", filter.createdBefore)
    .and("d.spec ->> '$.path' = ?", filter.path);
}

/** What stands in a statement itself has to be a plain word: a partial index is used for literals only. */
function literal(word: string): string {
  if (!/^[a-z-]+$/.test(word)) throw new Error(`"${word}" is no name of a profile or state`);
  return word;
}

export function listDated(db: Database, filter: DatedFilter): DatedPage {
  const { limit, offset = 0 } = filter;
  const sql = datedListSql(filter);
  const read = db.query<DatedRecord, SQLQueryBindings[]>(sql.page);
  const found = read.all(...sql.values, limit + 1, offset);
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  const next = found[limit];
  const countedValues = filter.after === undefined ? sql.values : sql.values.slice(0, -2);
  const counted = db.query<{ count: number }, SQLQueryBindings[]>(sql.count).get(...countedValues);
  const count = counted?.count ?? 0;
  const totalCount = count > COUNT_MAX ? null : count;
  const isTied = last !== undefined && next?.scheduled_at === last.scheduled_at;
  if (!last || !isTied || filter.withTies !== true) {
    return { rows: rows.map(readDated), totalCount, hasMore: next !== undefined, isTied };
  }
  const ties = readTies(db, filter, last);
  const hasMore = hasBeyond(db, filter, ties.at(-1) ?? last);
  return { rows: [...rows, ...ties].map(readDated), totalCount, hasMore, isTied: false };
}

/** The rows behind `last` that are planned for the same instant. */
function readTies(db: Database, filter: DatedFilter, last: DatedRecord): DatedRecord[] {
  const after = { at: last.scheduled_at, seq: last.seq };
  const sql = datedListSql({ ...filter, after, scheduledBefore: last.scheduled_at + 1 });
  const ties: DatedRecord[] = [];
  let bytes = 0;
  const found = db.query<DatedRecord, SQLQueryBindings[]>(sql.page).iterate(...sql.values, TIES_MAX, 0);
  for (const row of found) {
    bytes += row.body?.byteLength ?? 0;
    if (bytes > TIE_BYTES_MAX) break;
    ties.push(row);
  }
  return ties;
}

function hasBeyond(db: Database, filter: DatedFilter, last: DatedRecord): boolean {
  const sql = datedListSql({ ...filter, after: { at: last.scheduled_at, seq: last.seq } });
  return db.query<DatedRecord, SQLQueryBindings[]>(sql.page).get(...sql.values, 1, 0) !== null;
}

/** By the unique id. */
export function getDated(db: Database, { project, profile, id }: DatedLookup): DatedRow | null {
  const row = db
    .query<DatedRecord, [Uint8Array, string, string]>(
      `SELECT ${COLUMNS} FROM delivery d ${JOINS}
       WHERE d.id = ? AND d.project = ? AND d.profile = ? AND d.deleted_at IS NULL`,
    )
    .get(idBytes(id), project, profile);
  return row ? readDated(row) : null;
}

function readDated(row: DatedRecord): DatedRow {
  const { started_at: startedAt, duration_ms: durationMs } = row;
  return {
    seq: row.seq,
    id: idText(row.id),
    project: row.project,
    spec: row.spec,
    state: row.state,
    attemptCount: row.attempt_count,
    budgetStart: row.budget_start,
    createdAt: row.created_at,
    scheduledAt: row.scheduled_at,
    dueAt: row.due_at,
    finishedAt: row.finished_at,
    lastError: row.last_error,
    lastAttempt: startedAt === null || durationMs === null ? null : { startedAt, durationMs },
    body: row.body,
  };
}
