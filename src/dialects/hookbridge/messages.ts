/** Messages and their attempts: read, replay, retry now, cancel (protocol sections 7.2 to 7.6). */
import type { AttemptRecord } from "../../domain/attempt.ts";
import type { HistoryEntry, HistoryRow } from "../../domain/history.ts";
import { showId } from "../../domain/id.ts";
import { answerData, Fault } from "./answer.ts";
import { type MessageSpec, readSpec } from "./objects.ts";
import { type AttemptDetail, OUTBOUND, retryTypeOf } from "./profiles.ts";
import { cancelRetry, replay, retryNow } from "./resend.ts";
import type { Call, Route } from "./router.ts";
import { readObjectId, type Service } from "./service.ts";
import { readUuid, sha256, showOptionalTime, showProject, showStatus, showTime, showUuid } from "./wire.ts";

const ATTEMPTS_MAX = 200;

export function messageRoutes(service: Service): Route[] {
  const one = "/v1/messages/:id";
  const find = (call: Call) => findMessage(call, service);
  return [
    {
      method: "GET",
      path: one,
      run: async (call) => answerData(call.context, showMessage(await find(call), service)),
    },
    { method: "GET", path: `${one}/attempts`, run: (call) => listAttempts(call, service) },
    {
      method: "POST",
      path: `${one}/replay`,
      async run(call) {
        const entry = await find(call);
        await replay(service, entry, call.settings);
        return answerData(call.context, { message_id: showUuid(entry.id), status: "queued" });
      },
    },
    {
      method: "POST",
      path: `${one}/retry-now`,
      async run(call) {
        const entry = await find(call);
        const dueAt = await retryNow(service, entry);
        return answerChanged(call, { ...entry, dueAt }, service, "the message is sent again at once");
      },
    },
    {
      method: "POST",
      path: `${one}/cancel`,
      async run(call) {
        await cancelRetry(service, await find(call));
        return answerChanged(call, await find(call), service, "the retry is cancelled");
      },
    },
  ];
}

/** The documentation reads `message_id` and `status`, Go the whole message: both are there. */
function answerChanged(call: Call, entry: HistoryEntry, service: Service, message: string): Response {
  const data = { ...showMessage(entry, service), message_id: showUuid(entry.id) };
  return answerData(call.context, data, { top: { message } });
}

export async function findMessage(call: Call, service: Service): Promise<HistoryEntry> {
  const id = readObjectId(call.param("id"), "message");
  const { history } = service.context;
  const entry = await history.historyEntry({ project: call.project, profile: OUTBOUND, id });
  if (!entry) throw new Fault("NOT_FOUND", "no such message");
  return entry;
}

/** An unknown id answers an empty list (protocol section 7.3). */
async function listAttempts(call: Call, service: Service): Promise<Response> {
  const id = readUuid(call.param("id"));
  const { history } = service.context;
  const entry =
    id === null ? null : await history.historyEntry({ project: call.project, profile: OUTBOUND, id });
  return answerAttempts(call, entry, service);
}

export async function answerAttempts(
  call: Call,
  entry: HistoryEntry | null,
  service: Service,
): Promise<Response> {
  const attempts = entry === null ? [] : await service.context.history.historyAttempts(entry.seq);
  const rows = attempts.map((attempt) => showAttempt(entry as HistoryEntry, attempt));
  const hasMore = (entry?.attemptCount ?? 0) > ATTEMPTS_MAX;
  return answerData(call.context, rows, { meta: { has_more: hasMore, next_cursor: null } });
}

/** An attempt has no id of its own: its message's with its number in the last digits is as good as one. */
function attemptId(id: string, number: number): string {
  return showUuid(`${id.slice(0, 24)}${number.toString(16).padStart(8, "0")}`);
}

function showAttempt(entry: HistoryEntry, attempt: AttemptRecord) {
  const { number, status, durationMs, startedAt, outcome, error } = attempt;
  const detail = attempt.detail === null ? null : (JSON.parse(attempt.detail) as AttemptDetail);
  const hasAnswer = status !== null;
  return {
    id: attemptId(entry.id, number),
    attempt_no: number,
    created_at: showTime(startedAt),
    response_status: status,
    response_latency_ms: hasAnswer ? Math.round(durationMs) : null,
    processing_ms: null,
    error_text: error,
    retry_type: outcome === "failed" ? retryTypeOf(status) : null,
    retry_after_seconds: detail?.retryAfterMs == null ? null : Math.round(detail.retryAfterMs / 1_000),
    response_headers: detail?.headers ?? null,
    response_body_truncated: detail?.isBodyTruncated ?? null,
    resolved_ip: detail?.address ?? null,
    ...{ request_headers: null, response_body_url: null, conn_reused: null },
    ...{ dns_ms: null, tcp_connect_ms: null, tls_handshake_ms: null, ttfb_ms: null, transfer_ms: null },
  };
}

/** What every list and object of messages shows of how it went. */
export function showProgress(row: HistoryRow) {
  const { state, createdAt, lastStatus, lastDurationMs, firstAttemptAt } = row;
  const deliveredAt = state === "succeeded" ? row.finishedAt : null;
  return {
    status: showStatus(state),
    attempt_count: row.attemptCount,
    next_attempt_at: state === "retrying" ? showOptionalTime(row.dueAt) : null,
    delivered_at: showOptionalTime(deliveredAt),
    last_error: row.lastError,
    response_status: lastStatus,
    response_latency_ms: lastStatus === null || lastDurationMs === null ? null : Math.round(lastDurationMs),
    queue_wait_ms: firstAttemptAt === null ? null : Math.max(0, firstAttemptAt - createdAt),
    total_delivery_ms: deliveredAt === null ? null : Math.max(0, deliveredAt - createdAt),
    deleted_at: showOptionalTime(row.deletedAt),
  };
}

export function updatedAt(row: HistoryRow): number {
  const attemptedAt = row.lastAttemptAt === null ? 0 : row.lastAttemptAt + (row.lastDurationMs ?? 0);
  return Math.max(row.createdAt, attemptedAt, row.finishedAt ?? 0, row.fetchedAt ?? 0, row.deletedAt ?? 0);
}

function showMessage(entry: HistoryEntry, service: Service) {
  const endpoint = service.context.directory.endpointOfLane(entry.lane);
  const spec = specOf(entry);
  return {
    id: showUuid(entry.id),
    project_id: showProject(entry.project),
    endpoint_id: endpoint ? showId("endpoint", endpoint.id) : "",
    ...showProgress(entry),
    replay_count: entry.replayCount,
    content_type: entry.payload?.headers["content-type"] ?? "application/json",
    size_bytes: spec.sizeBytes,
    payload_sha256: spec.sha256,
    idempotency_key: spec.key ?? null,
    retention_hours: spec.retentionHours ?? null,
    created_at: showTime(entry.createdAt),
    updated_at: showTime(updatedAt(entry)),
    ...{ deleted_by_user_id: null, deleted_by_api_key_id: null },
  };
}

function specOf({ spec, payload, createdAt }: HistoryEntry): MessageSpec {
  if (spec !== null) return readSpec(spec);
  const body = payload?.body ?? new Uint8Array(0);
  return { sizeBytes: body.byteLength, sha256: sha256(body), acceptedAt: createdAt };
}
