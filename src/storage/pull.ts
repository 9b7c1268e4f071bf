/** Pull mode: what a source has waiting for its consumer, oldest first, with everything that was received. */
import type { Database } from "bun:sqlite";
import type { DeliveryPosition } from "../domain/delivery.ts";
import type { Id } from "../domain/id.ts";
import type { Payload } from "../domain/strategy.ts";
import { idText } from "./ids.ts";

export interface PullInput {
  readonly lane: number;
  /** What nobody has fetched yet, or what was fetched and never acknowledged. */
  readonly state: "stored" | "fetched";
  readonly limit: number;
  /** Stop after this many body bytes; the first one always comes. */
  readonly bytesMax: number;
}

export interface PullItem {
  readonly position: DeliveryPosition;
  readonly deliveryId: Id;
  readonly eventId: Id;
  readonly type: string | null;
  readonly receivedAt: number;
  readonly payload: Payload;
}

interface PullRow {
  seq: number;
  id: Uint8Array;
  event_id: Uint8Array;
  type: string | null;
  received_at: number;
  headers: string | null;
  body: Uint8Array | null;
}

/** One range of the partial index delivery_pull, which is used only when the state stands in the text. */
export function pullSql(state: PullInput["state"]): string {
  return `SELECT d.seq, d.id, e.id AS event_id, e.type, e.received_at, p.headers, p.body
    FROM delivery d
    CROSS JOIN event e ON e.seq = d.event_seq
    LEFT JOIN payload p ON p.seq = d.payload_seq
    WHERE d.endpoint_seq = ? AND d.state = '${state}' AND d.deleted_at IS NULL ORDER BY d.seq LIMIT ?`;
}

export function readPull(db: Database, { lane, state, limit, bytesMax }: PullInput): PullItem[] {
  const items: PullItem[] = [];
  let bytes = 0;
  for (const row of db.query<PullRow, [number, number]>(pullSql(state)).iterate(lane, limit)) {
    bytes += row.body?.byteLength ?? 0;
    if (items.length > 0 && bytes > bytesMax) break;
    items.push(toItem(row, lane, state));
  }
  return items;
}

function toItem(row: PullRow, lane: number, state: PullInput["state"]): PullItem {
  return {
    position: {
      seq: row.seq,
      lane,
      state,
      dueAt: null,
      lease: null,
      attemptCount: 0,
      budgetStart: 0,
      policyState: null,
    },
    deliveryId: idText(row.id),
    eventId: idText(row.event_id),
    type: row.type,
    receivedAt: row.received_at,
    payload: {
      headers: row.headers === null ? {} : (JSON.parse(row.headers) as Record<string, string>),
      body: row.body ?? new Uint8Array(0),
    },
  };
}
