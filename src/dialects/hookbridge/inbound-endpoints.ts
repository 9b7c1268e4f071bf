/**
 * Inbound endpoints (protocol section 12.1): an engine source that checks and keeps what comes in and, unless
 * it feeds the CLI, an engine endpoint that it is forwarded to.
 */
import type { Endpoint } from "../../domain/endpoint.ts";
import type { Source } from "../../domain/source.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import { checkUrl, readDescription, required } from "./endpoint-fields.ts";
import { CONCURRENCY, pageOf } from "./endpoints.ts";
import { type Fields, wrong } from "./fields.ts";
import { DOOR, type EndpointExtra, readExtra, readSourceExtra, type SourceExtra } from "./objects.ts";
import { INBOUND, NO_BREAKER } from "./profiles.ts";
import { changeSource, findSource, ingestUrl, pauseRoutes, sourceBase, sourcesOf } from "./receiving.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import { retryRule } from "./settings.ts";
import { newSigningKey, signingKeyRoutes } from "./signing-keys.ts";
import {
  dedupeRule,
  readIdempotencyHeaders,
  readName,
  readResponseCode,
  readVerification,
  showVerification,
} from "./source-fields.ts";
import { showTime, showUuid } from "./wire.ts";

const ACCEPTED = 202;
/** Documented examples are as short as this, so nothing is too short. */
const TOKEN = { tokenCharsMin: 1 };
const NO_CHECKS = { verify: [], allowCidrs: [] };
const PATH = "/v1/inbound-endpoints";

export function inboundEndpointRoutes(service: Service): Route[] {
  const find = (call: Call) => findSource(service, call.project, call.param("id"), "inbound");
  const one = `${PATH}/:id`;
  return [
    { method: "POST", path: PATH, run: (call) => createInbound(call, service) },
    { method: "GET", path: PATH, run: (call) => listInbound(call, service) },
    {
      method: "GET",
      path: one,
      run: (call) => answerData(call.context, showInbound(find(call), service)),
    },
    {
      method: "PATCH",
      path: one,
      run: (call) => service.inTurn(find(call).id, () => updateInbound(call, find(call), service)),
    },
    { method: "DELETE", path: one, run: (call) => deleteInbound(call, find(call), service) },
    ...pauseRoutes(service, PATH, "inbound"),
    ...signingKeyRoutes(service, one, (call) => targetOf(find(call), service)),
  ];
}

function targetOf(source: Source, service: Service): Endpoint {
  const { endpointId } = readSourceExtra(source);
  const endpoint = endpointId === null ? undefined : service.context.directory.endpoint(endpointId);
  if (!endpoint) throw new Fault("INVALID_REQUEST", "an endpoint that feeds the CLI signs nothing");
  return endpoint;
}

function urlOf(source: Source, service: Service): string {
  const { endpointId } = readSourceExtra(source);
  // compat(hookbridge 12.1): PHP needs a text here, also for an endpoint that feeds the CLI.
  return endpointId === null ? "" : (service.context.directory.endpoint(endpointId)?.url ?? "");
}

function readMode(fields: Fields): "forward" | "cli" {
  const mode = fields.text("mode") ?? "forward";
  if (mode === "pull") throw wrong("mode", `"forward" or "cli"; pull endpoints have calls of their own`);
  if (mode !== "forward" && mode !== "cli") throw wrong("mode", '"forward" or "cli"');
  return mode;
}

async function createInbound(call: Call, service: Service): Promise<Response> {
  const { project, settings } = call;
  const { nextId, clock } = service.context;
  const fields = await call.fields();
  const mode = readMode(fields);
  const given = fields.text("url", Number.MAX_SAFE_INTEGER);
  const url = mode === "forward" ? checkUrl(required(given, "url"), settings) : null;
  const idempotencyHeaders = readIdempotencyHeaders(fields) ?? [];
  const checks = readVerification(fields, NO_CHECKS, TOKEN);
  const id = nextId();
  const isSigned = fields.flag("signing_enabled") ?? false;
  const key = isSigned && url !== null ? newSigningKey(service, clock.now()) : null;
  const name = readName(fields) ?? "";
  const description = readDescription(fields) ?? null;
  const status = readResponseCode(fields) ?? ACCEPTED;
  const endpoint = url === null ? null : await makeTarget(service, call, { url, sourceId: id, key });
  const extra: SourceExtra = {
    ...{ mode, name, description, isActive: true, endpointId: endpoint?.id ?? null, idempotencyHeaders },
    ...{ timestampTtlSeconds: null, retentionDays: null, eventTypeSource: null, eventTypePath: null },
  };
  const secret = service.secret("");
  const source = await service.context.sources.put({
    ...sourceBase(id, project, secret),
    ...checks,
    dedupe: dedupeRule(idempotencyHeaders),
    eventType: null,
    mode: endpoint === null ? "pull" : "forward",
    to: endpoint === null ? [] : [{ kind: "endpoint", name: endpoint.name, when: null }],
    respond: { status, headers: {}, body: null },
    profile: INBOUND,
    extra: JSON.stringify(extra),
  });
  const shown = { ...showInbound(source, service), secret_token: secret, ...showKey(key) };
  return answerData(call.context, shown, { status: 201 });
}

type NewKey = ReturnType<typeof newSigningKey>;

function showKey(key: NewKey | null) {
  if (key === null) return {};
  return { signing_key_id: key.key.id, signing_secret: key.secret, key_hint: key.key.hint };
}

interface Target {
  readonly url: string;
  readonly sourceId: string;
  readonly key: NewKey | null;
}

function makeTarget(service: Service, call: Call, { url, sourceId, key }: Target): Promise<Endpoint> {
  const { project, settings } = call;
  const id = service.context.nextId();
  const extra: EndpointExtra = {
    ...{ kind: "inbound", description: null, rateLimitRps: 0, burst: 0, isSigned: key !== null, sourceId },
    signingTime: settings.signingTime,
    keys: key === null ? [] : [key.key],
  };
  return service.context.endpoints.put({
    ...{ id, project, name: `${DOOR}-${id}`, door: DOOR, profile: INBOUND, url, headers: {} },
    sign: signOf(key),
    retry: retryRule(settings),
    concurrency: CONCURRENCY,
    rate: null,
    timeoutMs: settings.timeoutMs,
    breaker: NO_BREAKER,
    extra: JSON.stringify(extra),
  });
}

function signOf(key: NewKey | null): Endpoint["sign"] {
  return key === null ? [] : [{ scheme: "hookbridge", secrets: [{ value: key.secret }] }];
}

function listInbound({ context, query, project }: Call, service: Service): Response {
  const limit = query.integer("limit", { min: 1, max: 100, usual: 50 });
  const rows = sourcesOf(service, project, "inbound").map((source) => ({ ...source, lane: source.seq }));
  const { rows: page, next } = pageOf(rows, query.text("cursor"), limit);
  return answerList(
    context,
    page.map((source) => showSummary(source, service)),
    next,
  );
}

async function updateInbound(call: Call, source: Source, service: Service): Promise<Response> {
  const fields = await call.fields();
  const old = readSourceExtra(source);
  if (fields.has("mode") && readMode(fields) !== old.mode) {
    throw new Fault("INVALID_REQUEST", "the mode of an endpoint cannot be changed");
  }
  const checks = readVerification(fields, source, TOKEN);
  const idempotencyHeaders = readIdempotencyHeaders(fields) ?? old.idempotencyHeaders;
  const status = readResponseCode(fields) ?? source.respond.status;
  const extra: SourceExtra = {
    ...old,
    name: readName(fields) ?? old.name,
    description: readDescription(fields) ?? old.description,
    isActive: fields.flag("active") ?? old.isActive,
    idempotencyHeaders,
  };
  const key = old.endpointId === null ? null : await changeTarget(call, fields, { source, service });
  const dedupe = dedupeRule(idempotencyHeaders);
  const respond = { status, headers: {}, body: null };
  await changeSource(service, source, { ...checks, dedupe, respond, extra });
  return answerData(call.context, { id: showUuid(source.id), updated: true, ...showKey(key) });
}

/** Returns the key that was made, because signing was switched on and there was none. */
async function changeTarget(
  call: Call,
  fields: Fields,
  { source, service }: { readonly source: Source; readonly service: Service },
): Promise<NewKey | null> {
  const endpoint = targetOf(source, service);
  const text = fields.text("url", Number.MAX_SAFE_INTEGER);
  const url = text === undefined ? endpoint.url : checkUrl(text, call.settings);
  const old = readExtra(endpoint);
  const isSigned = fields.flag("signing_enabled") ?? old.isSigned;
  const needsKey = isSigned && old.keys.length === 0;
  const key = needsKey ? newSigningKey(service, service.context.clock.now()) : null;
  if (url === endpoint.url && isSigned === old.isSigned) return null;
  await service.changeEndpoint(endpoint, {
    url,
    ...(key === null ? {} : { sign: signOf(key) }),
    extra: { ...old, isSigned, keys: key === null ? old.keys : [key.key] },
  });
  return key;
}

/** What was accepted still goes out; the target is retired with its source, and retired lanes still send. */
async function deleteInbound({ context }: Call, source: Source, service: Service): Promise<Response> {
  const { endpointId } = readSourceExtra(source);
  await service.context.sources.retire(source.id);
  if (endpointId !== null) await service.context.endpoints.retire(endpointId);
  return answerData(context, { id: showUuid(source.id), deleted: true });
}

function showSummary(source: Source, service: Service) {
  const { name, mode, isActive } = readSourceExtra(source);
  return {
    id: showUuid(source.id),
    name,
    url: urlOf(source, service),
    mode,
    active: isActive,
    paused: source.pausedAt !== null,
    ingest_url: ingestUrl(service, source),
    created_at: showTime(source.createdAt),
  };
}

function showInbound(source: Source, service: Service) {
  const extra = readSourceExtra(source);
  const endpoint = extra.endpointId === null ? undefined : targetOf(source, service);
  return {
    ...showSummary(source, service),
    description: extra.description,
    ...showVerification(source, extra),
    signing_enabled: endpoint !== undefined && readExtra(endpoint).isSigned,
    updated_at: showTime(Math.max(source.updatedAt, endpoint?.updatedAt ?? 0)),
  };
}
