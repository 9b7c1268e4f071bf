/** GET .../listen, for clients that poll (protocol section 14.3), and the path of the socket. */
import { Fault } from "./answer.ts";
import type { Route } from "./router.ts";
import type { Tunnel } from "./tunnel.ts";
import { readUuid, showUuid } from "./wire.ts";

export const SOCKET_PATH = "/v1/listen";

export function listenRoutes(tunnel: Tunnel): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/inbound-endpoints/:id/listen",
      scope: "admin",
      async run({ context, project, query, param }) {
        const source = tunnel.endpoint(project, param("id"));
        const text = query.text("after");
        const after = text === undefined ? null : readUuid(text);
        if (text !== undefined && after === null) {
          throw new Fault("INVALID_REQUEST", "after must be a message id");
        }
        const { frames, last } = await tunnel.poll(source, after);
        const cursor = last === null ? null : showUuid(last);
        const meta = JSON.stringify({
          request_id: context.requestId,
          has_more: false,
          next_cursor: cursor,
        });
        // Put together as text, because the bodies in it must stay as they are.
        return new Response(`{"data":[${frames.join(",")}],"meta":${meta}}`, {
          headers: { "content-type": "application/json" },
        });
      },
    },
    {
      method: "GET",
      path: SOCKET_PATH,
      run() {
        throw new Fault("INVALID_REQUEST", "this path takes WebSocket upgrades only");
      },
    },
  ];
}
