/** Reads of events for lists and details. Synchronous: the reader decides on which thread they run. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { EventDetail, EventFilter, EventRow, Lookup, Page } from "../domain/reads.ts";
import { idBytes, idText } from "./ids.ts";
import { listFanOut } from "./list-deliveries.ts";
import { pageBounds, toPage } from "./page.ts";
import { Where } from "./where.ts";

export const EVENT_COLUMNS =
  "seq, id, project, source_seq, external_id, type, tenant, received_at, remote_address, size_bytes";

export interface EventRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  source_seq: number | null;
  external_id: string | null;
  type: string | null;
  tenant: string | null;
  received_at: number;
  remote_address: string | null;
  size_bytes: number;
}

/** As isBoundedDeliveryList: the newest of everything, or of one source. */
export function isBoundedEventList(filter: EventFilter, isOnlyProject: boolean): boolean {
  if (filter.type !== undefined || filter.since !== undefined || filter.until !== undefined) return false;
  return filter.sourceSeq !== undefined || isOnlyProject;
}

export function eventListSql(
  filter: EventFilter,
  before: number,
): { sql: string; values: SQLQueryBindings[] } {
  const where = new Where()
    .and("seq < ?", before)
    .and("source_seq = ?", filter.sourceSeq)
    .and("project = ?", filter.project)
    .and("type = ?", filter.type)
    .and("received_at >= ?", filter.since)
    .and("received_at < ?", filter.until);
  return {
    sql: `SELECT ${EVENT_COLUMNS} FROM event WHERE ${where.sql} ORDER BY seq DESC LIMIT ?`,
    values: where.values,
  };
}

export function listEvents(db: Database, filter: EventFilter): Page<EventRow> {
  const { before, limit } = pageBounds(filter);
  const { sql, values } = eventListSql(filter, before);
  const rows = db.query<EventRecord, SQLQueryBindings[]>(sql).all(...values, limit + 1);
  return toPage(rows.map(readEvent), limit);
}

/** By the unique id; payload by its primary key. */
export function getEvent(db: Database, { project, id }: Lookup): EventDetail | null {
  const row = db
    .query<EventRecord, [Uint8Array, string]>(
      `SELECT ${EVENT_COLUMNS} FROM event WHERE id = ? AND project = ?`,
    )
    .get(idBytes(id), project);
  if (!row) return null;
  const payload = db
    .query<{ headers: string; body: Uint8Array }, [number]>("SELECT headers, body FROM payload WHERE seq = ?")
    .get(row.seq);
  return {
    ...readEvent(row),
    payload: payload && {
      headers: JSON.parse(payload.headers) as Record<string, string>,
      body: payload.body,
    },
    deliveries: listFanOut(db, row.seq),
  };
}

export function readEvent(row: EventRecord): EventRow {
  return {
    seq: row.seq,
    id: idText(row.id),
    project: row.project,
    sourceSeq: row.source_seq,
    externalId: row.external_id,
    type: row.type,
    tenant: row.tenant,
    receivedAt: row.received_at,
    remoteAddress: row.remote_address,
    sizeBytes: row.size_bytes,
  };
}
