/** Every route of the dialect, noun by noun. */
import { actorRoute, billingRoutes, projectRoutes } from "./account.ts";
import { apiKeyRoutes } from "./api-keys.ts";
import { deleteRoutes, messageKind, replayRoutes } from "./bulk.ts";
import { endpointRoutes } from "./endpoints.ts";
import { exportRoutes } from "./export-routes.ts";
import type { Exports } from "./exports.ts";
import { inboundEndpointRoutes } from "./inbound-endpoints.ts";
import { inboundMessageRoutes } from "./inbound-messages.ts";
import { listenRoutes } from "./listen-routes.ts";
import { logRoutes } from "./logs.ts";
import { messageRoutes } from "./messages.ts";
import { metricRoutes } from "./metric-routes.ts";
import { OUTBOUND } from "./profiles.ts";
import { pullEndpointRoutes } from "./pull-endpoints.ts";
import { pullEventRoutes } from "./pull-events.ts";
import type { Call, Route } from "./router.ts";
import { sendRoute } from "./send.ts";
import type { Service } from "./service.ts";
import { rotateSecretRoute, signingKeyRoutes } from "./signing-keys.ts";
import type { Tunnel } from "./tunnel.ts";

/** What runs beside the requests. */
export interface Services {
  readonly exports: Exports;
  readonly tunnel: Tunnel;
}

export function createRoutes(service: Service, { exports, tunnel }: Services): Route[] {
  const endpointOf = (call: Call) => service.endpoint(call.project, call.param("id"));
  const messages = messageKind(service, OUTBOUND);
  return [
    ...endpointRoutes(service),
    ...signingKeyRoutes(service, "/v1/endpoints/:id", endpointOf),
    rotateSecretRoute(service, endpointOf),
    sendRoute(service),
    ...messageRoutes(service),
    ...replayRoutes(service, "/v1/messages", messages),
    ...deleteRoutes(service, "/v1/messages", messages),
    ...logRoutes(service),
    ...metricRoutes(service),
    ...inboundEndpointRoutes(service),
    ...inboundMessageRoutes(service),
    ...pullEndpointRoutes(service),
    ...pullEventRoutes(service),
    ...listenRoutes(tunnel),
    ...exportRoutes(service, exports),
    ...apiKeyRoutes(service),
    ...projectRoutes(service),
    actorRoute(service),
    ...billingRoutes(service),
  ];
}
