/** Sources in pull mode: their events wait here until a consumer has fetched and acknowledged them. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { type Id, readId, showId } from "../../domain/id.ts";
import type { Source } from "../../domain/source.ts";
import type { Commands } from "../../runtime/commands.ts";
import type { PullItem } from "../../runtime/ports.ts";
import type { ApiDeps } from "./deps.ts";
import { findSource, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { BODY_ENCODING, INSTANT, named, nullable, oneOf, showBody, showInstant } from "./schemas.ts";

const LIMIT = 50;
const LIMIT_MAX = 500;

const SELECTION = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMIT_MAX,
      description: `${LIMIT} when absent; fewer come when they are large.`,
    }),
  ),
  state: Type.Optional(
    oneOf(
      ["stored", "fetched"],
      "stored, the default: what nobody has fetched; fetched: what was fetched and not acknowledged",
    ),
  ),
};

const PULLED_EVENT = named("PulledEvent", {
  id: Type.String({ description: "The delivery's id: what is acknowledged." }),
  eventId: Type.String({ description: "The same however often it is fetched." }),
  type: nullable(Type.String()),
  receivedAt: INSTANT,
  state: oneOf(["stored", "fetched"]),
  headers: Type.Record(Type.String(), Type.String()),
  body: Type.String(),
  bodyEncoding: BODY_ENCODING,
});

const PULLED = named("Pulled", {
  data: Type.Array(PULLED_EVENT, { description: "The oldest first." }),
});

const ACKNOWLEDGED = named("Acknowledged", {
  acknowledged: Type.Integer({ description: "How many were not acknowledged before." }),
});

function showItem({ position, deliveryId, eventId, type, receivedAt, payload }: PullItem) {
  const { text, encoding } = showBody(payload.body);
  const shown: Static<typeof PULLED_EVENT> = {
    id: showId("delivery", deliveryId),
    eventId: showId("event", eventId),
    type,
    receivedAt: showInstant(receivedAt),
    state: position.state === "stored" ? "stored" : "fetched",
    headers: { ...payload.headers },
    body: text,
    bodyEncoding: encoding,
  };
  return shown;
}

type FindSource = (project: string, text: string) => Source;

export function pullRoutes({ directory, commands }: ApiDeps): ApiRoute[] {
  const find: FindSource = (project, text) => {
    const source = findSource(directory, project, text);
    if (!source) throw new AppError("not_found", "there is no such source in this project");
    return source;
  };
  const shared = { tag: "sources", errors: ["not_found", "invalid_state", "storage_unavailable"] } as const;
  return [
    defineRoute({
      ...shared,
      method: "GET",
      path: "/sources/:id/stored",
      operationId: "peekStored",
      summary: "Look at what waits in a source in pull mode",
      scope: "read",
      query: queryOf(SELECTION),
      answer: PULLED,
      handle: async ({ principal: { project }, id, query: { limit = LIMIT, state = "stored" } }) => {
        const items = await commands.fetchStored(find(project, id), { limit, state, isPeek: true });
        return { data: items.map(showItem) };
      },
    }),
    defineRoute({
      ...shared,
      method: "POST",
      path: "/sources/:id/fetch",
      operationId: "fetchStored",
      summary: "Fetch what waits in a source in pull mode",
      description: "Each event is handed out once; what was never acknowledged is asked for by its state.",
      scope: "admin",
      query: queryOf({}),
      body: Type.Object(SELECTION, { additionalProperties: false }),
      answer: PULLED,
      handle: async ({ principal: { project }, id, body: { limit = LIMIT, state = "stored" } }) => {
        const items = await commands.fetchStored(find(project, id), { limit, state });
        return { data: items.map(showItem) };
      },
    }),
    ackRoute(commands, find),
  ];
}

function ackRoute(commands: Commands, find: FindSource): ApiRoute {
  return defineRoute({
    method: "POST",
    path: "/sources/:id/ack",
    operationId: "acknowledgeFetched",
    summary: "Acknowledge what was fetched",
    description: "All of them, or none when one is not this source's. Repeating it changes nothing.",
    tag: "sources",
    scope: "admin",
    query: queryOf({}),
    body: Type.Object(
      { ids: Type.Array(Type.String(), { minItems: 1, maxItems: LIMIT_MAX }) },
      { additionalProperties: false },
    ),
    answer: ACKNOWLEDGED,
    errors: ["not_found", "storage_unavailable"],
    handle: async ({ principal: { project }, id, body }) => {
      const ids = body.ids.map(readDeliveryId);
      return { acknowledged: await commands.confirmFetched(find(project, id), ids) };
    },
  });
}

function readDeliveryId(text: string): Id {
  const id = readId("delivery", text);
  if (id === null) throw new AppError("invalid_request", `"${text.slice(0, 64)}" is no id of a delivery`);
  return id;
}
