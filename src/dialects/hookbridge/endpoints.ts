/** Endpoints that messages go to (protocol section 4). */
import type { Endpoint } from "../../domain/endpoint.ts";
import { showId } from "../../domain/id.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import {
  checkUrl,
  rateRule,
  readDescription,
  readHeaders,
  readRate,
  required,
  sameUrl,
} from "./endpoint-fields.ts";
import { DOOR, type EndpointExtra, readExtra } from "./objects.ts";
import { NO_BREAKER, OUTBOUND } from "./profiles.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import { retryRule } from "./settings.ts";
import { newSigningKey } from "./signing-keys.ts";
import { readCursor, showTime, writeCursor } from "./wire.ts";

/** As native endpoints have it. */
export const CONCURRENCY = 16;

export function endpointRoutes(service: Service): Route[] {
  const endpointOf = (call: Call) => service.endpoint(call.project, call.param("id"));
  const updateInTurn = (call: Call) =>
    service.inTurn(endpointOf(call).id, () => updateEndpoint(call, endpointOf(call), service));
  const one = "/v1/endpoints/:id";
  return [
    { method: "POST", path: "/v1/endpoints", run: (call) => createEndpoint(call, service) },
    { method: "GET", path: "/v1/endpoints", run: (call) => listEndpoints(call, service) },
    {
      method: "GET",
      path: one,
      run: (call) => answerData(call.context, showEndpoint(endpointOf(call))),
    },
    { method: "PATCH", path: one, run: (call) => updateInTurn(call) },
    { method: "DELETE", path: one, run: (call) => deleteEndpoint(call, endpointOf(call), service) },
    { method: "POST", path: `${one}/pause`, run: (call) => pauseEndpoint(call, endpointOf(call), service) },
    { method: "POST", path: `${one}/resume`, run: (call) => resumeEndpoint(call, endpointOf(call), service) },
  ];
}

async function createEndpoint(call: Call, service: Service): Promise<Response> {
  const { project, settings, context } = call;
  const { nextId, clock, endpoints } = service.context;
  const fields = await call.fields();
  const url = checkUrl(required(fields.text("url", Number.MAX_SAFE_INTEGER), "url"), settings);
  const { rps = 0, burst = 0 } = readRate(fields);
  const key = newSigningKey(service, clock.now());
  const id = nextId();
  const extra: EndpointExtra = {
    kind: "outbound",
    description: readDescription(fields) ?? null,
    rateLimitRps: rps,
    burst: burst === 0 ? rps : burst,
    isSigned: fields.flag("hmac_enabled") ?? true,
    signingTime: settings.signingTime,
    keys: [key.key],
  };
  const headers = readHeaders(fields) ?? {};
  const endpoint = await reserveUrl(service, { project, url }, () =>
    endpoints.put({
      ...{ id, project, name: `${DOOR}-${id}`, door: DOOR, profile: OUTBOUND, url, headers },
      sign: [{ scheme: "hookbridge", secrets: [{ value: key.secret }] }],
      retry: retryRule(settings),
      concurrency: CONCURRENCY,
      rate: rateRule(rps, burst),
      timeoutMs: settings.timeoutMs,
      breaker: NO_BREAKER,
      extra: JSON.stringify(extra),
    }),
  );
  const shown = {
    ...showEndpoint(endpoint),
    signing_key_id: key.key.id,
    signing_secret: key.secret,
    key_hint: key.key.hint,
  };
  return answerData(context, shown, { status: 201 });
}

/** URLs that are being made or changed to, so that two requests at once cannot both have one. */
const reserved = new WeakMap<Service, Set<string>>();

async function reserveUrl<Value>(
  service: Service,
  wanted: { readonly project: string; readonly url: string; readonly except?: Endpoint },
  work: () => Promise<Value>,
): Promise<Value> {
  const { project, url, except } = wanted;
  const taken = reserved.get(service) ?? new Set<string>();
  reserved.set(service, taken);
  const key = `${project} ${URL.parse(url)?.href ?? url}`;
  const isUsed = service
    .endpointsOf(project)
    .some((other) => other.id !== except?.id && sameUrl(other.url, url));
  if (isUsed || taken.has(key)) {
    throw new Fault("DUPLICATE_URL", "the project has another endpoint with this URL");
  }
  taken.add(key);
  try {
    return await work();
  } finally {
    taken.delete(key);
  }
}

function listEndpoints({ context, query, project }: Call, service: Service): Response {
  const limit = query.integer("limit", { min: 1, max: 100, usual: 50 });
  const { rows, next } = pageOf(service.endpointsOf(project), query.text("cursor"), limit);
  return answerList(context, rows.map(showSummary), next);
}

interface Listed {
  readonly createdAt: number;
  /** Its number in the store. */
  readonly lane: number;
}

/** Objects in memory, the newest first; the cursor is a place, so what comes or goes shifts nothing. */
export function pageOf<Row extends Listed>(
  rows: readonly Row[],
  cursor: string | undefined,
  limit: number,
): { rows: readonly Row[]; next: string | null } {
  const after = cursor === undefined ? null : readCursor(cursor).seq;
  const rest = after === null ? rows : rows.filter(({ lane }) => lane < after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const hasMore = rest.length > limit && last !== undefined;
  return { rows: page, next: hasMore ? writeCursor({ createdAt: last.createdAt, seq: last.lane }) : null };
}

async function updateEndpoint(call: Call, endpoint: Endpoint, service: Service): Promise<Response> {
  const fields = await call.fields();
  const text = fields.text("url", Number.MAX_SAFE_INTEGER);
  const url = text === undefined ? endpoint.url : checkUrl(text, call.settings);
  const old = readExtra(endpoint);
  const { rps = old.rateLimitRps, burst } = readRate(fields);
  const burstNow = burst ?? (rps === old.rateLimitRps ? old.burst : 0);
  const extra: EndpointExtra = {
    ...old,
    description: readDescription(fields) ?? old.description,
    rateLimitRps: rps,
    burst: burstNow === 0 ? rps : burstNow,
    isSigned: fields.flag("hmac_enabled") ?? old.isSigned,
  };
  const headers = readHeaders(fields) ?? endpoint.headers;
  const change = { url, headers, rate: rateRule(rps, burstNow), extra };
  const changed =
    url === endpoint.url
      ? await service.changeEndpoint(endpoint, change)
      : await reserveUrl(service, { project: call.project, url, except: endpoint }, () =>
          service.changeEndpoint(endpoint, change),
        );
  // compat(hookbridge 4): Go and the documentation want `updated`, PHP the whole object.
  return answerData(call.context, { ...showEndpoint(changed), updated: true });
}

async function deleteEndpoint({ context }: Call, { id }: Endpoint, service: Service): Promise<Response> {
  await service.context.endpoints.retire(id);
  return answerData(context, { id: showId("endpoint", id), deleted: true });
}

async function pauseEndpoint({ context }: Call, endpoint: Endpoint, service: Service): Promise<Response> {
  await service.context.commands.pauseEndpoint(endpoint);
  return answerData(context, { id: showId("endpoint", endpoint.id), paused: true });
}

async function resumeEndpoint({ context }: Call, endpoint: Endpoint, service: Service): Promise<Response> {
  const { history, commands } = service.context;
  const { unfinished } = await history.countHistory({ profile: OUTBOUND, lane: endpoint.lane });
  await commands.resumeEndpoint(endpoint);
  const id = showId("endpoint", endpoint.id);
  return answerData(context, { id, paused: false, messages_requeued: unfinished.held ?? 0 });
}

function showSummary(endpoint: Endpoint) {
  return {
    id: showId("endpoint", endpoint.id),
    url: endpoint.url,
    description: readExtra(endpoint).description,
    paused: endpoint.pausedAt !== null,
    created_at: showTime(endpoint.createdAt),
  };
}

function showEndpoint(endpoint: Endpoint) {
  const { rateLimitRps, burst, isSigned } = readExtra(endpoint);
  return {
    ...showSummary(endpoint),
    rate_limit_rps: rateLimitRps,
    burst,
    headers: endpoint.headers,
    hmac_enabled: isSigned,
    updated_at: showTime(endpoint.updatedAt),
  };
}
