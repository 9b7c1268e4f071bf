/**
 * The native API: one Elysia app below /_/api that mounts the routes of all nouns. Elysia only routes;
 * queries are read strictly by our own check and bodies by ourselves, because its parsers forgive too much.
 * Nothing in here is reached without a key, not even a 404.
 */
import { Type } from "@sinclair/typebox";
import { type AnyElysia, Elysia } from "elysia";
import { AppError } from "../../domain/errors.ts";
import { assertOperator, authenticate, authorize, type Principal } from "../auth.ts";
import type { Door, RequestContext } from "../door.ts";
import { answerError, methodNotAllowed } from "../errors.ts";
import { bulkRoutes } from "./bulk.ts";
import { clockRoutes } from "./clock.ts";
import { deliveryRoutes } from "./deliveries.ts";
import type { ApiDeps } from "./deps.ts";
import { metricsRoutes } from "./endpoint-metrics.ts";
import { endpointSecretRoutes } from "./endpoint-secrets.ts";
import { endpointWriteRoutes } from "./endpoint-writes.ts";
import { endpointRoutes } from "./endpoints.ts";
import { eventRoutes } from "./events.ts";
import { executionRoutes } from "./executions.ts";
import { functionRoutes } from "./functions.ts";
import { keyRoutes, projectRoutes } from "./keys.ts";
import { masterKeyRoutes } from "./master-key.ts";
import { createOpenApi } from "./openapi.ts";
import { BODY_BYTES_MAX, NO_PAYLOAD, readPayload } from "./payload.ts";
import { publishRoutes } from "./publish.ts";
import { pullRoutes } from "./pull.ts";
import { queryOf } from "./query.ts";
import { rejectionRoutes } from "./rejections.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { scheduleRoutes } from "./schedules.ts";
import { serverRoutes } from "./server.ts";
import { sourceRoutes } from "./sources.ts";
import { subscriptionRoutes } from "./subscriptions.ts";
import { tailRoutes } from "./tail.ts";
import { timerRoutes } from "./timers.ts";

const PREFIX = "/_/api";

/** What a request brought with it that Elysia does not carry. */
interface Call {
  readonly principal: Principal;
  readonly context: RequestContext;
}

/** Returns every route of the native API, the document's own included. */
export function createApiRoutes(deps: ApiDeps): readonly ApiRoute[] {
  const routes: ApiRoute[] = [
    ...eventRoutes(deps),
    ...publishRoutes(deps),
    ...deliveryRoutes(deps),
    ...bulkRoutes(deps),
    ...timerRoutes(deps),
    ...rejectionRoutes(deps),
    ...endpointRoutes(deps),
    ...endpointWriteRoutes(deps),
    ...endpointSecretRoutes(deps),
    ...metricsRoutes(deps),
    ...subscriptionRoutes(deps),
    ...sourceRoutes(deps),
    ...pullRoutes(deps),
    ...scheduleRoutes(deps),
    ...functionRoutes(deps),
    ...executionRoutes(deps),
    ...clockRoutes(deps),
    ...projectRoutes(deps),
    ...keyRoutes(deps),
    ...tailRoutes(deps),
    ...serverRoutes(deps),
    ...masterKeyRoutes(deps),
  ];
  let document: unknown = null;
  routes.push(
    defineRoute({
      method: "GET",
      path: "/openapi.json",
      operationId: "getOpenApi",
      summary: "Show this document",
      tag: "server",
      scope: "read",
      query: queryOf({}),
      answer: Type.Unknown(),
      errors: [],
      handle: () => {
        document ??= createOpenApi(routes, { version: deps.build.version, apiUrl: deps.apiUrl });
        return document;
      },
    }),
  );
  return routes;
}

export function createApiDoor(deps: ApiDeps): Door {
  const calls = new WeakMap<Request, Call>();
  const routes = createApiRoutes(deps);
  const app = createApp(routes, { deps, calls });
  return {
    name: "native API",
    routes: routes.map(({ method, path, scope }) => ({ method, path: PREFIX + path, scope })),
    claims: { main: [PREFIX, `${PREFIX}/*`] },
    handle(request, context) {
      calls.set(request, { principal: authenticate(request.headers, deps.directory), context });
      return app.handle(request);
    },
  };
}

interface AppParts {
  readonly deps: ApiDeps;
  readonly calls: WeakMap<Request, Call>;
}

function createApp(routes: readonly ApiRoute[], { deps, calls }: AppParts): AnyElysia {
  const app = new Elysia({ prefix: PREFIX });
  app.onError(({ code, error, request }) => {
    const { context } = callOf(request, calls);
    return answerError(toAppError({ code, error, path: context.path }, routes), context, deps.log);
  });
  for (const route of routes) {
    const run = async (request: Request, id: unknown) => {
      const { principal, context } = callOf(request, calls);
      authorize(principal, route.scope);
      if (route.isOperators === true) assertOperator(principal);
      const bytesMax = route.isLarge === true ? deps.bodyBytesMax : BODY_BYTES_MAX;
      const json = route.method === "GET" ? NO_PAYLOAD : await readPayload(request, deps.bodies, bytesMax);
      // Elysia gives null for a percent escape that is none; no object has an empty id.
      const idText = typeof id === "string" ? id : "";
      const holdOpen = () => context.holdOpen();
      const call = { principal, id: idText, search: context.search, json, holdOpen };
      const answer = await route.run(call);
      // A stream brings its own response.
      return answer instanceof Response ? answer : Response.json(answer);
    };
    // Elysia reads the text of this function to learn what it uses, so it stays literal. A path without a
    // parameter has no params at all, whatever the type says.
    const handler = ({ request, params }: { request: Request; params?: Record<string, unknown> }) =>
      run(request, params?.id);
    app.route(route.method, route.path, handler, { parse: "none" });
  }
  return app;
}

function callOf(request: Request, calls: AppParts["calls"]): Call {
  const call = calls.get(request);
  if (!call) throw new Error("a request reached the native API without passing its door");
  return call;
}

interface Thrown {
  readonly code: string | number;
  readonly error: unknown;
  readonly path: string;
}

/** Elysia's own errors must not speak for themselves: their bodies differ between environments. */
function toAppError({ code, error, path }: Thrown, routes: readonly ApiRoute[]): unknown {
  if (error instanceof AppError) return error;
  switch (code) {
    case "NOT_FOUND": {
      const methods = methodsOf(path, routes);
      if (methods.length > 0) return methodNotAllowed(methods);
      return new AppError("not_found", "the native API has nothing at this path");
    }
    case "VALIDATION":
    case "PARSE":
      return new AppError("invalid_request", "the request could not be read", { cause: error });
    default:
      return error;
  }
}

/** Returns the methods that a path does take: [] when it is none of ours. */
function methodsOf(path: string, routes: readonly ApiRoute[]): string[] {
  const methods = new Set<string>();
  for (const route of routes) {
    const pattern = `^${PREFIX}${route.path.replaceAll(".", "\\.").replace(":id", "[^/]+")}/?$`;
    if (!new RegExp(pattern).test(path)) continue;
    methods.add(route.method);
    if (route.method === "GET") methods.add("HEAD");
  }
  return [...methods];
}
