/** Subscriptions: which events of which tenant go to which endpoint. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { showId } from "../../domain/id.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { ApiDeps } from "./deps.ts";
import { pageOfLiving } from "./page.ts";
import { findSubscription, PAGE_QUERY, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, pageOf, showInstant, showOptionalInstant } from "./schemas.ts";

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

export function subscriptionRoutes({ directory }: ApiDeps): ApiRoute[] {
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
      handle: ({ principal: { project }, id }) => {
        const subscription = findSubscription(directory, project, id);
        if (subscription) return showSubscription(subscription);
        throw new AppError("not_found", "there is no such subscription in this project");
      },
    }),
  ];
}
