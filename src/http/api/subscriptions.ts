/** Subscriptions: which events of which tenant go to which endpoint. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { showId } from "../../domain/id.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Directory } from "../../runtime/directory.ts";
import type { ApiDeps } from "./deps.ts";
import { NAME } from "./endpoint-schemas.ts";
import { pageOfLiving } from "./page.ts";
import { findEndpoint, findSubscription, PAGE_QUERY, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import {
  INSTANT,
  named,
  nullable,
  oneOf,
  PLAIN,
  pageOf,
  showInstant,
  showOptionalInstant,
} from "./schemas.ts";

const SUBSCRIPTION = named("Subscription", {
  id: Type.String({ examples: ["sub_01970000000070008000000000000000"] }),
  name: Type.String(),
  door: Type.String({ description: "Where it was made: config, native, or a protocol." }),
  tenant: Type.String({ description: "Empty: that of events which name none." }),
  eventTypes: Type.Array(Type.String(), {
    description: "A type, a prefix such as invoice.*, or * for every event; one must match.",
  }),
  endpoint: Type.String({ description: "The name of an endpoint of this project." }),
  state: oneOf(["active", "retired"]),
  createdAt: INSTANT,
  updatedAt: INSTANT,
  retiredAt: nullable(INSTANT),
});

function showSubscription(subscription: Subscription): Static<typeof SUBSCRIPTION> {
  const { id, name, door, tenant, eventTypes, endpoint, deletedAt } = subscription;
  return {
    id: showId("subscription", id),
    name,
    door,
    tenant,
    eventTypes: [...eventTypes],
    endpoint,
    state: deletedAt === null ? "active" : "retired",
    createdAt: showInstant(subscription.createdAt),
    updatedAt: showInstant(subscription.updatedAt),
    retiredAt: showOptionalInstant(deletedAt),
  };
}

const PATTERNS = Type.Array(Type.String({ maxLength: 256 }), { minItems: 1, maxItems: 100 });
const TENANT = Type.String({
  maxLength: 200,
  pattern: PLAIN,
  description: "Left out or empty: that of events which name none.",
});

const NEW_SUBSCRIPTION = Type.Object(
  {
    name: NAME,
    eventTypes: PATTERNS,
    tenant: Type.Optional(TENANT),
    endpoint: Type.String({ description: "Name or id." }),
  },
  { additionalProperties: false },
);

const SUBSCRIPTION_CHANGE = Type.Object(
  {
    eventTypes: Type.Optional(PATTERNS),
    tenant: Type.Optional(TENANT),
    endpoint: Type.Optional(Type.String({ description: "Name or id." })),
  },
  { additionalProperties: false, description: "What is left out stays." },
);

export function subscriptionRoutes(deps: ApiDeps): ApiRoute[] {
  return [...lookRoutes(deps), ...writeRoutes(deps)];
}

function requireSubscription(directory: Directory, project: string, text: string): Subscription {
  const subscription = findSubscription(directory, project, text);
  if (subscription) return subscription;
  throw new AppError("not_found", "there is no such subscription in this project");
}

function writeRoutes({ directory, objects }: ApiDeps): ApiRoute[] {
  const shared = {
    tag: "subscriptions",
    scope: "admin",
    query: queryOf({}),
    answer: SUBSCRIPTION,
  } as const;
  const changing = ["not_found", "gone", "declared_in_config", "storage_unavailable"] as const;
  const nameOf = (project: string, text: string): string =>
    findEndpoint(directory, project, text)?.name ?? text;
  return [
    defineRoute({
      ...shared,
      method: "POST",
      path: "/subscriptions",
      operationId: "createSubscription",
      summary: "Send the events of a tenant to an endpoint, by their type",
      body: NEW_SUBSCRIPTION,
      errors: ["conflict", "storage_unavailable"],
      handle: async ({ principal: { project }, body }) => {
        const { tenant = "", endpoint, ...rest } = body;
        const definition = { ...rest, project, tenant, endpoint: nameOf(project, endpoint) };
        return showSubscription(await objects.createSubscription("native", definition));
      },
    }),
    defineRoute({
      ...shared,
      method: "PATCH",
      path: "/subscriptions/:id",
      operationId: "updateSubscription",
      summary: "Change a subscription",
      description: "For the events from now on.",
      body: SUBSCRIPTION_CHANGE,
      errors: changing,
      handle: async ({ principal: { project }, id, body: { endpoint, tenant, eventTypes } }) => {
        const subscription = requireSubscription(directory, project, id);
        const changed = await objects.updateSubscription(subscription.id, () => ({
          ...(endpoint === undefined ? {} : { endpoint: nameOf(project, endpoint) }),
          ...(tenant === undefined ? {} : { tenant }),
          ...(eventTypes === undefined ? {} : { eventTypes }),
        }));
        return showSubscription(changed);
      },
    }),
    defineRoute({
      ...shared,
      method: "DELETE",
      path: "/subscriptions/:id",
      operationId: "deleteSubscription",
      summary: "Take a subscription out of service",
      description: "Deliveries that it made already are still sent.",
      errors: changing,
      handle: async ({ principal: { project }, id }) => {
        const subscription = requireSubscription(directory, project, id);
        return showSubscription(await objects.retireSubscription(subscription.id));
      },
    }),
  ];
}

function lookRoutes({ directory }: ApiDeps): ApiRoute[] {
  return [
    defineRoute({
      method: "GET",
      path: "/subscriptions",
      operationId: "listSubscriptions",
      summary: "List subscriptions in service, oldest first",
      tag: "subscriptions",
      scope: "read",
      query: queryOf(PAGE_QUERY),
      answer: pageOf(SUBSCRIPTION),
      errors: [],
      handle: ({ principal: { project }, query }) => {
        const own = directory.subscriptions().filter((subscription) => subscription.project === project);
        const { data, nextCursor } = pageOfLiving(own, ({ seq }) => seq, query);
        return { data: data.map(showSubscription), nextCursor };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/subscriptions/:id",
      operationId: "getSubscription",
      summary: "Show a subscription, by id or name",
      tag: "subscriptions",
      scope: "read",
      query: queryOf({}),
      answer: SUBSCRIPTION,
      errors: ["not_found"],
      handle: ({ principal: { project }, id }) =>
        showSubscription(requireSubscription(directory, project, id)),
    }),
  ];
}
