/**
 * Searching texts: bodies, errors, answers. There is no index of words: FTS5 made storing a body three times
 * as dear (20 us instead of 6, with trigrams 77), while looking through a million of them takes half a
 * second. So a search is a walk, newest first, in stretches of bounded length on the read thread; a page may
 * be short and have a next one nevertheless.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { DeliveryRow, DeliverySearch, EventRow, EventSearch, Page } from "../domain/reads.ts";
import { matchOf, walkOf } from "./delivery-match.ts";
import { DELIVERY_COLUMNS, DELIVERY_FROM, type DeliveryRecord, readDelivery } from "./list-deliveries.ts";
import { EVENT_COLUMNS, type EventRecord, readEvent } from "./list-events.ts";
import { pageBounds, toPage, writeCursor } from "./page.ts";
import { Where } from "./where.ts";

/** Rows looked at in one stretch: some 20 ms with bodies of 1 KiB. */
const STRETCH_ROWS = 20_000;

/** Where the stretch below `before` begins; 0 when it reaches the end of the table. */
interface Stretch {
  readonly sql: string;
  readonly values: readonly SQLQueryBindings[];
  readonly before: number;
}

function stretchStart(db: Database, { sql, values, before }: Stretch): number {
  const found = db.query<{ seq: number }, SQLQueryBindings[]>(sql).get(...values, before, STRETCH_ROWS - 1);
  return found?.seq ?? 0;
}

/** A page of a stretch: its next page goes on in the stretch, or below it while there is a table left. */
function pageOf<Row extends { readonly seq: number }>(rows: Row[], limit: number, start: number): Page<Row> {
  const page = toPage(rows, limit);
  return page.nextCursor === null && start > 0 ? { ...page, nextCursor: writeCursor(start) } : page;
}

/** A body is bytes; what is no text has nothing to find. */
function likeOf(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, "\\$&")}%`;
}

const HAS_TEXT = `(CAST(p.body AS TEXT) LIKE ? ESCAPE '\\' OR d.last_error LIKE ? ESCAPE '\\'
  OR EXISTS (SELECT 1 FROM attempt a WHERE a.delivery_seq = d.seq
    AND (a.error LIKE ? ESCAPE '\\' OR CAST(a.excerpt AS TEXT) LIKE ? ESCAPE '\\')))`;

/** The statements of a search, apart so that their plans can be asserted. */
export function deliverySearchSql({ match, text }: DeliverySearch): { start: string; rows: string } {
  const walk = walkOf(match).sql;
  const hasText = text === undefined ? "" : `AND ${HAS_TEXT}`;
  return {
    start: `SELECT d.seq FROM delivery d WHERE ${walk} AND d.seq < ? ORDER BY d.seq DESC LIMIT 1 OFFSET ?`,
    rows: `SELECT ${DELIVERY_COLUMNS} ${DELIVERY_FROM} LEFT JOIN payload p ON p.seq = d.payload_seq
      WHERE ${walk} AND d.seq < ? AND d.seq >= ? AND ${matchOf(match).sql} ${hasText}
      ORDER BY d.seq DESC LIMIT ?`,
  };
}

export function searchDeliveries(db: Database, search: DeliverySearch): Page<DeliveryRow> {
  const { before, limit } = pageBounds(search);
  const sql = deliverySearchSql(search);
  const walk = walkOf(search.match);
  const start = stretchStart(db, { sql: sql.start, values: walk.values, before });
  const texts = search.text === undefined ? [] : new Array<string>(4).fill(likeOf(search.text));
  const rows = db
    .query<DeliveryRecord, SQLQueryBindings[]>(sql.rows)
    .all(...walk.values, before, start, ...matchOf(search.match).values, ...texts, limit + 1);
  return pageOf(rows.map(readDelivery), limit, start);
}

/** As above. Along the table, or along event_source. */
export function eventSearchSql({ sourceSeq }: EventSearch): { start: string; from: string } {
  const walk = sourceSeq === undefined ? "1" : "e.source_seq = ?";
  return {
    start: `SELECT e.seq FROM event e WHERE ${walk} AND e.seq < ? ORDER BY e.seq DESC LIMIT 1 OFFSET ?`,
    from: `FROM event e CROSS JOIN payload p ON p.seq = e.seq WHERE ${walk} AND e.seq < ? AND e.seq >= ?`,
  };
}

export function searchEvents(db: Database, search: EventSearch): Page<EventRow> {
  const { before, limit } = pageBounds(search);
  const { project, sourceSeq, type, since, until, text } = search;
  const sql = eventSearchSql(search);
  const walk = sourceSeq === undefined ? [] : [sourceSeq];
  const start = stretchStart(db, { sql: sql.start, values: walk, before });
  const where = new Where()
    .and("e.project = ?", project)
    .and("e.type = ?", type)
    .and("e.received_at >= ?", since)
    .and("e.received_at < ?", until)
    .and("CAST(p.body AS TEXT) LIKE ? ESCAPE '\\'", likeOf(text));
  const columns = EVENT_COLUMNS.replaceAll(/\b\w+\b/g, "e.$&");
  const rows = db
    .query<EventRecord, SQLQueryBindings[]>(
      `SELECT ${columns} ${sql.from} AND ${where.sql} ORDER BY e.seq DESC LIMIT ?`,
    )
    .all(...walk, before, start, ...where.values, limit + 1);
  return pageOf(rows.map(readEvent), limit, start);
}
