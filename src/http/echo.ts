/**
 * /_/echo: Postern's own receiver, so that the shipped configuration shows a whole delivery without a second
 * program. It answers what it got. Only this machine may call it, and only when the config asks for it;
 * everybody else is told that nothing is there.
 */
import { AppError } from "../domain/errors.ts";
import type { BodyReader } from "./body.ts";
import { isLoopback } from "./client-address.ts";
import type { Door, RequestContext } from "./door.ts";

const BODY_BYTES_MAX = 16 * 1_048_576;
const SHOWN_HEADERS = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"] as const;

export function createEchoDoor({ bodies }: { readonly bodies: BodyReader }): Door {
  return {
    name: "echo",
    claims: { main: ["/_/echo"] },
    async handle(request, context) {
      if (!isLocal(request, context)) throw new AppError("not_found", "nothing is served at this path");
      const body = await bodies.read(request, BODY_BYTES_MAX);
      if (typeof body === "string") throw new AppError("invalid_request", "the body did not arrive whole");
      const headers: Record<string, string> = {};
      for (const name of SHOWN_HEADERS) {
        const value = request.headers.get(name);
        if (value !== null) headers[name] = value;
      }
      return Response.json({ received: { method: request.method, headers, bodyBytes: body.byteLength } });
    },
  };
}

/** A proxy on this machine also connects from loopback; it gives itself away by what it forwards. */
function isLocal({ headers }: Request, { peerAddress }: RequestContext): boolean {
  if (headers.has("x-forwarded-for") || headers.has("forwarded")) return false;
  return peerAddress !== null && isLoopback(peerAddress);
}
