/** Deliveries: lists, details with their attempts, and what an operator can do to one. */
import { type Static, Type } from "@sinclair/typebox";
import { type AttemptRecord, FAILURE_KINDS } from "../../domain/attempt.ts";
import { DELIVERY_STATES, WAITS } from "../../domain/delivery.ts";
import { AppError } from "../../domain/errors.ts";
import { type Id, readId, showId } from "../../domain/id.ts";
import type { DeliveryDetail, DeliveryRow } from "../../domain/reads.ts";
import type { Directory } from "../../runtime/directory.ts";
import type { ApiDeps } from "./deps.ts";
import {
  badParameter,
  PAGE_QUERY,
  queryOf,
  readEndpointParameter,
  readIdParameter,
  readListQuery,
  readSourceParameter,
  TIME_QUERY,
} from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import {
  BODY_ENCODING,
  INSTANT,
  named,
  nullable,
  oneOf,
  pageOf,
  showBody,
  showInstant,
  showJson,
  showOptionalInstant,
  showPage,
} from "./schemas.ts";
import { searchPage } from "./search.ts";

const DELIVERY_MEMBERS = {
  id: Type.String({ examples: ["dlv_01970000000070008000000000000000"] }),
  eventId: nullable(Type.String({ description: "Null for what no event made." })),
  source: nullable(Type.String()),
  schedule: nullable(Type.String({ description: "The name of the schedule whose run it is." })),
  endpoint: nullable(Type.String({ description: "Its name." })),
  endpointId: nullable(Type.String()),
  profile: Type.String({ description: "The protocol it follows." }),
  state: oneOf(DELIVERY_STATES),
  attemptCount: Type.Integer(),
  createdAt: INSTANT,
  scheduledAt: INSTANT,
  dueAt: nullable(INSTANT),
  waitsFor: nullable(
    oneOf(
      WAITS,
      "What it waits for when not for a time: the one before it, somebody's retry, its source's resume.",
    ),
  ),
  orderingKey: nullable(
    Type.String({ description: "Deliveries of one key go one by one; empty: all of the endpoint do." }),
  ),
  finishedAt: nullable(INSTANT),
  lastStatus: nullable(Type.Integer({ description: "HTTP status of the newest attempt." })),
  lastError: nullable(Type.String()),
};

export const DELIVERY = named("Delivery", DELIVERY_MEMBERS);

export const ATTEMPT = named("Attempt", {
  number: Type.Integer({ description: "From 1, over the whole life of the delivery." }),
  startedAt: INSTANT,
  durationMs: Type.Number(),
  outcome: oneOf(["succeeded", "failed", "awaiting"]),
  status: nullable(Type.Integer()),
  failure: nullable(oneOf(FAILURE_KINDS)),
  error: nullable(Type.String()),
  responseExcerpt: nullable(Type.String({ description: "How the answer's body begins." })),
  responseEncoding: nullable(BODY_ENCODING),
  detail: Type.Unknown({ description: "What the protocol keeps beside it, or null." }),
});

const DELIVERY_DETAIL = named("DeliveryDetail", {
  ...DELIVERY_MEMBERS,
  hasPayload: Type.Boolean({ description: "False when its body was given up; it cannot be sent again." }),
  attempts: Type.Array(ATTEMPT, { description: "The newest 200, oldest first." }),
});

export function showDelivery(row: DeliveryRow, directory: Directory): Static<typeof DELIVERY> {
  const endpoint = directory.endpointOfLane(row.lane);
  const source = row.sourceSeq === null ? undefined : directory.sourceOfSeq(row.sourceSeq);
  return {
    id: showId("delivery", row.id),
    eventId: row.eventId === null ? null : showId("event", row.eventId),
    source: source?.name ?? null,
    schedule: row.schedule,
    endpoint: endpoint?.name ?? null,
    endpointId: endpoint ? showId("endpoint", endpoint.id) : null,
    profile: row.profile,
    state: row.state,
    attemptCount: row.attemptCount,
    createdAt: showInstant(row.createdAt),
    scheduledAt: showInstant(row.scheduledAt),
    dueAt: showOptionalInstant(row.dueAt),
    waitsFor: row.waitsFor,
    orderingKey: row.orderingKey,
    finishedAt: showOptionalInstant(row.finishedAt),
    lastStatus: row.lastStatus,
    lastError: row.lastError,
  };
}

function showDetail(detail: DeliveryDetail, directory: Directory): Static<typeof DELIVERY_DETAIL> {
  return {
    ...showDelivery(detail, directory),
    hasPayload: detail.hasPayload,
    attempts: detail.attempts.map(showAttempt),
  };
}

export function showAttempt(attempt: AttemptRecord): Static<typeof ATTEMPT> {
  const { number, startedAt, durationMs, outcome, status, failure, error, excerpt, detail } = attempt;
  const shown = excerpt === null ? null : showBody(excerpt, true);
  return {
    number,
    startedAt: showInstant(startedAt),
    durationMs,
    outcome,
    status,
    failure,
    error,
    responseExcerpt: shown?.text ?? null,
    responseEncoding: shown?.encoding ?? null,
    detail: showJson(detail),
  };
}

const LIST_QUERY = queryOf({
  state: Type.Optional(oneOf(DELIVERY_STATES)),
  endpoint: Type.Optional(Type.String({ description: "Name or id." })),
  source: Type.Optional(Type.String({ description: "Name or id." })),
  event: Type.Optional(Type.String({ description: "Id." })),
  type: Type.Optional(Type.String({ description: "The event's: exact, or a prefix that ends in *." })),
  tenant: Type.Optional(Type.String()),
  error: Type.Optional(Type.String({ minLength: 1, description: "Part of the newest error, in any case." })),
  status: Type.Optional(
    Type.Integer({ minimum: 100, maximum: 599, description: "HTTP status of the newest attempt." }),
  ),
  waitsFor: Type.Optional(oneOf(WAITS, "Only what waits for this; turn: behind another in a line.")),
  q: Type.Optional(
    Type.String({ minLength: 2, maxLength: 200, description: "Part of the body, an error or an answer." }),
  ),
  ...TIME_QUERY,
  ...PAGE_QUERY,
});

/** Whether a list has to look through the store rather than walk an index. */
function isSearch({ type, tenant, error, status, waitsFor, q }: Static<typeof LIST_QUERY>): boolean {
  return [type, tenant, error, status, waitsFor, q].some((value) => value !== undefined);
}

function listFilter(query: Static<typeof LIST_QUERY>, project: string, directory: Directory) {
  const { state, endpoint, source, event } = query;
  return {
    project,
    ...readListQuery(query),
    ...(state === undefined ? {} : { state }),
    ...(endpoint === undefined ? {} : { lane: readEndpointParameter(directory, project, endpoint).lane }),
    ...(source === undefined ? {} : { sourceSeq: readSourceParameter(directory, project, source).seq }),
    ...(event === undefined ? {} : { eventId: readIdParameter("event", "event", event) }),
  };
}

function search(query: Static<typeof LIST_QUERY>, project: string, { clock, directory, reads }: ApiDeps) {
  const { type, tenant, error, status, waitsFor, q } = query;
  if (query.event !== undefined) throw badParameter("event", "cannot be combined with a search");
  const { state, cursor: _cursor, limit: _limit, ...filter } = listFilter(query, project, directory);
  const match = {
    ...filter,
    states: state === undefined ? [] : [state],
    ...(type === undefined ? {} : { type }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(error === undefined ? {} : { error }),
    ...(status === undefined ? {} : { status }),
    ...(waitsFor === undefined ? {} : { waitsFor }),
  };
  const text = q === undefined ? {} : { text: q };
  return searchPage(clock, readListQuery(query), (page) =>
    reads.searchDeliveries({ match, ...text, ...page }),
  );
}

export function deliveryRoutes(deps: ApiDeps): ApiRoute[] {
  const { directory, reads } = deps;
  return [
    defineRoute({
      method: "GET",
      path: "/deliveries",
      operationId: "listDeliveries",
      summary: "List deliveries, newest first",
      description:
        "With q, type, tenant, error, status or waitsFor it is a search: a page may be short and have a " +
        "next one.",
      tag: "deliveries",
      scope: "read",
      query: LIST_QUERY,
      answer: pageOf(DELIVERY),
      errors: [],
      handle: ({ principal: { project }, query }) => {
        const rows = isSearch(query)
          ? search(query, project, deps)
          : reads.listDeliveries(listFilter(query, project, directory));
        return showPage(rows, (row) => showDelivery(row, directory));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/deliveries/:id",
      operationId: "getDelivery",
      summary: "Show a delivery with its attempts",
      tag: "deliveries",
      scope: "read",
      query: queryOf({}),
      answer: DELIVERY_DETAIL,
      errors: ["not_found"],
      handle: async ({ principal: { project }, id }) => {
        const found = await reads.getDelivery({ project, id: readDeliveryId(id) });
        if (found === null) throw noDelivery();
        return showDetail(found, directory);
      },
    }),
    ...ACTIONS.map((action) => actionRoute(action, deps)),
    replayRoute(deps),
  ];
}

interface Action {
  readonly verb: "cancel" | "retry" | "discard";
  readonly summary: string;
  readonly description: string;
}

const ACTIONS: readonly Action[] = [
  {
    verb: "cancel",
    summary: "Cancel a delivery that waits",
    description: "Not while an attempt is under way, and not when it has ended.",
  },
  {
    verb: "retry",
    summary: "Make a waiting delivery due now",
    description: "Its retry budget stays as it is.",
  },
  {
    verb: "discard",
    summary: "Give up a dead or cancelled delivery for good",
    description: "It stays visible and can never be replayed.",
  },
];

function actionRoute(
  { verb, summary, description }: Action,
  { commands, directory, reads }: ApiDeps,
): ApiRoute {
  return defineRoute({
    method: "POST",
    path: `/deliveries/:id/${verb}`,
    operationId: `${verb}Delivery`,
    summary,
    description,
    tag: "deliveries",
    scope: "admin",
    query: queryOf({}),
    answer: DELIVERY_DETAIL,
    errors: ["not_found", "invalid_state", "conflict", "gone", "storage_unavailable"],
    handle: async ({ principal: { project }, id: shown }) => {
      const id = readDeliveryId(shown);
      await (verb === "retry" ? commands.retryNow(project, id) : commands[verb](project, id));
      const changed = await reads.getDelivery({ project, id });
      if (changed === null) throw noDelivery();
      return showDetail(changed, directory);
    },
  });
}

const REPLAY = Type.Object(
  { asNew: Type.Optional(Type.Boolean({ description: "As a copy with an id of its own." })) },
  { additionalProperties: false },
);

function replayRoute({ commands, directory, reads }: ApiDeps): ApiRoute {
  return defineRoute({
    method: "POST",
    path: "/deliveries/:id/replay",
    operationId: "replayDelivery",
    summary: "Send a finished delivery again",
    description:
      "Under the same id, with a fresh retry budget, or as a copy. 410 when its body is no longer kept.",
    tag: "deliveries",
    scope: "admin",
    query: queryOf({}),
    body: REPLAY,
    answer: DELIVERY_DETAIL,
    errors: ["not_found", "invalid_state", "conflict", "gone", "storage_unavailable"],
    handle: async ({ principal: { project }, id: shown, body: { asNew = false } }) => {
      const id = readDeliveryId(shown);
      if (!asNew) await commands.replay(project, id);
      const sentId = asNew ? await commands.replayAsNew(project, id) : id;
      const sent = await reads.getDelivery({ project, id: sentId });
      if (sent === null) throw noDelivery();
      return showDetail(sent, directory);
    },
  });
}

function readDeliveryId(text: string): Id {
  const id = readId("delivery", text);
  if (id === null) throw noDelivery();
  return id;
}

function noDelivery(): AppError {
  return new AppError("not_found", "there is no such delivery in this project");
}
