/** Endpoints made, changed and deleted through the API. */
import { Type } from "@sinclair/typebox";
import type { ApiDeps } from "./deps.ts";
import { ENDPOINT_CHANGE, NEW_ENDPOINT, readEndpointChange, readNewEndpoint } from "./endpoint-schemas.ts";
import { SIGNING_SECRET, showSecrets } from "./endpoint-secrets.ts";
import { ENDPOINT, ENDPOINT_MEMBERS, requireEndpoint, showEndpoint } from "./endpoints.ts";
import { queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { named } from "./schemas.ts";

const CREATED = named("CreatedEndpoint", {
  ...ENDPOINT_MEMBERS,
  secrets: Type.Array(SIGNING_SECRET, { description: "Shown in full here, once." }),
});

export function endpointWriteRoutes(deps: ApiDeps): ApiRoute[] {
  const { objects, directory, random, endpointTimeoutMs } = deps;
  const randomBytes = (length: number) => random.bytes(length);
  const shared = { tag: "endpoints", scope: "admin", query: queryOf({}) } as const;
  return [
    defineRoute({
      ...shared,
      method: "POST",
      path: "/endpoints",
      operationId: "createEndpoint",
      summary: "Make an endpoint",
      description: "A private address is refused unless egress.allow_private has it.",
      body: NEW_ENDPOINT,
      answer: CREATED,
      errors: ["conflict", "target_blocked", "storage_unavailable"],
      handle: async ({ principal: { project }, body }) => {
        const timeoutMs = directory.egressOf(project)?.timeoutMs ?? endpointTimeoutMs;
        const definition = readNewEndpoint(project, body, { timeoutMs, randomBytes });
        const endpoint = await objects.createEndpoint("native", definition);
        return { ...showEndpoint(endpoint, deps), secrets: showSecrets(endpoint.sign, () => true) };
      },
    }),
    defineRoute({
      ...shared,
      method: "PATCH",
      path: "/endpoints/:id",
      operationId: "updateEndpoint",
      summary: "Change an endpoint",
      description: "What waits for it is sent under the new definition. Its name and its pause stay.",
      body: ENDPOINT_CHANGE,
      answer: ENDPOINT,
      errors: ["not_found", "gone", "declared_in_config", "target_blocked", "storage_unavailable"],
      handle: async ({ principal: { project }, id, body }) => {
        const { id: endpointId } = requireEndpoint(directory, project, id);
        const edited = await objects.updateEndpoint(endpointId, ({ breaker }) =>
          readEndpointChange(body, { breaker, randomBytes }),
        );
        return showEndpoint(edited, deps);
      },
    }),
    defineRoute({
      ...shared,
      method: "DELETE",
      path: "/endpoints/:id",
      operationId: "deleteEndpoint",
      summary: "Take an endpoint out of service",
      description: "What was accepted for it is still sent. Refused while subscriptions lead to it.",
      answer: ENDPOINT,
      errors: ["not_found", "gone", "declared_in_config", "conflict", "storage_unavailable"],
      handle: async ({ principal: { project }, id }) => {
        const { id: endpointId } = requireEndpoint(directory, project, id);
        return showEndpoint(await objects.retireEndpoint(endpointId), deps);
      },
    }),
  ];
}
