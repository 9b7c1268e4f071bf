/** The log of sent messages and its dead letters (protocol sections 8 and 9). */
import type { HistoryFilter, HistoryRow } from "../../domain/history.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import { findMessage, showProgress } from "./messages.ts";
import { OUTBOUND } from "./profiles.ts";
import { replay } from "./resend.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import { readCursor, showTime, showUuid, statesOf, writeCursor } from "./wire.ts";

/** What the dead letter queue holds: given up by the policy, or by a client. */
const DEAD = ["dead", "cancelled"] as const;

export function logRoutes(service: Service): Route[] {
  return [
    { method: "GET", path: "/v1/logs", run: (call) => listLogs(call, service) },
    { method: "GET", path: "/v1/dlq/messages", run: (call) => listDeadLetters(call, service) },
    { method: "POST", path: "/v1/dlq/replay/:id", run: (call) => replayDeadLetter(call, service) },
  ];
}

/** The filters that every log has: status, times, cursor, page size. */
export function logFilter({ query, project }: Call, limitMax = 500, usual = 50) {
  const status = query.text("status");
  const since = query.time("start_time");
  const until = query.time("end_time");
  const cursor = query.text("cursor");
  return {
    project,
    limit: query.integer("limit", { min: 1, max: limitMax, usual }),
    after: cursor === undefined ? null : readCursor(cursor),
    ...(status === undefined ? {} : { states: statesOf(status) }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  } satisfies Partial<HistoryFilter>;
}

async function listLogs(call: Call, service: Service): Promise<Response> {
  const endpointId = call.query.text("endpoint_id");
  const lane = endpointId === undefined ? undefined : service.endpoint(call.project, endpointId).lane;
  const page = await service.context.history.listHistory({
    ...logFilter(call),
    profile: OUTBOUND,
    ...(lane === undefined ? {} : { lane }),
  });
  const rows = page.rows.map((row) => showEntry(row, service));
  return answerList(call.context, rows, page.next && writeCursor(page.next));
}

/** Paging stands inside `data` here (protocol section 9). */
async function listDeadLetters(call: Call, service: Service): Promise<Response> {
  const cursor = call.query.text("cursor");
  const page = await service.context.history.listHistory({
    project: call.project,
    profile: OUTBOUND,
    states: DEAD,
    after: cursor === undefined ? null : readCursor(cursor),
    limit: call.query.integer("limit", { min: 1, max: 1_000, usual: 100 }),
    isLivingOnly: true,
  });
  const messages = page.rows.map((row) => ({
    ...showEntry(row, service),
    failed_at: showTime(row.finishedAt ?? row.createdAt),
    // compat(hookbridge 9): Go reads a text here and cannot read null.
    last_error: row.lastError ?? "",
  }));
  const next = page.next && writeCursor(page.next);
  return answerData(call.context, { messages, has_more: next !== null, next_cursor: next });
}

async function replayDeadLetter(call: Call, service: Service): Promise<Response> {
  const entry = await findMessage(call, service);
  const isDead = DEAD.some((state) => state === entry.state) && entry.deletedAt === null;
  if (!isDead) throw new Fault("NOT_FOUND", "the message is not in the dead letter queue");
  await replay(service, entry, call.settings);
  return answerData(call.context, { message_id: showUuid(entry.id), status: "queued" });
}

function showEntry(row: HistoryRow, service: Service) {
  return {
    message_id: showUuid(row.id),
    // The URL, not the id (protocol section 8).
    endpoint: service.context.directory.endpointOfLane(row.lane)?.url ?? "",
    ...showProgress(row),
    created_at: showTime(row.createdAt),
  };
}
