/** Reads of callback executions. Synchronous: the reader decides on which thread they run. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type {
  CallbackExecution,
  CallbackFilter,
  CallbackLookup,
  CallbackStatus,
} from "../domain/callback.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import { idBytes, idText } from "./ids.ts";
import { Where } from "./where.ts";

interface ExecutionRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  config_id: Uint8Array;
  tenant: string;
  event_type: string;
  target_url: string;
  refusal: string | null;
  created_at: number;
  state: DeliveryState | null;
  lane: number | null;
  attempt_count: number | null;
  due_at: number | null;
  finished_at: number | null;
  payload: Uint8Array | null;
}

/** A page stops early here: a hundred payloads of the largest size would be a hundred megabytes. */
const PAYLOAD_BYTES_MAX = 4 * 1_048_576;

const PAYLOAD_SQL = "(SELECT body FROM payload p WHERE p.seq = c.event_seq)";

const selectWith = (
  payload: string,
) => `SELECT c.seq, c.id, c.project, c.config_id, c.tenant, c.event_type, c.target_url, c.refusal,
  c.created_at, d.state, d.endpoint_seq AS lane, d.attempt_count, d.due_at, d.finished_at,
  ${payload} AS payload
  FROM callback_execution c LEFT JOIN delivery d ON d.seq = c.seq`;

const SELECT = selectWith(PAYLOAD_SQL);
const SELECT_BRIEF = selectWith("NULL");

/** Conditions on the delivery; one that was purged leaves nothing behind, its execution included. */
const STATUS_SQL: Readonly<Record<CallbackStatus, string>> = {
  PENDING: "d.finished_at IS NULL AND c.refusal IS NULL",
  DELIVERED: "d.state = 'succeeded'",
  FAILED: "(c.refusal IS NOT NULL OR d.state IN ('dead', 'cancelled', 'discarded'))",
};

/** Oldest first. */
export function listCallbackExecutions(db: Database, filter: CallbackFilter): CallbackExecution[] {
  const where = new Where()
    .and("c.project = ?", filter.project)
    .and("c.config_id = ?", filter.configId === undefined ? undefined : idBytes(filter.configId))
    .and("c.event_type = ?", filter.eventType)
    .and("c.seq > ?", filter.after);
  if (filter.status !== undefined) where.andAlways(STATUS_SQL[filter.status]);
  // Steps over what is queued instead of over everything that ever was.
  const source =
    filter.status === "PENDING"
      ? `${SELECT} WHERE c.seq IN (SELECT q.delivery_seq FROM queue q) AND ${where.sql}`
      : `${SELECT} WHERE ${where.sql}`;
  const rows = db
    .query<ExecutionRecord, SQLQueryBindings[]>(`${source} ORDER BY c.seq LIMIT ?`)
    .iterate(...where.values, filter.limit);
  const found: CallbackExecution[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.payload?.byteLength ?? 0;
    if (found.length > 0 && bytes > PAYLOAD_BYTES_MAX) break;
    found.push(readExecution(db, row));
  }
  return found;
}

/** By the unique id. */
export function getCallbackExecution(
  db: Database,
  { project, id, withoutPayload = false }: CallbackLookup,
): CallbackExecution | null {
  const select = withoutPayload ? SELECT_BRIEF : SELECT;
  const row = db
    .query<ExecutionRecord, [Uint8Array, string]>(`${select} WHERE c.id = ? AND c.project = ?`)
    .get(idBytes(id), project);
  return row ? readExecution(db, row) : null;
}

const utf8 = new TextDecoder();

function readExecution(db: Database, record: ExecutionRecord): CallbackExecution {
  return {
    seq: record.seq,
    id: idText(record.id),
    project: record.project,
    configId: idText(record.config_id),
    tenant: record.tenant,
    eventType: record.event_type,
    targetUrl: record.target_url,
    refusal: record.refusal,
    createdAt: record.created_at,
    delivery: readDelivery(db, record),
    payload: record.payload === null ? null : utf8.decode(record.payload),
  };
}

/** By the attempts' primary key: a config makes few of them. */
function readDelivery(db: Database, record: ExecutionRecord): CallbackExecution["delivery"] {
  const { seq, state, lane, attempt_count, due_at, finished_at } = record;
  if (state === null || lane === null) return null;
  const summary = db
    .query<{ refused: number; status: number | null; error: string | null }, [number, number, number]>(
      `SELECT (SELECT count(*) FROM attempt WHERE delivery_seq = ?1 AND failure = 'refused') AS refused,
         (SELECT status FROM attempt WHERE delivery_seq = ?2 AND status IS NOT NULL
          ORDER BY number DESC LIMIT 1) AS status,
         (SELECT error FROM attempt WHERE delivery_seq = ?3 AND error IS NOT NULL
          ORDER BY number DESC LIMIT 1) AS error`,
    )
    .get(seq, seq, seq);
  return {
    lane,
    state,
    attemptCount: attempt_count ?? 0,
    dueAt: due_at,
    finishedAt: finished_at,
    refusedCount: summary?.refused ?? 0,
    lastStatus: summary?.status ?? null,
    lastError: summary?.error ?? null,
  };
}
