/** Messages that were taken in, their log, their numbers, and what was refused (sections 12.5 and 12.6). */
import type { HistoryEntry, HistoryRow } from "../../domain/history.ts";
import type { RejectionRow } from "../../domain/reads.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import { countsOf, deleteRoutes, type Kind, replayRoutes, summaryOf } from "./bulk.ts";
import { logFilter } from "./logs.ts";
import { answerAttempts, showProgress, updatedAt } from "./messages.ts";
import { readSeries, showInboundMetrics, showSeries } from "./metrics.ts";
import { DOOR, readSourceExtra } from "./objects.ts";
import { INBOUND } from "./profiles.ts";
import { reasonCode } from "./receive.ts";
import { findSource, laneOf, sourceOfLane } from "./receiving.ts";
import { replay } from "./resend.ts";
import type { Call, Route } from "./router.ts";
import { readObjectId, type Service } from "./service.ts";
import {
  readUuid,
  sha256,
  showOptionalTime,
  showProject,
  showTime,
  showUuid,
  statesOf,
  writeCursor,
} from "./wire.ts";

const PATH = "/v1/inbound-messages";

export function inboundMessageRoutes(service: Service): Route[] {
  const kind = inboundKind(service);
  const find = async (call: Call) => {
    const entry = await kind.find(call, readObjectId(call.param("id"), "message"));
    if (!entry) throw new Fault("NOT_FOUND", "no such message");
    return entry;
  };
  return [
    {
      method: "GET",
      path: `${PATH}/:id`,
      run: async (call) => answerData(call.context, showMessage(await find(call), service)),
    },
    {
      method: "GET",
      path: `${PATH}/:id/attempts`,
      async run(call) {
        const id = readUuid(call.param("id"));
        return answerAttempts(call, id === null ? null : await kind.find(call, id), service);
      },
    },
    {
      method: "POST",
      path: `${PATH}/:id/replay`,
      run: async (call) => replayInbound(call, await find(call), service),
    },
    ...replayRoutes(service, PATH, kind),
    ...deleteRoutes(service, PATH, kind),
    { method: "GET", path: "/v1/inbound-logs", run: (call) => listLogs(call, service) },
    ...numberRoutes(service),
    { method: "GET", path: "/v1/inbound-rejections", run: (call) => listRejections(call, service) },
  ];
}

/** Their id is the event's: it is what the producer was told. */
function inboundKind(service: Service): Kind {
  return {
    noun: "message",
    since: "received_after",
    until: "received_before",
    filter: (call) => ({ project: call.project, profile: INBOUND, ...laneFilter(call, service) }),
    states: statesOf,
    idOf: ({ eventId, id }) => eventId ?? id,
    find: ({ project }, id) => service.context.history.historyOfEvent({ project, profile: INBOUND, id }),
  };
}

function laneFilter({ project, query }: Call, service: Service): { lane?: number } {
  const id = query.text("inbound_endpoint_id");
  return id === undefined ? {} : { lane: laneOf(service, findSource(service, project, id, "inbound")) };
}

/**
 * compat(hookbridge 12.5): PHP and Python read `message_id` and `status`, Go the summary of a batch; one body
 * has both.
 */
async function replayInbound(call: Call, entry: HistoryEntry, service: Service): Promise<Response> {
  await replay(service, entry, call.settings);
  const message_id = showUuid(entry.eventId ?? entry.id);
  const results = [{ message_id, status: "replayed" }] as const;
  const data = { message_id, status: "queued", ...countsOf(results), results };
  return answerData(call.context, data, { top: { message: summaryOf(1) } });
}

function idsOf(row: HistoryRow, service: Service) {
  const source = sourceOfLane(service, row.lane);
  return { source, inbound_endpoint_id: source ? showUuid(source.id) : "" };
}

async function listLogs(call: Call, service: Service): Promise<Response> {
  const page = await service.context.history.listHistory({
    ...logFilter(call),
    profile: INBOUND,
    ...laneFilter(call, service),
  });
  const { directory } = service.context;
  const rows = page.rows.map((row) => ({
    message_id: showUuid(row.eventId ?? row.id),
    inbound_endpoint_id: idsOf(row, service).inbound_endpoint_id,
    endpoint: row.lane > 0 ? (directory.endpointOfLane(row.lane)?.url ?? "") : "",
    ...showProgress(row),
    received_at: showTime(row.createdAt),
  }));
  return answerList(call.context, rows, page.next && writeCursor(page.next));
}

function showMessage(entry: HistoryEntry, service: Service) {
  const { payload, state } = entry;
  const { source, inbound_endpoint_id } = idsOf(entry, service);
  const hasFailed = state === "dead" || state === "cancelled";
  return {
    id: showUuid(entry.eventId ?? entry.id),
    project_id: showProject(entry.project),
    inbound_endpoint_id,
    ...showProgress(entry),
    replay_count: entry.replayCount,
    content_type: payload?.headers["content-type"] ?? null,
    size_bytes: entry.sizeBytes,
    payload_sha256: payload === null ? null : sha256(payload.body),
    idempotency_key: source ? idempotencyKey(entry, readSourceExtra(source).idempotencyHeaders) : null,
    received_at: showTime(entry.createdAt),
    updated_at: showTime(updatedAt(entry)),
    failed_at: hasFailed ? showOptionalTime(entry.finishedAt) : null,
    ...{ deleted_by_user_id: null, deleted_by_api_key_id: null },
  };
}

function idempotencyKey({ payload }: HistoryEntry, names: readonly string[]): string | null {
  const values = names.flatMap((name) => payload?.headers[name.toLowerCase()] ?? []);
  return values.length === 0 ? null : values.join(",");
}

function numberRoutes(service: Service): Route[] {
  const subject = (call: Call) => ({ profile: INBOUND, lane: laneFilter(call, service).lane ?? null });
  return [
    {
      method: "GET",
      path: "/v1/inbound-metrics",
      run: async (call) =>
        answerData(call.context, showInboundMetrics(await readSeries(call, service, subject(call)))),
    },
    {
      method: "GET",
      path: "/v1/inbound-metrics/timeseries",
      run: async (call) =>
        answerData(call.context, showSeries(await readSeries(call, service, subject(call)))),
    },
  ];
}

/** Pages of the engine's list that are looked through for rejections of this door's endpoints. */
const PAGES_MAX = 20;

async function listRejections(call: Call, service: Service): Promise<Response> {
  const { query, project, context } = call;
  const limit = query.integer("limit", { min: 1, max: 500, usual: 50 });
  const id = query.text("inbound_endpoint_id");
  const source = id === undefined ? null : service.receivingSource(project, id);
  const since = query.time("start_time");
  const until = query.time("end_time");
  const filter = {
    project,
    limit,
    ...(source === null ? {} : { sourceSeq: source.seq }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
  const found: RejectionRow[] = [];
  let cursor: string | null = query.text("cursor") ?? null;
  let pages = 0;
  do {
    // A page is taken whole, so that its cursor can be handed on; the first one may be short of rows.
    const page = await service.context.reads.listRejections({ ...filter, cursor });
    found.push(...page.data.filter((row) => isShown(row, service)));
    cursor = page.nextCursor;
    pages += 1;
  } while (cursor !== null && found.length === 0 && pages < PAGES_MAX);
  const rows = await Promise.all(found.map((row) => showRejection(row, service)));
  return answerList(context, rows, cursor);
}

function isShown({ sourceSeq, reason }: RejectionRow, service: Service): boolean {
  const isOurs = service.context.directory.sourceOfSeq(sourceSeq)?.door === DOOR;
  return isOurs && reasonCode(reason) !== null;
}

async function showRejection(row: RejectionRow, service: Service) {
  const { directory, reads } = service.context;
  const source = directory.sourceOfSeq(row.sourceSeq);
  const detail = await reads.getRejection({ project: row.project, id: row.id });
  const masked = Object.keys(detail?.headers ?? {}).map((name) => [name, "***"]);
  return {
    id: showUuid(row.id),
    reason_code: reasonCode(row.reason),
    reason_detail: row.detail,
    received_at: showTime(row.receivedAt),
    inbound_endpoint_id: source ? showUuid(source.id) : null,
    source_ip: row.remoteAddress,
    // compat(hookbridge 12.6): a text that holds JSON, not an object.
    headers_redacted: JSON.stringify(Object.fromEntries(masked)),
  };
}
