/** Events that a caller makes: stored, and sent to whoever subscribes to them. */
import { type Static, Type } from "@sinclair/typebox";
import type { NewDelivery } from "../../domain/delivery.ts";
import { AppError } from "../../domain/errors.ts";
import { showId } from "../../domain/id.ts";
import { NOTICE_TENANT } from "../../domain/notice.ts";
import type { Directory } from "../../runtime/directory.ts";
import type { Published } from "../../runtime/publisher.ts";
import type { ApiDeps } from "./deps.ts";
import { queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { named, nullable, PLAIN } from "./schemas.ts";

const NEW_EVENT = Type.Object(
  {
    type: Type.String({
      pattern: "^[\\x21-\\x29\\x2b-\\x7e]{1,128}$",
      description: "What happened, such as invoice.paid: visible ASCII characters, no star.",
    }),
    data: Type.Unknown({ description: "Any JSON. Stored, signed and sent as it was written." }),
    tenant: Type.Optional(
      Type.String({ maxLength: 200, pattern: PLAIN, description: "Whose subscriptions are asked." }),
    ),
    id: Type.Optional(
      Type.String({
        ...{ minLength: 1, maxLength: 256, pattern: PLAIN },
        description: "The caller's own name for it; also its idempotencyKey when there is none.",
      }),
    ),
    idempotencyKey: Type.Optional(
      Type.String({
        ...{ minLength: 1, maxLength: 256, pattern: PLAIN },
        description: "The same event again under it, within 24 hours, is answered with the first one.",
      }),
    ),
    orderingKey: Type.Optional(
      Type.String({
        ...{ minLength: 1, maxLength: 256, pattern: PLAIN },
        description: "For endpoints that keep the order of each key.",
      }),
    ),
  },
  { additionalProperties: false },
);

/** Of a large fan-out, what an answer lists; `GET /deliveries?event=` has them all. */
const LISTED_MAX = 200;

const PUBLISHED = named("PublishedEvent", {
  id: Type.String({ examples: ["evt_01970000000070008000000000000000"] }),
  externalId: nullable(Type.String()),
  type: Type.String(),
  tenant: nullable(Type.String()),
  duplicate: Type.Boolean({ description: "It came before; nothing was stored or sent now." }),
  deliveryCount: Type.Integer({ description: "One per matching subscription." }),
  deliveries: Type.Array(
    Type.Object(
      { id: Type.String(), endpoint: nullable(Type.String()), endpointId: nullable(Type.String()) },
      { additionalProperties: false },
    ),
    { description: `The first ${LISTED_MAX}.` },
  ),
});

type Shown = Static<typeof PUBLISHED>["deliveries"][number];

export function publishRoutes({ publisher, directory, reads }: ApiDeps): ApiRoute[] {
  const deliveriesOf = async (project: string, published: Published): Promise<Shown[]> => {
    if (!published.isDuplicate) return published.deliveries.map((made) => showMade(made, directory));
    const stored = await reads.getEvent({ project, id: published.id });
    return (stored?.deliveries ?? []).map(({ id, lane }) => showMade({ id, lane }, directory));
  };
  return [
    defineRoute({
      method: "POST",
      path: "/events",
      operationId: "publishEvent",
      summary: "Publish an event to everybody who subscribes to it",
      description:
        "Answered when the event and all its deliveries are on disk. When no subscription matches, it is " +
        "stored and sent nowhere. Another event under an idempotency key in use is a conflict.",
      tag: "events",
      scope: "ingest",
      isLarge: true,
      query: queryOf({}),
      body: NEW_EVENT,
      answer: PUBLISHED,
      errors: ["conflict", "body_too_large", "overloaded", "storage_unavailable"],
      handle: async ({ principal: { project }, body, json }) => {
        const data = json.members().get("data");
        if (data === undefined) throw new AppError("invalid_request", 'the member "data" is missing');
        if (body.tenant === NOTICE_TENANT) {
          throw new AppError(
            "invalid_request",
            `the tenant ${NOTICE_TENANT} is that of Postern's own events`,
          );
        }
        const { type, tenant = "", id: externalId = null, idempotencyKey = null } = body;
        const { orderingKey = null } = body;
        const published = await publisher.publish({
          ...{ project, type, tenant, externalId, idempotencyKey, orderingKey },
          // A copy, so that the deliveries of a small part do not keep the whole body in memory.
          data: json.slice(data).slice(),
        });
        const deliveries = await deliveriesOf(project, published);
        return {
          id: showId("event", published.id),
          externalId,
          type,
          tenant: tenant === "" ? null : tenant,
          duplicate: published.isDuplicate,
          deliveryCount: deliveries.length,
          deliveries: deliveries.slice(0, LISTED_MAX),
        };
      },
    }),
  ];
}

function showMade({ id, lane }: Pick<NewDelivery, "id" | "lane">, directory: Directory): Shown {
  const endpoint = directory.endpointOfLane(lane);
  return {
    id: showId("delivery", id),
    endpoint: endpoint?.name ?? null,
    endpointId: endpoint ? showId("endpoint", endpoint.id) : null,
  };
}
