/** Endpoints: definition without secrets, what happened to them at run time, pause and resume. */
import { type Static, Type } from "@sinclair/typebox";
import type { Endpoint } from "../../domain/endpoint.ts";
import { AppError } from "../../domain/errors.ts";
import { showId } from "../../domain/id.ts";
import { publicKeysOf } from "../../domain/signature/index.ts";
import type { Directory } from "../../runtime/directory.ts";
import type { ApiDeps } from "./deps.ts";
import { PACING_SHOWN, showPacing } from "./pacing.ts";
import { pageOfLiving } from "./page.ts";
import { findEndpoint, PAGE_QUERY, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, pageOf, showInstant, showOptionalInstant } from "./schemas.ts";

const RETRY = Type.Union([
  Type.Object(
    {
      kind: Type.Literal("ladder"),
      delaysMs: Type.Array(Type.Integer()),
      jitter: Type.Number({ description: "The largest part of a delay that is added to it." }),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      kind: Type.Literal("exponential"),
      delayMs: Type.Integer(),
      factor: Type.Number(),
      delayMaxMs: Type.Integer(),
      attemptsMax: Type.Integer(),
      ageMaxMs: nullable(Type.Integer()),
      jitter: Type.Number(),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      kind: Type.Literal("tiers"),
      fastMs: Type.Array(Type.Integer(), { description: "After 429." }),
      slowMs: Type.Array(Type.Integer(), { description: "After everything else." }),
      attemptsMax: Type.Integer(),
      jitter: Type.Number(),
    },
    { additionalProperties: false },
  ),
]);

export const ENDPOINT_MEMBERS = {
  id: Type.String({ examples: ["ep_01970000000070008000000000000000"] }),
  name: Type.String(),
  door: Type.String({ description: "Where it was made: config, native, or a protocol." }),
  profile: Type.String(),
  url: Type.String({ description: "Without a password." }),
  headerNames: Type.Array(Type.String(), { description: "Extra headers; their values may be secret." }),
  sign: Type.Array(Type.String(), { description: "Signature schemes." }),
  publicKeys: Type.Array(Type.String(), {
    description: "What receivers verify standard-ed25519 signatures with, in the order of the secrets.",
  }),
  retry: RETRY,
  concurrency: Type.Integer(),
  rate: nullable(
    Type.Object({ perSecond: Type.Number(), burst: Type.Number() }, { additionalProperties: false }),
  ),
  ack: nullable(
    Type.Object(
      {
        deadlineMs: Type.Integer({
          description: "For a receiver that asks for a deadline without saying which.",
        }),
        deadlineMaxMs: Type.Integer({ description: "No receiver gets longer." }),
      },
      { additionalProperties: false, description: "Receivers may answer 202 and report later." },
    ),
  ),
  resultTo: nullable(
    Type.String({ description: "The endpoint or URL that is told how its deliveries ended." }),
  ),
  timeoutMs: Type.Integer(),
  hasClientCertificate: Type.Boolean(),
  proxy: nullable(
    Type.String({ description: "Without a password; empty for none; null: as the project says." }),
  ),
  allowPrivate: nullable(Type.Array(Type.String(), { description: "Null: as its door allows." })),
  state: oneOf(["active", "paused", "disabled", "retired"]),
  pausedAt: nullable(INSTANT),
  disabledAt: nullable(INSTANT),
  disabledReason: nullable(Type.String()),
  breaker: Type.Object(
    {
      state: oneOf(["closed", "open", "half_open"]),
      failures: Type.Integer({ description: "In a row, so far." }),
      failuresMax: Type.Integer({ description: "That many open it; 0: never." }),
      recoveryMs: Type.Integer(),
      recoveryMaxMs: nullable(
        Type.Integer({ description: "The wait after failed probes grows up to this." }),
      ),
      rate: nullable(
        Type.Object(
          { ratio: Type.Number(), windowMs: Type.Integer(), samplesMin: Type.Integer() },
          { additionalProperties: false, description: "This share of failures opens it, too." },
        ),
      ),
      retryAt: nullable(INSTANT),
    },
    { additionalProperties: false },
  ),
  lane: Type.Object(
    {
      inFlight: Type.Integer(),
      nextDueAt: nullable(INSTANT),
      averageHoldMs: nullable(Type.Number({ description: "Moving average of an attempt's duration." })),
      concurrency: Type.Integer({
        description: "Attempts that may be out at once now; fewer after an outage.",
      }),
      restUntil: nullable(INSTANT),
      isDraining: Type.Boolean(),
    },
    { additionalProperties: false },
  ),
  pacing: PACING_SHOWN,
  createdAt: INSTANT,
  updatedAt: INSTANT,
  retiredAt: nullable(INSTANT),
};

export const ENDPOINT = named("Endpoint", ENDPOINT_MEMBERS);

function showRetry(retry: Endpoint["retry"]): Static<typeof RETRY> {
  switch (retry.kind) {
    case "ladder":
      return { ...retry, delaysMs: [...retry.delaysMs] };
    case "tiers":
      return { ...retry, fastMs: [...retry.fastMs], slowMs: [...retry.slowMs] };
    case "exponential":
      return { ...retry };
    default:
      return retry satisfies never;
  }
}

export function showEndpoint(endpoint: Endpoint, { breakers, lanes }: ApiDeps): Static<typeof ENDPOINT> {
  const breaker = breakers.state(endpoint);
  const lane = lanes.overview(endpoint.lane);
  const { retry, rate } = endpoint;
  return {
    id: showId("endpoint", endpoint.id),
    name: endpoint.name,
    door: endpoint.door,
    profile: endpoint.profile,
    url: withoutPassword(endpoint.url),
    headerNames: Object.keys(endpoint.headers),
    sign: endpoint.sign.map(({ scheme }) => scheme),
    publicKeys: publicKeysOf(endpoint.sign),
    retry: showRetry(retry),
    concurrency: endpoint.concurrency,
    rate: rate === null ? null : { ...rate },
    ack: endpoint.ack ?? null,
    resultTo: endpoint.resultTo ?? null,
    timeoutMs: endpoint.timeoutMs,
    hasClientCertificate: Boolean(endpoint.tls),
    proxy: endpoint.proxy ? withoutPassword(endpoint.proxy) : (endpoint.proxy ?? null),
    allowPrivate: endpoint.allowPrivate ? [...endpoint.allowPrivate] : null,
    state: stateOf(endpoint),
    pausedAt: showOptionalInstant(endpoint.pausedAt),
    disabledAt: showOptionalInstant(endpoint.disabledAt),
    disabledReason: endpoint.disabledReason,
    breaker: {
      state: breaker.kind,
      failures: breaker.failures,
      failuresMax: endpoint.breaker.failures,
      recoveryMs: endpoint.breaker.recoveryMs,
      recoveryMaxMs: endpoint.breaker.recoveryMaxMs ?? null,
      rate: endpoint.breaker.rate ?? null,
      retryAt: breaker.kind === "open" ? showInstant(breaker.retryAt) : null,
    },
    lane: {
      inFlight: lane.inFlight,
      nextDueAt: showOptionalInstant(lane.nextDueAt),
      averageHoldMs: lane.averageHoldMs,
      concurrency: lane.concurrency,
      restUntil: showOptionalInstant(lane.restUntil),
      isDraining: lane.isDraining,
    },
    pacing: showPacing(endpoint),
    createdAt: showInstant(endpoint.createdAt),
    updatedAt: showInstant(endpoint.updatedAt),
    retiredAt: showOptionalInstant(endpoint.deletedAt),
  };
}

function stateOf({ deletedAt, disabledAt, pausedAt }: Endpoint): Static<typeof ENDPOINT>["state"] {
  if (deletedAt !== null) return "retired";
  if (disabledAt !== null) return "disabled";
  return pausedAt === null ? "active" : "paused";
}

function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/?#]*@/, "//***@");
}

/** Returns the endpoint of this project with that id or name; throws not_found. */
export function requireEndpoint(directory: Directory, project: string, text: string): Endpoint {
  const endpoint = findEndpoint(directory, project, text);
  if (endpoint) return endpoint;
  throw new AppError("not_found", "there is no such endpoint in this project");
}

export function endpointRoutes(deps: ApiDeps): ApiRoute[] {
  const { directory, commands } = deps;
  const shared = { tag: "endpoints", answer: ENDPOINT, query: queryOf({}) } as const;
  const change = (verb: "pause" | "resume", summary: string, description: string) =>
    defineRoute({
      ...shared,
      method: "POST",
      path: `/endpoints/:id/${verb}`,
      operationId: `${verb}Endpoint`,
      summary,
      description,
      scope: "admin",
      errors: ["not_found", "gone", "storage_unavailable"],
      handle: async ({ principal: { project }, id }) => {
        const endpoint = requireEndpoint(directory, project, id);
        if (endpoint.deletedAt !== null) throw new AppError("gone", "this endpoint is no longer in service");
        const changed = await (verb === "pause"
          ? commands.pauseEndpoint(endpoint)
          : commands.resumeEndpoint(endpoint));
        return showEndpoint(changed, deps);
      },
    });
  return [
    defineRoute({
      method: "GET",
      path: "/endpoints",
      operationId: "listEndpoints",
      summary: "List endpoints in service, oldest first",
      tag: "endpoints",
      scope: "read",
      query: queryOf(PAGE_QUERY),
      answer: pageOf(ENDPOINT),
      errors: [],
      handle: ({ principal: { project }, query }) => {
        const own = directory.endpoints().filter((endpoint) => endpoint.project === project);
        const { data, nextCursor } = pageOfLiving(own, ({ lane }) => lane, query);
        return { data: data.map((endpoint) => showEndpoint(endpoint, deps)), nextCursor };
      },
    }),
    defineRoute({
      ...shared,
      method: "GET",
      path: "/endpoints/:id",
      operationId: "getEndpoint",
      summary: "Show an endpoint, by id or name",
      scope: "read",
      errors: ["not_found"],
      handle: ({ principal: { project }, id }) => showEndpoint(requireEndpoint(directory, project, id), deps),
    }),
    change("pause", "Park everything for an endpoint", "Attempts under way end; nothing is lost."),
    change("resume", "Open an endpoint again", "Paused, disabled, or with an open breaker."),
  ];
}
