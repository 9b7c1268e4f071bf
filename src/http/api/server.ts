/** The server itself: how it is, and the reload of its configuration. */
import { Type } from "@sinclair/typebox";
import { DELIVERY_STATES } from "../../domain/delivery.ts";
import { AppError } from "../../domain/errors.ts";
import { isOperator } from "../auth.ts";
import type { ApiDeps } from "./deps.ts";
import { queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, showInstant } from "./schemas.ts";

const STATUS = named("Status", {
  version: Type.String(),
  commit: Type.String(),
  startedAt: INSTANT,
  uptimeMs: Type.Integer(),
  clock: oneOf(["system", "virtual"]),
  durability: oneOf(["fsync", "relaxed"]),
  store: Type.Object(
    {
      isHealthy: Type.Boolean(),
      reason: nullable(Type.String()),
      usedBytes: Type.Integer(),
      waitingWrites: Type.Integer(),
    },
    { additionalProperties: false },
  ),
  attempts: Type.Object(
    { inFlight: Type.Integer(), inFlightMax: Type.Integer() },
    { additionalProperties: false },
  ),
  deliveries: Type.Object(
    Object.fromEntries(DELIVERY_STATES.map((state) => [state, Type.Optional(Type.Integer())])),
    {
      additionalProperties: false,
      description:
        "By state, over all projects; states without any, and succeeded ones, are left out. For keys of " +
        "the project default only.",
    },
  ),
});

const RELOAD = named("Reload", {
  created: Type.Array(Type.String(), { examples: [["source stripe"]] }),
  updated: Type.Array(Type.String()),
  retired: Type.Array(Type.String()),
  restartFor: Type.Array(Type.String(), { description: "Changed keys that need a new start." }),
});

export function serverRoutes(deps: ApiDeps): ApiRoute[] {
  const { build, clock, store, slots, reads, startedAt } = deps;
  return [
    defineRoute({
      method: "GET",
      path: "/status",
      operationId: "getStatus",
      summary: "Show how the server is",
      tag: "server",
      scope: "read",
      query: queryOf({}),
      answer: STATUS,
      errors: ["overloaded"],
      handle: async ({ principal }) => {
        const { isHealthy, reason } = store.health;
        const { usedBytes, waiting } = store.counts();
        return {
          version: build.version,
          commit: build.commit,
          startedAt: showInstant(startedAt),
          uptimeMs: Math.max(0, clock.wallNow() - startedAt),
          clock: clock.kind,
          durability: store.durability,
          store: { isHealthy, reason, usedBytes, waitingWrites: waiting },
          attempts: { inFlight: slots.used, inFlightMax: slots.total },
          deliveries: isOperator(principal) ? { ...(await reads.countDeliveries()) } : {},
        };
      },
    }),
    defineRoute({
      method: "POST",
      path: "/reload",
      operationId: "reload",
      summary: "Read the config file again",
      description: "A file with errors changes nothing; the answer lists them all.",
      tag: "server",
      scope: "admin",
      isOperators: true,
      query: queryOf({}),
      answer: RELOAD,
      errors: ["invalid_config", "conflict", "storage_unavailable"],
      handle: async () => {
        const result = await deps.reload();
        if (!result.ok) {
          throw new AppError("invalid_config", "the config file has errors; nothing was changed", {
            details: { errors: result.errors },
          });
        }
        const { created, updated, retired, restartFor } = result;
        return {
          created: [...created],
          updated: [...updated],
          retired: [...retired],
          restartFor: [...restartFor],
        };
      },
    }),
  ];
}
