/**
 * HookBridge's door: every path below /v1/ that no narrower door claims, unknown ones included. Whatever
 * happens here is answered in HookBridge's envelope; an error that left it would reach the client as one that
 * its SDK cannot read (protocol section 3.1).
 */
import type { KeyScope } from "../../domain/access.ts";
import { authorize, type Principal } from "../../http/auth.ts";
import type { Door, RequestContext } from "../../http/door.ts";
import { answerFault, Fault } from "./answer.ts";
import { fieldsOf, Query, readJson } from "./fields.ts";
import { SOCKET_PATH } from "./listen-routes.ts";
import { type Call, type Found, type Route, Router } from "./router.ts";
import { createRoutes, type Services } from "./routes.ts";
import { tooLarge } from "./send.ts";
import type { Service } from "./service.ts";

/** For every body that carries no payload. */
const FIELDS_BYTES_MAX = 262_144;

export function createDoor(service: Service, services: Services): Door {
  const routes = createRoutes(service, services);
  const router = new Router(routes);
  return {
    name: "HookBridge",
    routes: routes.map((route) => ({ method: route.method, path: route.path, scope: scopeOf(route) })),
    claims: { main: ["/v1/**"] },
    async handle(request, context) {
      try {
        return await dispatch(request, context, { router, service });
      } catch (error) {
        return answerFault(error, context, service.context.log);
      }
    },
    async upgrade(request, context) {
      try {
        if (context.path !== SOCKET_PATH) return await dispatch(request, context, { router, service });
        // Who asks and for what is checked before anything is opened (protocol section 14.2).
        const principal = service.authenticate(request.headers, context);
        authorize(principal, "admin");
        const id = new Query(context.search).text("endpoint_id") ?? "";
        return services.tunnel.connect(services.tunnel.endpoint(principal.project, id));
      } catch (error) {
        return answerFault(error, context, service.context.log);
      }
    },
  };
}

interface Parts {
  readonly router: Router;
  readonly service: Service;
}

async function dispatch(
  request: Request,
  context: RequestContext,
  { router, service }: Parts,
): Promise<Response> {
  const found = router.find(request.method, context.path);
  if (found.kind === "none" && isOtherProtocol(request.headers)) return answerElsewhere();
  const principal = service.authenticate(request.headers, context);
  service.noteUse(principal.keyId);
  service.takeRequest(principal.project);
  if (found.kind !== "route") throw missing(found);
  authorize(principal, scopeOf(found.route));
  return await found.route.run(toCall({ request, context, principal }, found.params, service));
}

function scopeOf({ method, scope = method === "GET" ? "read" : "admin" }: Route): KeyScope {
  return scope;
}

function missing(found: Exclude<Found, { kind: "route" }>): Fault {
  if (found.kind === "none") return new Fault("NOT_FOUND", "nothing is served at this path");
  const { allowed } = found;
  return new Fault("METHOD_NOT_ALLOWED", `this path takes ${allowed.join(", ")}`, { details: { allowed } });
}

/** A key in X-API-Key and none as Bearer is how Posthook's clients come (design, section 6). */
function isOtherProtocol(headers: Headers): boolean {
  return headers.has("x-api-key") && !headers.has("authorization");
}

/** Its error is a plain text. */
function answerElsewhere(): Response {
  return Response.json({ error: "not found" }, { status: 404 });
}

interface Received {
  readonly request: Request;
  readonly context: RequestContext;
  readonly principal: Principal;
}

function toCall(received: Received, params: ReadonlyMap<string, string>, service: Service): Call {
  const { request, context, principal } = received;
  const { project } = principal;
  const bytes = (bytesMax: number) => readBytes(request, bytesMax, service);
  return {
    ...received,
    project,
    settings: service.settingsOf(principal.project),
    query: new Query(context.search),
    param: (name) => params.get(name) ?? "",
    bytes,
    fields: async () => fieldsOf(readJson(await bytes(FIELDS_BYTES_MAX))),
  };
}

async function readBytes(request: Request, bytesMax: number, { context }: Service): Promise<Uint8Array> {
  const body = await context.bodies.read(request, bytesMax);
  if (body === "too_large") throw tooLarge();
  if (body === "too_slow") throw new Fault("REQUEST_TIMEOUT", "the body did not arrive in time");
  if (body === "broken") throw new Fault("INVALID_REQUEST", "the body broke off");
  return body;
}
