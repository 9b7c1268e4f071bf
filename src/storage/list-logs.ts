/** Reads of log lines. Synchronous: the reader decides on which thread they run. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type {
  HistogramCell,
  HistogramInput,
  LogFilter,
  NumberedPage,
  NumberedPageInput,
  StoredLog,
  WalkInput,
} from "../domain/execution.ts";
import type { LogLevel } from "../domain/log-line.ts";
import type { Page } from "../domain/reads.ts";
import { idBytes, idText } from "./ids.ts";
import { likePart, TOTAL_MAX } from "./list-executions.ts";
import { pageBounds, readCursor, toPage, writeCursor } from "./page.ts";
import { type Reach, stretchPage, stretchStart } from "./stretch.ts";
import { Where } from "./where.ts";

interface LogRecord {
  seq: number;
  execution_id: Uint8Array | null;
  attempt: number;
  endpoint_seq: number;
  at: number;
  level: LogLevel;
  message: string;
  meta: string | null;
}

const COLUMNS = `l.seq, (SELECT d.id FROM delivery d WHERE d.seq = l.delivery_seq) AS execution_id, l.attempt,
  l.endpoint_seq, l.at, l.level, l.message, l.meta`;

function whereOf({ project, lane, executionId, level, text, since, until }: LogFilter): Where {
  return new Where()
    .and("l.project = ?", project)
    .and("l.endpoint_seq = ?", lane)
    .and(
      "l.delivery_seq = (SELECT seq FROM delivery WHERE id = ?)",
      executionId === undefined ? undefined : idBytes(executionId),
    )
    .and("l.level = ?", level)
    .and("l.at >= ?", since)
    .and("l.at < ?", until)
    .and("l.message LIKE ? ESCAPE '\\'", text === undefined ? undefined : likePart(text));
}

/** By the primary key, log_line_endpoint or log_line_delivery, newest first, with nothing to step over. */
export function isBoundedLogList(filter: LogFilter, isOnlyProject: boolean): boolean {
  const { level, text, since, until, lane, executionId } = filter;
  if ([level, text, since, until].some((value) => value !== undefined)) return false;
  return isOnlyProject || lane !== undefined || executionId !== undefined;
}

type LogList = LogFilter & WalkInput & { readonly after?: string };

/** Throws invalid_request for a bad cursor or limit. */
export function logBounds({ after, ...page }: LogList): { before: number; above: number; limit: number } {
  return { ...pageBounds(page), above: after === undefined ? 0 : readCursor(after) };
}

export function listLogs(db: Database, filter: LogList): Page<StoredLog> {
  const { before, above, limit } = logBounds(filter);
  if (filter.after !== undefined) return listLater(db, filter, { above, limit });
  const isIndexed =
    filter.executionId !== undefined || (filter.lane !== undefined && isBoundedLogList(filter, false));
  const start = filter.isOneStretch && !isIndexed ? stretchStart(reachOf(db, before)) : 0;
  const where = whereOf(filter).and("l.seq < ?", before).and("l.seq >= ?", start);
  const sql = `SELECT ${COLUMNS} FROM log_line l WHERE ${where.sql} ORDER BY l.seq DESC LIMIT ?`;
  const rows = db.query<LogRecord, SQLQueryBindings[]>(sql).all(...where.values, limit + 1);
  return stretchPage(rows.map(readLog), limit, start);
}

/** Both by the primary key. */
function reachOf(db: Database, before: number): Reach {
  const sql = `SELECT (SELECT min(seq) FROM log_line) AS low,
    (SELECT max(seq) FROM log_line WHERE seq < ?) AS high`;
  return db.query<Reach, [number]>(sql).get(before) ?? { low: null, high: null };
}

/**
 * The cursor goes past everything that was looked at, so that who follows a rare line looks at each other one
 * once. The end is read first: what is stored meanwhile belongs to the next page.
 */
function listLater(
  db: Database,
  filter: LogFilter,
  { above, limit }: { above: number; limit: number },
): Page<StoredLog> {
  const end = db.query<{ seq: number | null }, []>("SELECT max(seq) AS seq FROM log_line").get()?.seq ?? 0;
  const where = whereOf(filter).and("l.seq > ?", above).and("l.seq <= ?", end);
  const sql = `SELECT ${COLUMNS} FROM log_line l WHERE ${where.sql} ORDER BY l.seq LIMIT ?`;
  const rows = db.query<LogRecord, SQLQueryBindings[]>(sql).all(...where.values, limit + 1);
  const { data, nextCursor } = toPage(rows.map(readLog), limit);
  return { data, nextCursor: nextCursor ?? writeCursor(Math.max(above, end)) };
}

export function pageLogs(db: Database, filter: LogFilter & NumberedPageInput): NumberedPage<StoredLog> {
  const where = whereOf(filter);
  const { limit, offset } = filter;
  const sql = `SELECT ${COLUMNS} FROM log_line l WHERE ${where.sql} ORDER BY l.seq DESC LIMIT ? OFFSET ?`;
  const rows = db.query<LogRecord, SQLQueryBindings[]>(sql).all(...where.values, limit, offset);
  const counted = `SELECT count(*) AS total FROM (SELECT 1 FROM log_line l WHERE ${where.sql}
    LIMIT ${TOTAL_MAX})`;
  const count = db.query<{ total: number }, SQLQueryBindings[]>(counted).get(...where.values);
  return { items: rows.map(readLog), total: count?.total ?? 0 };
}

export function logHistogram(db: Database, input: HistogramInput): HistogramCell[] {
  const { project, since, widthMs, count } = input;
  return db
    .query<HistogramCell, SQLQueryBindings[]>(
      `SELECT CAST((at - ?) / ? AS INTEGER) AS bucket, level AS kind, count(*) AS count
       FROM log_line WHERE project = ? AND at >= ? AND at < ? GROUP BY 1, 2`,
    )
    .all(since, widthMs, project, since, since + widthMs * count);
}

function readLog(row: LogRecord): StoredLog {
  const { seq, attempt, at, level, message, meta, endpoint_seq: lane, execution_id: id } = row;
  const cursor = writeCursor(seq);
  return {
    seq,
    cursor,
    attempt,
    at,
    level,
    message,
    meta,
    lane,
    executionId: id === null ? null : idText(id),
  };
}
