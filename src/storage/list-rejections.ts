/** Reads of rejections for lists and details. Synchronous: the reader decides on which thread they run. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { Lookup, Page, RejectionDetail, RejectionFilter, RejectionRow } from "../domain/reads.ts";
import type { RejectionReason } from "../domain/rejection.ts";
import { idBytes, idText } from "./ids.ts";
import { pageBounds, toPage } from "./page.ts";
import { Where } from "./where.ts";

const COLUMNS = `seq, id, project, source_seq, reason, detail, diagnosis, received_at, method, url,
  remote_address, admitted_at, admitted_event_id, is_forced`;

interface RejectionRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  source_seq: number;
  reason: RejectionReason;
  detail: string;
  diagnosis: string | null;
  received_at: number;
  method: string;
  url: string;
  remote_address: string | null;
  admitted_at: number | null;
  admitted_event_id: Uint8Array | null;
  is_forced: number | null;
}

/** As isBoundedDeliveryList: the newest of everything, or of one source (which keeps 10,000 at most). */
export function isBoundedRejectionList(filter: RejectionFilter, isOnlyProject: boolean): boolean {
  if (filter.reason !== undefined || filter.since !== undefined || filter.until !== undefined) return false;
  return filter.sourceSeq !== undefined || isOnlyProject;
}

export function rejectionListSql(
  filter: RejectionFilter,
  before: number,
): { sql: string; values: SQLQueryBindings[] } {
  const where = new Where()
    .and("seq < ?", before)
    .and("source_seq = ?", filter.sourceSeq)
    .and("project = ?", filter.project)
    .and("reason = ?", filter.reason)
    .and("received_at >= ?", filter.since)
    .and("received_at < ?", filter.until);
  return {
    sql: `SELECT ${COLUMNS} FROM rejection WHERE ${where.sql} ORDER BY seq DESC LIMIT ?`,
    values: where.values,
  };
}

export function listRejections(db: Database, filter: RejectionFilter): Page<RejectionRow> {
  const { before, limit } = pageBounds(filter);
  const { sql, values } = rejectionListSql(filter, before);
  const rows = db.query<RejectionRecord, SQLQueryBindings[]>(sql).all(...values, limit + 1);
  return toPage(rows.map(readRejection), limit);
}

/** By the unique id. */
export function getRejection(db: Database, { project, id }: Lookup): RejectionDetail | null {
  const row = db
    .query<
      RejectionRecord & { headers: string; body: Uint8Array; is_body_cut: number },
      [Uint8Array, string]
    >(`SELECT ${COLUMNS}, headers, body, is_body_cut FROM rejection WHERE id = ? AND project = ?`)
    .get(idBytes(id), project);
  if (!row) return null;
  return {
    ...readRejection(row),
    headers: JSON.parse(row.headers) as Record<string, string>,
    body: row.body,
    isBodyCut: row.is_body_cut === 1,
  };
}

function readRejection(row: RejectionRecord): RejectionRow {
  return {
    seq: row.seq,
    id: idText(row.id),
    project: row.project,
    sourceSeq: row.source_seq,
    reason: row.reason,
    detail: row.detail,
    diagnosis: row.diagnosis,
    receivedAt: row.received_at,
    method: row.method,
    url: row.url,
    remoteAddress: row.remote_address,
    admission: readAdmission(row),
  };
}

function readAdmission(row: RejectionRecord): RejectionRow["admission"] {
  const { admitted_at: at, admitted_event_id: eventId } = row;
  return at === null || eventId === null
    ? null
    : { at, eventId: idText(eventId), isForced: row.is_forced === 1 };
}
