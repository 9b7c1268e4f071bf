/**
 * Pull endpoints (protocol section 13): an engine source in pull mode. Its URL is shown with the secret when
 * it is made and without it afterwards.
 */
import type { Source } from "../../domain/source.ts";
import { answerData, answerList } from "./answer.ts";
import { readDescription } from "./endpoint-fields.ts";
import { pageOf } from "./endpoints.ts";
import { type Fields, wrong } from "./fields.ts";
import { readSourceExtra, type SourceExtra } from "./objects.ts";
import { PULL } from "./profiles.ts";
import {
  changeSource,
  findSource,
  ingestUrl,
  laneOf,
  pauseRoutes,
  sourceBase,
  sourcesOf,
} from "./receiving.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import {
  dedupeRule,
  eventTypeSelector,
  readIdempotencyHeaders,
  readName,
  readResponseCode,
  readVerification,
  showVerification,
} from "./source-fields.ts";
import { showTime, showUuid } from "./wire.ts";

const ACCEPTED = 202;
const TOKEN = { tokenCharsMin: 16 };
const NO_CHECKS = { verify: [], allowCidrs: [] };
const RETENTION_DAYS_MAX = 3_650;
const PATH = "/v1/pull-endpoints";

export function pullEndpointRoutes(service: Service): Route[] {
  const find = (call: Call) => findSource(service, call.project, call.param("id"), "pull");
  const one = `${PATH}/:id`;
  return [
    { method: "POST", path: PATH, run: (call) => createPull(call, service) },
    { method: "GET", path: PATH, run: (call) => listPull(call, service) },
    {
      method: "GET",
      path: one,
      async run(call) {
        const source = find(call);
        const counts = await countsOf(source, service);
        return answerData(call.context, { ...showPull(source, service), counts });
      },
    },
    {
      method: "PATCH",
      path: one,
      run: (call) => service.inTurn(find(call).id, () => updatePull(call, find(call), service)),
    },
    {
      method: "DELETE",
      path: one,
      async run(call) {
        const { id } = find(call);
        await service.context.sources.retire(id);
        return answerData(call.context, { id: showUuid(id), deleted: true });
      },
    },
    ...pauseRoutes(service, PATH, "pull"),
  ];
}

interface EventType {
  readonly eventTypeSource: SourceExtra["eventTypeSource"];
  readonly eventTypePath: string | null;
}

/** An empty source clears both (protocol section 13). */
function readEventType(fields: Fields, old: EventType): EventType {
  const kind = fields.text("event_type_source") ?? old.eventTypeSource ?? "";
  if (kind !== "" && kind !== "body" && kind !== "header")
    throw wrong("event_type_source", '"body" or "header"');
  const eventTypePath = fields.text("event_type_path", 256) ?? old.eventTypePath;
  if (kind === "") return { eventTypeSource: null, eventTypePath: null };
  if (!eventTypePath) throw wrong("event_type_path", "given with event_type_source");
  return { eventTypeSource: kind, eventTypePath };
}

const NO_TYPE: EventType = { eventTypeSource: null, eventTypePath: null };

async function createPull(call: Call, service: Service): Promise<Response> {
  const fields = await call.fields();
  const idempotencyHeaders = readIdempotencyHeaders(fields) ?? [];
  const type = readEventType(fields, NO_TYPE);
  const extra: SourceExtra = {
    ...{ mode: "pull", isActive: true, endpointId: null, timestampTtlSeconds: null },
    name: readName(fields) ?? "",
    description: readDescription(fields) ?? null,
    idempotencyHeaders,
    retentionDays: fields.integer("retention_days", { min: 1, max: RETENTION_DAYS_MAX }) ?? null,
    ...type,
  };
  const secret = service.secret("");
  const source = await service.context.sources.put({
    ...sourceBase(service.context.nextId(), call.project, secret),
    ...readVerification(fields, NO_CHECKS, TOKEN),
    dedupe: dedupeRule(idempotencyHeaders),
    eventType: eventTypeSelector(type.eventTypeSource, type.eventTypePath),
    mode: "pull",
    to: [],
    respond: { status: readResponseCode(fields) ?? ACCEPTED, headers: {}, body: null },
    profile: PULL,
    extra: JSON.stringify(extra),
  });
  const shown = {
    ...showPull(source, service),
    ingest_url: ingestUrl(service, source),
    secret_token: secret,
  };
  return answerData(call.context, shown, { status: 201 });
}

async function updatePull(call: Call, source: Source, service: Service): Promise<Response> {
  const fields = await call.fields();
  const old = readSourceExtra(source);
  const idempotencyHeaders = readIdempotencyHeaders(fields) ?? old.idempotencyHeaders;
  const type = readEventType(fields, old);
  const extra: SourceExtra = {
    ...old,
    ...type,
    name: readName(fields) ?? old.name,
    description: readDescription(fields) ?? old.description,
    isActive: fields.flag("active") ?? old.isActive,
    idempotencyHeaders,
    retentionDays: fields.integer("retention_days", { min: 1, max: RETENTION_DAYS_MAX }) ?? old.retentionDays,
  };
  const changed = await changeSource(service, source, {
    ...readVerification(fields, source, TOKEN),
    dedupe: dedupeRule(idempotencyHeaders),
    eventType: eventTypeSelector(type.eventTypeSource, type.eventTypePath),
    respond: { status: readResponseCode(fields) ?? source.respond.status, headers: {}, body: null },
    extra,
  });
  return answerData(call.context, showPull(changed, service));
}

function listPull({ context, query, project }: Call, service: Service): Response {
  const limit = query.integer("limit", { min: 1, max: 100, usual: 50 });
  const rows = sourcesOf(service, project, "pull").map((source) => ({ ...source, lane: source.seq }));
  const { rows: page, next } = pageOf(rows, query.text("cursor"), limit);
  return answerList(
    context,
    page.map((source) => showSummary(source, service)),
    next,
  );
}

async function countsOf(source: Source, service: Service) {
  const lane = laneOf(service, source);
  const { total, unfinished } = await service.context.history.countHistory({ profile: PULL, lane });
  const { stored = 0, fetched = 0, discarded = 0 } = unfinished;
  const delivered = total - Object.values(unfinished).reduce((sum, count) => sum + count, 0);
  return { stored, fetched, delivered, total: total - discarded };
}

function showSummary(source: Source, service: Service) {
  const { name, isActive } = readSourceExtra(source);
  const withSecret = ingestUrl(service, source);
  return {
    id: showUuid(source.id),
    name,
    active: isActive,
    paused: source.pausedAt !== null,
    ingest_url: withSecret.slice(0, withSecret.lastIndexOf("/")),
    created_at: showTime(source.createdAt),
  };
}

function showPull(source: Source, service: Service) {
  const extra = readSourceExtra(source);
  return {
    ...showSummary(source, service),
    mode: "pull",
    description: extra.description,
    retention_days: extra.retentionDays,
    event_type_source: extra.eventTypeSource,
    event_type_path: extra.eventTypePath,
    ...showVerification(source, extra),
    updated_at: showTime(source.updatedAt),
  };
}
