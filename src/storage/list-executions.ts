/**
 * Reads of executions: lists by cursor and by page number, one with all that belongs to it, the tree that
 * fan-out made, counts over time. Synchronous: the reader decides on which thread they run.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { AttemptRecord } from "../domain/attempt.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import {
  type Execution,
  type ExecutionFilter,
  type HistogramCell,
  type HistogramInput,
  type NumberedPage,
  type NumberedPageInput,
  STATES_OF,
  type WalkInput,
} from "../domain/execution.ts";
import type { LogLevel } from "../domain/log-line.ts";
import type { Lookup, Page } from "../domain/reads.ts";
import { idBytes, idText } from "./ids.ts";
import { pageBounds } from "./page.ts";
import { type Reach, stretchPage, stretchStart } from "./stretch.ts";
import { Where } from "./where.ts";

/** Counting further would tell nobody anything. */
export const TOTAL_MAX = 100_000;
/** Of one tree. */
const NODES_MAX = 10_000;
/** A chain of fan-outs longer than this has no root worth walking to. */
const DEPTH_MAX = 10_000;
const ATTEMPTS_MAX = 200;

interface ExecutionRecord {
  seq: number;
  id: Uint8Array;
  endpoint_seq: number;
  state: DeliveryState;
  attempt_count: number;
  created_at: number;
  scheduled_at: number;
  due_at: number | null;
  finished_at: number | null;
  parent_id: Uint8Array | null;
  parent_lane: number | null;
  has_children: number;
  is_event: number;
}

/** Parent, children and the flag by primary keys and delivery_parent. */
const COLUMNS = `d.seq, d.id, d.endpoint_seq, d.state, d.attempt_count, d.created_at, d.scheduled_at,
  d.due_at, d.finished_at, up.id AS parent_id, up.endpoint_seq AS parent_lane,
  d.event_seq IS NOT NULL AS is_event,
  EXISTS (SELECT 1 FROM delivery c WHERE c.parent_seq = d.seq) AS has_children`;
const FROM = "FROM delivery d LEFT JOIN delivery up ON up.seq = d.parent_seq";

function whereOf(filter: ExecutionFilter): Where {
  const { project, status, lane, parentId, text, since, until } = filter;
  const where = new Where().andAlways("d.profile = 'pingback'").and("d.project = ?", project);
  where.and("d.endpoint_seq = ?", lane).and("d.created_at >= ?", since).and("d.created_at < ?", until);
  where.and(
    "d.parent_seq = (SELECT seq FROM delivery WHERE id = ?)",
    parentId === undefined ? undefined : idBytes(parentId),
  );
  if (status !== undefined) {
    where.andAlways(`(${STATES_OF[status].map((state) => `d.state = '${state}'`).join(" OR ")})`);
  }
  where.andAlways("d.deleted_at IS NULL");
  if (text === undefined) return where;
  const part = likePart(text.part);
  const lanes = text.lanes.length === 0 ? "0" : `d.endpoint_seq IN (${text.lanes.map(Number).join(", ")})`;
  return where.andAll(
    `(${lanes} OR d.last_error LIKE ? ESCAPE '\\'
      OR EXISTS (SELECT 1 FROM attempt a WHERE a.delivery_seq = d.seq AND a.number = d.attempt_count
        AND CAST(a.excerpt AS TEXT) LIKE ? ESCAPE '\\')
      OR EXISTS (SELECT 1 FROM payload p WHERE p.seq = d.payload_seq
        AND CAST(p.body AS TEXT) LIKE ? ESCAPE '\\')
      OR EXISTS (SELECT 1 FROM log_line l WHERE l.delivery_seq = d.seq AND l.message LIKE ? ESCAPE '\\'))`,
    [part, part, part, part],
  );
}

/** A substring for LIKE, in which no letter of the caller's means anything else. */
export function likePart(text: string): string {
  return `%${text.replace(/[\\%_]/g, "\\$&")}%`;
}

/** Along delivery_endpoint or delivery_execution, newest first, unless rows have to be looked through. */
export function isBoundedExecutionList({ status, text, since, until, parentId }: ExecutionFilter): boolean {
  return [status, text, since, until, parentId].every((value) => value === undefined);
}

export function listExecutions(db: Database, filter: ExecutionFilter & WalkInput): Page<Execution> {
  const { before, limit } = pageBounds(filter);
  const isWalk = !isBoundedExecutionList(filter) && filter.parentId === undefined;
  const start = filter.isOneStretch && isWalk ? stretchStart(reachOf(db, filter.project, before)) : 0;
  const where = whereOf(filter).and("d.seq < ?", before).and("d.seq >= ?", start);
  const sql = `SELECT ${COLUMNS} ${FROM} WHERE ${where.sql} ORDER BY d.seq DESC LIMIT ?`;
  const rows = db.query<ExecutionRecord, SQLQueryBindings[]>(sql).all(...where.values, limit + 1);
  const lists = rows.map((row) => ({ ...readExecution(row), attempts: readAttempts(db, row, 1) }));
  return stretchPage(lists, limit, start);
}

/** Both along delivery_execution. */
function reachOf(db: Database, project: string, before: number): Reach {
  const own = "FROM delivery WHERE profile = 'pingback' AND project = ?";
  const sql = `SELECT (SELECT min(seq) ${own}) AS low, (SELECT max(seq) ${own} AND seq < ?) AS high`;
  const none: Reach = { low: null, high: null };
  return db.query<Reach, [string, string, number]>(sql).get(project, project, before) ?? none;
}

export function pageExecutions(
  db: Database,
  filter: ExecutionFilter & NumberedPageInput,
): NumberedPage<Execution> {
  const where = whereOf(filter);
  const sql = `SELECT ${COLUMNS} ${FROM} WHERE ${where.sql} ORDER BY d.seq DESC LIMIT ? OFFSET ?`;
  const { limit, offset } = filter;
  const rows = db.query<ExecutionRecord, SQLQueryBindings[]>(sql).all(...where.values, limit, offset);
  const counted = `SELECT count(*) AS total FROM (SELECT 1 ${FROM} WHERE ${where.sql} LIMIT ${TOTAL_MAX})`;
  const count = db.query<{ total: number }, SQLQueryBindings[]>(counted).get(...where.values);
  return { items: rows.map((row) => complete(db, row)), total: count?.total ?? 0 };
}

/** By the unique id. */
export function getExecution(db: Database, { project, id }: Lookup): Execution | null {
  const row = findExecution(db, { project, id });
  return row === null ? null : complete(db, row);
}

function findExecution(db: Database, { project, id }: Lookup): ExecutionRecord | null {
  return db
    .query<ExecutionRecord, [Uint8Array, string]>(
      `SELECT ${COLUMNS} ${FROM} WHERE d.id = ? AND d.project = ? AND d.profile = 'pingback'
         AND d.deleted_at IS NULL`,
    )
    .get(idBytes(id), project);
}

/** Up by primary keys, down by delivery_parent. */
export function executionTree(db: Database, lookup: Lookup): Execution[] {
  const start = findExecution(db, lookup);
  if (start === null) return [];
  const up = db.query<{ seq: number }, [number]>(
    `SELECT up.seq FROM delivery d JOIN delivery up ON up.seq = d.parent_seq
     WHERE d.seq = ? AND up.profile = 'pingback'`,
  );
  let root = start.seq;
  for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
    const parent = up.get(root);
    if (!parent) break;
    root = parent.seq;
  }
  const one = db.query<ExecutionRecord, [number]>(`SELECT ${COLUMNS} ${FROM} WHERE d.seq = ?`);
  const children = db.query<ExecutionRecord, [number, number]>(
    `SELECT ${COLUMNS} ${FROM} WHERE d.parent_seq = ? ORDER BY d.seq LIMIT ?`,
  );
  const rootRow = one.get(root);
  const nodes: ExecutionRecord[] = rootRow === null ? [] : [rootRow];
  for (let index = 0; index < nodes.length && nodes.length < NODES_MAX; index += 1) {
    nodes.push(...children.all(nodes[index]?.seq ?? 0, NODES_MAX - nodes.length));
  }
  return nodes.map((row) => complete(db, row));
}

/** Along delivery_execution from its newest end; it stops at the first row that is too old. */
export function executionHistogram(db: Database, input: HistogramInput): HistogramCell[] {
  const { project, since, widthMs, count } = input;
  return db
    .query<HistogramCell, SQLQueryBindings[]>(
      `SELECT CAST((created_at - ?) / ? AS INTEGER) AS bucket,
         CASE state WHEN 'succeeded' THEN 'success' ELSE 'failed' END AS kind, count(*) AS count
       FROM delivery WHERE profile = 'pingback' AND project = ? AND created_at >= ? AND created_at < ?
         AND finished_at IS NOT NULL AND deleted_at IS NULL
       GROUP BY 1, 2`,
    )
    .all(since, widthMs, project, since, since + widthMs * count);
}

function complete(db: Database, row: ExecutionRecord): Execution {
  const payload = db
    .query<{ body: Uint8Array }, [number]>(
      "SELECT p.body FROM delivery d JOIN payload p ON p.seq = d.payload_seq WHERE d.seq = ?",
    )
    .get(row.seq);
  const logs = db
    .query<LogRecord, [number]>(
      "SELECT attempt, at, level, message, meta FROM log_line WHERE delivery_seq = ? ORDER BY seq",
    )
    .all(row.seq);
  return {
    ...readExecution(row),
    payload: payload?.body ?? new Uint8Array(0),
    attempts: readAttempts(db, row, ATTEMPTS_MAX),
    logs,
  };
}

interface LogRecord {
  attempt: number;
  at: number;
  level: LogLevel;
  message: string;
  meta: string | null;
}

interface AttemptRow {
  number: number;
  started_at: number;
  duration_ms: number;
  outcome: AttemptRecord["outcome"];
  status: number | null;
  failure: AttemptRecord["failure"];
  error: string | null;
  excerpt: Uint8Array | null;
  detail: string | null;
}

function readAttempts(db: Database, { seq }: ExecutionRecord, limit: number): AttemptRecord[] {
  return db
    .query<AttemptRow, [number, number]>(
      `SELECT number, started_at, duration_ms, outcome, status, failure, error, excerpt, detail FROM attempt
       WHERE delivery_seq = ? ORDER BY number DESC LIMIT ?`,
    )
    .all(seq, limit)
    .reverse()
    .map(({ started_at: startedAt, duration_ms: durationMs, ...rest }) => ({
      ...{ startedAt, durationMs },
      ...rest,
    }));
}

function readExecution(row: ExecutionRecord): Execution {
  const { parent_id: parentId, parent_lane: lane } = row;
  return {
    seq: row.seq,
    id: idText(row.id),
    lane: row.endpoint_seq,
    state: row.state,
    attemptCount: row.attempt_count,
    createdAt: row.created_at,
    scheduledAt: row.scheduled_at,
    dueAt: row.due_at,
    finishedAt: row.finished_at,
    parent: parentId === null || lane === null ? null : { id: idText(parentId), lane },
    hasChildren: row.has_children === 1,
    isEvent: row.is_event === 1,
    payload: new Uint8Array(0),
    attempts: [],
    logs: [],
  };
}
