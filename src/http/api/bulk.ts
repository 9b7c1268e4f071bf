/** Repairs of many deliveries at once: preview, begin, look, pause, resume, cancel. */
import { type Static, Type } from "@sinclair/typebox";
import {
  AGE_BOUNDS_MS,
  BULK_ACTIONS,
  BULK_STATES,
  type Bulk,
  type BulkAction,
  type DeliveryMatch,
  type MatchGroup,
} from "../../domain/bulk.ts";
import { DELIVERY_STATES, type DeliveryState } from "../../domain/delivery.ts";
import { AppError } from "../../domain/errors.ts";
import { type Id, readId, showId } from "../../domain/id.ts";
import type { BulkPreview } from "../../runtime/bulks.ts";
import type { Directory } from "../../runtime/directory.ts";
import type { ApiDeps } from "./deps.ts";
import { PAGE_QUERY, queryOf, readEndpointParameter, readListQuery, readSourceParameter } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import {
  INSTANT,
  named,
  nullable,
  oneOf,
  pageOf,
  showInstant,
  showOptionalInstant,
  showPage,
} from "./schemas.ts";

const STATE = oneOf(DELIVERY_STATES);

const FILTER_MEMBERS = {
  state: Type.Optional(Type.Union([STATE, Type.Array(STATE, { minItems: 1, maxItems: 11 })])),
  endpoint: Type.Optional(Type.String({ description: "Name or id." })),
  source: Type.Optional(Type.String({ description: "Name or id." })),
  type: Type.Optional(Type.String({ description: "The event's: exact, or a prefix that ends in *." })),
  tenant: Type.Optional(Type.String()),
  since: Type.Optional(Type.String({ description: "Created from this instant on." })),
  until: Type.Optional(Type.String({ description: "Created before this instant." })),
  error: Type.Optional(Type.String({ minLength: 1, description: "Part of the newest error, in any case." })),
  status: Type.Optional(
    Type.Integer({ minimum: 100, maximum: 599, description: "HTTP status of the newest attempt." }),
  ),
};

const FILTER = Type.Object(FILTER_MEMBERS, {
  additionalProperties: false,
  description: "All that is given must hold. Without a state: what the action is for.",
});

const NEW_BULK = Type.Object(
  {
    action: oneOf(BULK_ACTIONS),
    filter: Type.Optional(FILTER),
    rate: Type.Optional(
      Type.Number({
        minimum: 0.01,
        maximum: 100_000,
        description: "Deliveries per second; as fast as receivers take them when left out.",
      }),
    ),
    asNew: Type.Optional(Type.Boolean({ description: "Replay copies that have ids of their own." })),
    dryRun: Type.Optional(Type.Boolean({ description: "Count what it would touch, and change nothing." })),
  },
  { additionalProperties: false },
);

const BULK = named("Bulk", {
  id: Type.String({ examples: ["blk_01970000000070008000000000000000"] }),
  action: oneOf(BULK_ACTIONS),
  asNew: Type.Boolean(),
  filter: Type.Object(
    {
      state: Type.Array(STATE),
      endpoint: nullable(Type.String()),
      source: nullable(Type.String()),
      type: nullable(Type.String()),
      tenant: nullable(Type.String()),
      since: nullable(INSTANT),
      until: nullable(INSTANT),
      error: nullable(Type.String()),
      status: nullable(Type.Integer()),
    },
    { additionalProperties: false },
  ),
  rate: nullable(Type.Number()),
  state: oneOf(["running", "paused", "done", "cancelled"]),
  changed: Type.Integer(),
  skipped: Type.Integer({
    description: "Matched and left alone: an attempt was under way, or the body is no longer kept.",
  }),
  progress: Type.Number({ description: "0 to 1: the part of the store that it has looked at." }),
  createdAt: INSTANT,
  updatedAt: INSTANT,
  finishedAt: nullable(INSTANT),
});

const PREVIEW = named("BulkPreview", {
  dryRun: Type.Literal(true),
  action: oneOf(BULK_ACTIONS),
  count: Type.Integer(),
  isComplete: Type.Boolean({ description: "False: counting took too long and stopped; there may be more." }),
  byEndpoint: Type.Array(
    Type.Object(
      { endpoint: nullable(Type.String()), endpointId: nullable(Type.String()), count: Type.Integer() },
      { additionalProperties: false },
    ),
  ),
  byType: Type.Array(
    Type.Object({ type: nullable(Type.String()), count: Type.Integer() }, { additionalProperties: false }),
    { description: "The most frequent 100." },
  ),
  byAge: Type.Array(
    Type.Object(
      {
        upToMs: nullable(Type.Integer({ description: "Null: older than all others." })),
        count: Type.Integer(),
      },
      { additionalProperties: false },
    ),
  ),
});

const TYPES_SHOWN = 100;

interface Scope {
  readonly project: string;
  readonly directory: Directory;
}

/** Returns what a filter means in this project. Throws invalid_request. */
function readMatch(
  action: BulkAction,
  filter: Static<typeof FILTER>,
  { project, directory }: Scope,
): DeliveryMatch {
  const { state, endpoint, source, type, tenant, error, status } = filter;
  const { since, until } = readListQuery(filter);
  return {
    project,
    states: readStates(action, state),
    ...(endpoint === undefined ? {} : { lane: readEndpointParameter(directory, project, endpoint).lane }),
    ...(source === undefined ? {} : { sourceSeq: readSourceParameter(directory, project, source).seq }),
    ...(type === undefined ? {} : { type }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(error === undefined ? {} : { error }),
    ...(status === undefined ? {} : { status }),
  };
}

function readStates(
  action: BulkAction,
  wish: DeliveryState | readonly DeliveryState[] | undefined,
): DeliveryState[] {
  const { allowed, default: usual } = BULK_STATES[action];
  const states = wish === undefined ? usual : typeof wish === "string" ? [wish] : wish;
  const wrong = states.find((state) => !allowed.includes(state));
  if (wrong === undefined) return [...new Set(states)];
  throw new AppError(
    "invalid_request",
    `${action} does nothing to what is ${wrong}; it knows ${allowed.join(", ")}`,
    {
      details: { state: wrong, known: allowed },
    },
  );
}

function showBulk(bulk: Bulk, directory: Directory): Static<typeof BULK> {
  const { match, lastSeq, cursor } = bulk;
  const source = match.sourceSeq === undefined ? undefined : directory.sourceOfSeq(match.sourceSeq);
  const endpoint = match.lane === undefined ? undefined : directory.endpointOfLane(match.lane);
  return {
    id: showId("bulk", bulk.id),
    action: bulk.action,
    asNew: bulk.isAsNew,
    filter: {
      state: [...match.states],
      endpoint: endpoint?.name ?? null,
      source: source?.name ?? null,
      type: match.type ?? null,
      tenant: match.tenant ?? null,
      since: showOptionalInstant(match.since ?? null),
      until: showOptionalInstant(match.until ?? null),
      error: match.error ?? null,
      status: match.status ?? null,
    },
    rate: bulk.rate,
    state: bulk.state,
    changed: bulk.changedCount,
    skipped: bulk.skippedCount,
    progress: lastSeq === 0 ? 1 : Math.min(1, cursor / lastSeq),
    createdAt: showInstant(bulk.createdAt),
    updatedAt: showInstant(bulk.updatedAt),
    finishedAt: showOptionalInstant(bulk.finishedAt),
  };
}

function showPreview(action: BulkAction, preview: BulkPreview, directory: Directory): Static<typeof PREVIEW> {
  const { count, isComplete, groups } = preview;
  return {
    dryRun: true,
    action,
    count,
    isComplete,
    byEndpoint: sumBy(groups, ({ lane }) => lane).map(([lane, sum]) => {
      const endpoint = directory.endpointOfLane(lane);
      const endpointId = endpoint ? showId("endpoint", endpoint.id) : null;
      return { endpoint: endpoint?.name ?? null, endpointId, count: sum };
    }),
    byType: sumBy(groups, ({ type }) => type)
      .slice(0, TYPES_SHOWN)
      .map(([type, sum]) => ({ type, count: sum })),
    byAge: sumBy(groups, ({ age }) => age)
      .toSorted(([a], [b]) => a - b)
      .map(([age, sum]) => ({ upToMs: AGE_BOUNDS_MS[age] ?? null, count: sum })),
  };
}

/** The most frequent first. */
function sumBy<Key>(groups: readonly MatchGroup[], keyOf: (group: MatchGroup) => Key): [Key, number][] {
  const sums = new Map<Key, number>();
  for (const group of groups) sums.set(keyOf(group), (sums.get(keyOf(group)) ?? 0) + group.count);
  return [...sums].toSorted(([, a], [, b]) => b - a);
}

export function bulkRoutes(deps: ApiDeps): ApiRoute[] {
  const { bulks, directory, reads } = deps;
  return [
    defineRoute({
      method: "POST",
      path: "/bulk",
      operationId: "createBulk",
      summary: "Retry, cancel, discard or replay everything that a filter matches",
      description:
        "Only what exists now, nothing that comes later. It survives restarts and does nothing twice.",
      tag: "bulk",
      scope: "admin",
      query: queryOf({}),
      body: NEW_BULK,
      answer: Type.Union([BULK, PREVIEW]),
      errors: ["conflict", "overloaded", "storage_unavailable"],
      handle: async ({ principal: { project }, body }) => {
        const { action, filter = {}, rate, asNew = false, dryRun = false } = body;
        if (asNew && action !== "replay") throw new AppError("invalid_request", "asNew is for replay only");
        const match = readMatch(action, filter, { project, directory });
        if (dryRun) return showPreview(action, await bulks.preview(match), directory);
        const bulk = await bulks.create({ project, action, isAsNew: asNew, match, rate: rate ?? null });
        return showBulk(bulk, directory);
      },
    }),
    defineRoute({
      method: "GET",
      path: "/bulk",
      operationId: "listBulks",
      summary: "List bulk operations, newest first",
      tag: "bulk",
      scope: "read",
      query: queryOf(PAGE_QUERY),
      answer: pageOf(BULK),
      errors: [],
      handle: ({ principal: { project }, query }) =>
        showPage(reads.listBulks({ project, ...readListQuery(query) }), (bulk) => showBulk(bulk, directory)),
    }),
    defineRoute({
      method: "GET",
      path: "/bulk/:id",
      operationId: "getBulk",
      summary: "Show how far a bulk operation has come",
      tag: "bulk",
      scope: "read",
      query: queryOf({}),
      answer: BULK,
      errors: ["not_found"],
      handle: async ({ principal: { project }, id }) =>
        showBulk(await find(deps, project, readBulkId(id)), directory),
    }),
    ...(["pause", "resume", "cancel"] as const).map((verb) => changeRoute(verb, deps)),
  ];
}

const CHANGES = {
  pause: "Hold a bulk operation where it is, also over restarts",
  resume: "Go on with a bulk operation",
  cancel: "End a bulk operation; what it has changed stays so",
} as const;

function changeRoute(verb: keyof typeof CHANGES, deps: ApiDeps): ApiRoute {
  return defineRoute({
    method: "POST",
    path: `/bulk/:id/${verb}`,
    operationId: `${verb}Bulk`,
    summary: CHANGES[verb],
    tag: "bulk",
    scope: "admin",
    query: queryOf({}),
    answer: BULK,
    errors: ["not_found", "invalid_state", "storage_unavailable"],
    handle: async ({ principal: { project }, id: shown }) => {
      const { id } = await find(deps, project, readBulkId(shown));
      return showBulk(await deps.bulks[verb]({ project, id }), deps.directory);
    },
  });
}

async function find({ reads }: ApiDeps, project: string, id: Id): Promise<Bulk> {
  const bulk = await reads.getBulk({ project, id });
  if (bulk === null) throw noBulk();
  return bulk;
}

function readBulkId(text: string): Id {
  const id = readId("bulk", text);
  if (id === null) throw noBulk();
  return id;
}

function noBulk(): AppError {
  return new AppError("not_found", "there is no such bulk operation in this project");
}
