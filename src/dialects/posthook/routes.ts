/**
 * Posthook's doors: /v1/hooks and what is below it. Every answer is a JSON object, also that of a delete, and
 * every error has a text under `error` (reference section 1): the SDKs parse whatever comes.
 */
import type { KeyScope } from "../../domain/access.ts";
import { AppError } from "../../domain/errors.ts";
import { JsonText } from "../../domain/json-span.ts";
import { authenticate, authorize, type Principal } from "../../http/auth.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { Door, DoorRoute, RequestContext } from "../../http/door.ts";
import { Bulk, OPERATIONS } from "./bulk.ts";
import { DATA_BYTES_MAX } from "./draft.ts";
import { Hooks, QuotaError, quotaHeaders } from "./hooks.ts";
import { type Listening, SOCKET_PATH } from "./listening.ts";
import { listHooks } from "./listing.ts";
import type { PosthookProject, Projects } from "./projects.ts";
import { refusalOf } from "./wire.ts";

export interface PosthookDoorOptions {
  readonly context: DialectContext;
  readonly projects: Projects;
  readonly listening: Listening;
}

/** Room for the members around `data`, and for a thousand ids. */
const BODY_BYTES_MAX = DATA_BYTES_MAX + 32_768;
const HOOKS = "/v1/hooks";

export function createPosthookDoor({ context, projects, listening }: PosthookDoorOptions): Door {
  const routes = new Routes({ context, projects, listening });
  return {
    name: "Posthook",
    routes: ROUTES,
    claims: { main: [HOOKS, `${HOOKS}/*`, SOCKET_PATH, `${SOCKET_PATH}/*`] },
    async handle(request, requestContext) {
      try {
        return await routes.answer(request, requestContext);
      } catch (error) {
        return answerError(error, context, requestContext);
      }
    },
    upgrade(request, requestContext) {
      if (requestContext.path !== SOCKET_PATH) return this.handle(request, requestContext);
      try {
        return listening.connect(requestContext);
      } catch (error) {
        return answerError(error, context, requestContext);
      }
    },
  };
}

const ROUTES: readonly DoorRoute[] = [
  { method: "POST", path: HOOKS, scope: "ingest" },
  { method: "GET", path: HOOKS, scope: "read" },
  { method: "GET", path: `${HOOKS}/:id`, scope: "read" },
  { method: "DELETE", path: `${HOOKS}/:id`, scope: "admin" },
  ...OPERATIONS.map((name) => ({ method: "POST", path: `${HOOKS}/bulk/${name}`, scope: "admin" }) as const),
  { method: "POST", path: `${SOCKET_PATH}/ticket`, scope: "admin" },
];

class Routes {
  readonly #context: DialectContext;
  readonly #projects: Projects;
  readonly #hooks: Hooks;
  readonly #bulk: Bulk;

  readonly #listening: Listening;

  constructor({ context, projects, listening }: PosthookDoorOptions) {
    this.#context = context;
    this.#listening = listening;
    this.#projects = projects;
    this.#hooks = new Hooks(context);
    this.#bulk = new Bulk(context);
  }

  async answer(request: Request, { path, search }: RequestContext): Promise<Response> {
    const { method } = request;
    const principal = authenticateHere(request.headers, this.#context);
    if (path === HOOKS && method === "POST") return this.#schedule(request, principal);
    if (path === HOOKS && method === "GET") {
      const project = this.#open(principal, "read");
      return answer(200, await listHooks(this.#context.datedReads, project, search));
    }
    if (path === `${SOCKET_PATH}/ticket` && method === "POST") {
      return answer(200, this.#listening.ticket(this.#open(principal, "admin"), hashOf(request)));
    }
    if (!path.startsWith(`${HOOKS}/`)) throw new AppError("not_found", "not found");
    const [name = "", operation, ...rest] = path.slice(HOOKS.length + 1).split("/");
    if (name === "bulk" && method === "POST" && rest.length === 0) {
      return this.#runBulk(operation ?? "", request, principal);
    }
    if (name === "" || operation !== undefined) throw new AppError("not_found", "not found");
    const shownId = decode(name);
    if (method === "GET") {
      const text = await this.#hooks.get(this.#open(principal, "read"), shownId);
      return answer(200, `{"data":${text}}`);
    }
    if (method === "DELETE") {
      await this.#hooks.delete(this.#open(principal, "admin"), shownId);
      return answer(200, '{"data":{}}');
    }
    throw new AppError("not_found", "not found");
  }

  async #schedule(request: Request, principal: Principal): Promise<Response> {
    const project = this.#open(principal, "ingest");
    const { text, headers } = await this.#hooks.schedule(project, await this.#read(request));
    return answer(201, `{"data":${text}}`, headers);
  }

  async #runBulk(name: string, request: Request, principal: Principal): Promise<Response> {
    const operation = OPERATIONS.find((known) => known === name);
    if (operation === undefined) throw new AppError("not_found", "not found");
    const project = this.#open(principal, "admin");
    const affected = await this.#bulk.run(operation, project, await this.#read(request));
    return answer(200, JSON.stringify({ data: { affected } }));
  }

  /** The key's project, if the key may do this and the configuration opens the project. */
  #open(principal: Principal, needed: KeyScope): PosthookProject {
    authorize(principal, needed);
    return this.#projects.get(principal.project);
  }

  /** Whatever the content type says (section 1, rule 8). */
  async #read(request: Request): Promise<JsonText> {
    const body = await this.#context.bodies.read(request, BODY_BYTES_MAX);
    if (body === "too_large") throw new AppError("body_too_large", "the body is larger than 64 KB of data");
    if (body === "too_slow") throw new AppError("request_timeout", "the body did not arrive in time");
    if (body === "broken") throw new AppError("invalid_request", "the body broke off");
    return JsonText.read(body);
  }
}

/** Section 2.3: the key comes in X-API-Key and nowhere else. */
function authenticateHere(headers: Headers, { directory }: Pick<DialectContext, "directory">): Principal {
  const key = headers.get("x-api-key");
  return authenticate(new Headers(key === null ? {} : { "x-api-key": key }), directory);
}

function hashOf({ headers }: Request): string {
  return new Bun.CryptoHasher("sha256").update(headers.get("x-api-key") ?? "").digest("hex");
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function answer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, { status, headers: { "content-type": "application/json", ...headers } });
}

function answerError(
  error: unknown,
  { log }: Pick<DialectContext, "log">,
  { requestId, path }: Pick<RequestContext, "requestId" | "path">,
): Response {
  const refusal = refusalOf(error);
  if (refusal === null) {
    log.error("http.failed", {
      requestId,
      path,
      error: error instanceof Error ? error.stack : String(error),
    });
    return answer(500, '{"error":"something went wrong on our side"}');
  }
  const { status, message, retryAfterMs } = refusal;
  const headers = error instanceof QuotaError ? quotaHeaders(error.use) : retryHeader(status, retryAfterMs);
  return answer(status, JSON.stringify({ error: message }), headers);
}

function retryHeader(status: number, retryAfterMs = 1_000): Readonly<Record<string, string>> {
  if (status !== 429 && status !== 503) return {};
  return { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) };
}
