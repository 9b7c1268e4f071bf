/**
 * Routes of this dialect as values, and the door that serves them: finds the route, checks the key, reads
 * the body, and puts every refusal into Pingback's envelope. Nothing redirects (requirement 4), and a
 * trailing slash is forgiven.
 */
import type { KeyScope } from "../../domain/access.ts";
import { AppError } from "../../domain/errors.ts";
import { authenticate, authorize, type Principal } from "../../http/auth.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { Door, RequestContext } from "../../http/door.ts";
import { answerRefusal, Refusal } from "./failure.ts";
import { parseJson } from "./json.ts";
import type { KeyUses } from "./key-uses.ts";

export interface Call {
  readonly principal: Principal;
  readonly project: string;
  /** What stands in the path for each name, in order. */
  readonly params: readonly string[];
  readonly query: URLSearchParams;
  /** The JSON value of the body; undefined when there is none. */
  readonly body: unknown;
  readonly headers: Headers;
}

export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below /api/v1/; a part that begins with a colon stands for any one part. */
  readonly path: string;
  readonly scope: KeyScope;
  readonly handle: (call: Call) => unknown;
}

const PREFIX = "/api/v1/";
const BODY_BYTES_MAX = 1_048_576;
const utf8 = new TextDecoder("utf-8", { fatal: true });

interface Compiled extends Route {
  readonly pattern: RegExp;
}

interface DoorParts {
  readonly context: DialectContext;
  readonly uses: KeyUses;
}

export function createPingbackDoor(routes: readonly Route[], parts: DoorParts): Door {
  const { context } = parts;
  const compiled: Compiled[] = routes.map((route) => ({
    ...route,
    pattern: new RegExp(`^${PREFIX}${route.path.replace(/:[a-z]+/gi, "([^/]+)")}/?$`),
  }));
  return {
    name: "Pingback",
    routes: routes.map(({ method, path, scope }) => ({ method, path: PREFIX + path, scope })),
    claims: { main: [`${PREFIX}**`] },
    async handle(request, requestContext) {
      try {
        return await serve(compiled, { request, requestContext, ...parts });
      } catch (error) {
        return answerRefusal(error, { log: context.log, path: requestContext.path });
      }
    },
  };
}

interface Served {
  readonly request: Request;
  readonly requestContext: RequestContext;
  readonly context: DialectContext;
  readonly uses: KeyUses;
}

async function serve(routes: readonly Compiled[], served: Served): Promise<Response> {
  const { request, requestContext, context, uses } = served;
  const { path, search } = requestContext;
  const principal = identify(request.headers, context);
  uses.note(principal.keyId, context.clock.now());
  const method = request.method === "HEAD" ? "GET" : request.method;
  const route = routes.find((one) => one.method === method && one.pattern.test(path));
  if (!route) throw new Refusal(404, `Cannot ${request.method} ${path}`);
  authorize(principal, route.scope);
  const params = (route.pattern.exec(path) ?? []).slice(1).map(decodePart);
  const body = method === "GET" ? undefined : await readBody(served);
  const { project } = principal;
  const query = new URLSearchParams(search);
  const answer = await route.handle({ principal, project, params, query, body, headers: request.headers });
  const status = method === "POST" ? 201 : 200;
  return answer === undefined ? new Response(null, { status }) : Response.json(answer, { status });
}

/** The words of 2.1: no header, one that cannot be a key of ours, one that is none. */
function identify(headers: Headers, { directory }: DialectContext): Principal {
  try {
    return authenticate(headers, directory);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const sent = /^Bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
    if (sent === undefined) throw new Refusal(401);
    throw new Refusal(401, sent.startsWith("pb_live_") ? "Invalid API key" : "Invalid API key format");
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function readBody({ request, context }: Served): Promise<unknown> {
  const bytes = await context.bodies.read(request, BODY_BYTES_MAX);
  if (bytes === "too_large") throw new Refusal(413, "request entity too large");
  if (bytes === "too_slow") throw new Refusal(408, "the body did not arrive in time");
  if (bytes === "broken") throw new Refusal(400, "the body broke off");
  if (bytes.byteLength === 0) return undefined;
  try {
    return parseJson(utf8.decode(bytes));
  } catch {
    throw new Refusal(400, "the body is no JSON");
  }
}
