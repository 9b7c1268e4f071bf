/**
 * GET /healthz: the event loop turns. GET /readyz: work can be taken on, with the reason when not. No key
 * needed.
 */
import type { Door, RequestContext } from "./door.ts";
import { methodNotAllowed } from "./errors.ts";

export interface StoreHealth {
  readonly isHealthy: boolean;
  readonly reason: string | null;
}

export interface HealthDoorOptions {
  readonly store: { readonly health: StoreHealth; readonly durability: "fsync" | "relaxed" };
}

export function createHealthDoor({ store }: HealthDoorOptions): Door {
  return {
    name: "health",
    claims: { main: ["/healthz", "/readyz"], ingest: ["/healthz"] },
    handle(request: Request, { path }: RequestContext) {
      if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed(["GET", "HEAD"]);
      if (path === "/healthz") return Response.json({ status: "ok" });
      const { isHealthy, reason } = store.health;
      return Response.json(
        {
          status: isHealthy ? "ready" : "unready",
          checks: { store: { ok: isHealthy, reason }, durability: store.durability },
        },
        { status: isHealthy ? 200 : 503, headers: isHealthy ? {} : { "retry-after": "1" } },
      );
    },
  };
}
