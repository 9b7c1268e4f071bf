/** Every route of the dialect, noun by noun. */
import { endpointRoutes } from "./endpoints.ts";
import { logRoutes } from "./logs.ts";
import { messageRoutes } from "./messages.ts";
import type { Call, Route } from "./router.ts";
import { sendRoute } from "./send.ts";
import type { Service } from "./service.ts";
import { rotateSecretRoute, signingKeyRoutes } from "./signing-keys.ts";

export function createRoutes(service: Service): Route[] {
  const endpointOf = (call: Call) => service.endpoint(call.project, call.param("id"));
  return [
    ...endpointRoutes(service),
    ...signingKeyRoutes(service, "/v1/endpoints/:id", endpointOf),
    rotateSecretRoute(service, endpointOf),
    sendRoute(service),
    ...messageRoutes(service),
    ...logRoutes(service),
  ];
}
