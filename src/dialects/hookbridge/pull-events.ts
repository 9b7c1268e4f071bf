/** Events that wait to be pulled: listed, fetched, acknowledged, deleted, and counted (section 13). */
import { AppError } from "../../domain/errors.ts";
import type { HistoryEntry, HistoryRow } from "../../domain/history.ts";
import type { Id } from "../../domain/id.ts";
import { JsonText } from "../../domain/json-span.ts";
import type { Source } from "../../domain/source.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import { deleteRoutes, type Kind } from "./bulk.ts";
import { required } from "./endpoint-fields.ts";
import { readSeries, type Series, showPullMetrics } from "./metrics.ts";
import { readSourceExtra } from "./objects.ts";
import { PULL } from "./profiles.ts";
import { findSource, laneOf, sourceOfLane } from "./receiving.ts";
import type { Call, Route } from "./router.ts";
import { readObjectId, type Service } from "./service.ts";
import {
  pullStatesOf,
  readCursor,
  readUuid,
  showOptionalTime,
  showPullStatus,
  showTime,
  showUuid,
  writeCursor,
} from "./wire.ts";

const ACK_MAX = 1_000;
const EVENTS = "/v1/pull-endpoints/:id/events";

export function pullEventRoutes(service: Service): Route[] {
  const kind = eventKind(service);
  return [
    { method: "GET", path: EVENTS, run: (call) => listEvents(call, service) },
    { method: "GET", path: `${EVENTS}/:event`, run: (call) => getEvent(call, service, kind) },
    { method: "POST", path: `${EVENTS}/ack`, run: (call) => acknowledge(call, service, kind) },
    ...deleteRoutes(service, EVENTS, kind),
    { method: "GET", path: "/v1/pull-logs", run: (call) => listLogs(call, service) },
    ...numberRoutes(service),
  ];
}

function sourceOf(call: Call, service: Service): Source {
  return findSource(service, call.project, call.param("id"), "pull");
}

function eventKind(service: Service): Kind {
  return {
    noun: "event",
    since: "received_after",
    until: "received_before",
    filter(call) {
      const type = call.query.text("event_type");
      const lane = laneOf(service, sourceOf(call, service));
      return {
        project: call.project,
        profile: PULL,
        lane,
        ...(type === undefined ? {} : { eventType: type }),
      };
    },
    states: (status) => (status === "all" ? ["stored", "fetched", "succeeded"] : pullStatesOf(status)),
    idOf: ({ eventId, id }) => eventId ?? id,
    async find(call, id) {
      const source = sourceOf(call, service);
      const { project } = call;
      const entry = await service.context.history.historyOfEvent({ project, profile: PULL, id });
      return entry?.lane === laneOf(service, source) ? entry : null;
    },
  };
}

/** Oldest first, and without a status only what nobody has fetched yet. */
async function listEvents(call: Call, service: Service): Promise<Response> {
  const { query, project } = call;
  const status = query.text("status") ?? "stored";
  const type = query.text("event_type");
  const since = query.time("since");
  const until = query.time("before");
  const cursor = query.text("cursor");
  const page = await service.context.history.listHistory({
    project,
    profile: PULL,
    lane: laneOf(service, sourceOf(call, service)),
    limit: query.integer("limit", { min: 1, max: 1_000, usual: 50 }),
    after: cursor === undefined ? null : readCursor(cursor),
    isOldestFirst: true,
    isLivingOnly: true,
    ...(status === "all" ? {} : { states: pullStatesOf(status) }),
    ...(type === undefined ? {} : { eventType: type }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  });
  const rows = page.rows.map((row) => ({ id: eventId(row), ...showEvent(row) }));
  return answerList(call.context, rows, page.next && writeCursor(page.next));
}

function eventId(row: HistoryRow): string {
  return showUuid(row.eventId ?? row.id);
}

function showEvent(row: HistoryRow) {
  const { state, createdAt, fetchedAt, finishedAt } = row;
  const deliveredAt = state === "succeeded" ? finishedAt : null;
  return {
    event_type: row.eventType,
    status: showPullStatus(state, fetchedAt),
    size_bytes: row.sizeBytes ?? 0,
    received_at: showTime(createdAt),
    fetched_at: showOptionalTime(fetchedAt),
    delivered_at: showOptionalTime(deliveredAt),
    deleted_at: showOptionalTime(row.deletedAt),
    timing: {
      ingest_processing_ms: null,
      time_to_fetch_ms: fetchedAt === null ? null : Math.max(0, fetchedAt - createdAt),
      time_to_ack_ms:
        deliveredAt === null || fetchedAt === null ? null : Math.max(0, deliveredAt - fetchedAt),
      total_lifecycle_ms: deliveredAt === null ? null : Math.max(0, deliveredAt - createdAt),
    },
  };
}

async function getEvent(call: Call, service: Service, kind: Kind): Promise<Response> {
  const isPreview = call.query.text("preview") === "true";
  const entry = await kind.find(call, readObjectId(call.param("event"), "event"));
  if (!entry) throw new Fault("NOT_FOUND", "no such event");
  if (entry.deletedAt !== null && !isPreview) throw new Fault("MESSAGE_DELETED", "the event was deleted");
  if (isPreview || entry.state !== "stored") return answerEvent(call, entry);
  return answerEvent(call, await handOut(call, service, entry));
}

async function handOut(call: Call, service: Service, entry: HistoryEntry): Promise<HistoryEntry> {
  const { commands, history } = service.context;
  try {
    await commands.handOut(call.project, entry.id);
  } catch (error) {
    // Somebody else fetched it between the look and the change, which is as good.
    if (!(error instanceof AppError && error.code === "invalid_state")) throw error;
  }
  const id = entry.eventId ?? entry.id;
  return (await history.historyOfEvent({ project: call.project, profile: PULL, id })) ?? entry;
}

/** A payload that is JSON stands in the answer as it was received: its digits are the producer's. */
function answerEvent({ context }: Call, entry: HistoryEntry): Response {
  const { payload } = entry;
  const fields = {
    id: eventId(entry),
    ...showEvent(entry),
    content_type: payload?.headers["content-type"] ?? "",
    headers: payload?.headers ?? null,
    ...{ deleted_by_user_id: null, deleted_by_api_key_id: null },
  };
  const shown = payload === null ? "null" : payloadText(payload.body);
  const data = `${JSON.stringify(fields).slice(0, -1)},"payload":${shown}}`;
  const meta = JSON.stringify({ request_id: context.requestId });
  return new Response(`{"data":${data},"meta":${meta}}`, { headers: { "content-type": "application/json" } });
}

function payloadText(body: Uint8Array): string {
  try {
    const json = JsonText.read(body);
    return json.text(json.root);
  } catch {
    return JSON.stringify(Buffer.from(body).toString("base64"));
  }
}

/** Counts what was not acknowledged before. One foreign id refuses all of them. */
async function acknowledge(call: Call, service: Service, kind: Kind): Promise<Response> {
  const texts = required((await call.fields()).texts("event_ids", { min: 1, max: ACK_MAX }), "event_ids");
  const ids: Id[] = [];
  for (const text of new Set(texts)) {
    const id = readUuid(text);
    const entry = id === null ? null : await kind.find(call, id);
    if (!entry || entry.deletedAt !== null) {
      throw new Fault("INVALID_REQUEST", `${text} is no event of this endpoint`);
    }
    ids.push(entry.id);
  }
  const acknowledged = await service.context.commands.confirmFetched(sourceOf(call, service), ids);
  return answerData(call.context, { acknowledged });
}

async function listLogs(call: Call, service: Service): Promise<Response> {
  const { query, project } = call;
  const status = query.text("status");
  const type = query.text("event_type");
  const since = query.time("start_time");
  const until = query.time("end_time");
  const cursor = query.text("cursor");
  const page = await service.context.history.listHistory({
    project,
    profile: PULL,
    limit: query.integer("limit", { min: 1, max: 500, usual: 50 }),
    after: cursor === undefined ? null : readCursor(cursor),
    ...laneFilter(call, service),
    ...(status === undefined ? {} : { states: pullStatesOf(status) }),
    ...(type === undefined ? {} : { eventType: type }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  });
  const rows = page.rows.map((row) => {
    const source = sourceOfLane(service, row.lane);
    return {
      event_id: eventId(row),
      pull_endpoint_id: source ? showUuid(source.id) : "",
      endpoint_name: source ? readSourceExtra(source).name : null,
      ...showEvent(row),
    };
  });
  return answerList(call.context, rows, page.next && writeCursor(page.next));
}

function laneFilter({ project, query }: Call, service: Service): { lane?: number } {
  const id = query.text("pull_endpoint_id");
  return id === undefined ? {} : { lane: laneOf(service, findSource(service, project, id, "pull")) };
}

function numberRoutes(service: Service): Route[] {
  const read = (call: Call) =>
    readSeries(call, service, { profile: PULL, lane: laneFilter(call, service).lane ?? null });
  return [
    {
      method: "GET",
      path: "/v1/pull-metrics",
      run: async (call) => answerData(call.context, showPullMetrics(await read(call))),
    },
    {
      method: "GET",
      path: "/v1/pull-metrics/timeseries",
      run: async (call) => answerData(call.context, showPullSeries(await read(call))),
    },
  ];
}

/** What came in, was fetched and was acknowledged in each bucket. */
function showPullSeries({ window, buckets }: Series) {
  return {
    window,
    buckets: buckets.map(({ at, created, fetched, succeeded }) => ({
      timestamp: showTime(at),
      succeeded,
      stored: created,
      fetched,
      total: created,
    })),
  };
}
