/**
 * The paths of PyFly's callbacks (its reference, section 8), with a project key as Bearer and native errors.
 * PyFly itself has none: its users call Python objects.
 */
import type { KeyScope } from "../../domain/access.ts";
import { CALLBACK_STATUSES, type CallbackExecution, type CallbackStatus } from "../../domain/callback.ts";
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import { authenticate, authorize, type Principal } from "../../http/auth.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { Door, RequestContext } from "../../http/door.ts";
import { showConfig, showExecution } from "./callback-wire.ts";
import { canonicalJson, type Json, NotCanonicalError, parseJson } from "./canonical.ts";
import { readConfigDraft } from "./config-draft.ts";
import type { Configs } from "./configs.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Waiting } from "./waiting.ts";

export interface CallbackServices {
  readonly context: DialectContext;
  readonly configs: Configs;
  readonly dispatch: Dispatch;
  readonly waiting: Waiting;
  /** Ends what a refusal concerns; not awaited. */
  readonly endPending: (project: string, configId: Id) => void;
}

interface Call {
  readonly request: Request;
  readonly principal: Principal;
  readonly http: RequestContext;
  readonly id: string;
}

type Answer = Promise<Response>;

const PREFIX = "/api/v1/callbacks";
const LIMIT = 100;
/** Of the payloads in one answer; a page of a list has the same bound. */
const ANSWER_CHARS_MAX = 4 * 1_048_576;
const LIMIT_MAX = 1_000;
const utf8 = new TextDecoder("utf-8", { fatal: true });

export function createCallbackDoor(services: CallbackServices): Door {
  const { directory } = services.context;
  return {
    name: "PyFly callbacks",
    routes: Object.entries(ROUTES).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { scope }]) => ({ method, path: `${PREFIX}/${path}`, scope })),
    ),
    claims: { main: [PREFIX, `${PREFIX}/*`] },
    async handle(request, http) {
      const principal = authenticate(request.headers, directory);
      const [, resource = "", id = "", verb] = http.path.slice(PREFIX.length).split("/");
      const call = { request, principal, http, id };
      const path = `${resource}${id === "" ? "" : "/:id"}${verb === undefined ? "" : `/${verb}`}`;
      const methods = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined;
      if (!methods) throw new AppError("not_found", "there is nothing at this path");
      const route = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
      if (route) {
        authorize(principal, route.scope);
        return route.run(services, call);
      }
      const allowed = Object.keys(methods).join(", ");
      throw new AppError("method_not_allowed", `this path takes ${allowed}`, { details: { allowed } });
    },
  };
}

interface Route {
  readonly scope: KeyScope;
  readonly run: (services: CallbackServices, call: Call) => Answer;
}

const read = (run: Route["run"]): Route => ({ scope: "read", run });
const admin = (run: Route["run"]): Route => ({ scope: "admin", run });

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  configs: { GET: read(listConfigs), POST: admin(createConfig) },
  "configs/:id": { GET: read(getConfig), PUT: admin(putConfig), DELETE: admin(deleteConfig) },
  dispatch: { POST: { scope: "ingest", run: dispatchEvent } },
  executions: { GET: read(listExecutions) },
  "executions/:id": { GET: read(getExecution) },
  "executions/:id/redeliver": { POST: admin(redeliver) },
};

async function listConfigs({ configs }: CallbackServices, { principal, http }: Call): Answer {
  const tenant = new URLSearchParams(http.search).get("tenant_id");
  return Response.json(
    configs.list(principal.project, tenant).map((config) => showConfig(config, principal)),
  );
}

async function createConfig({ context, configs }: CallbackServices, { request, principal }: Call): Answer {
  const draft = readConfigDraft(toPlain(await readJson(context, request)));
  return Response.json(showConfig(await configs.create(principal.project, draft), principal), {
    status: 201,
  });
}

async function getConfig({ configs }: CallbackServices, { principal, id }: Call): Answer {
  return Response.json(showConfig(configOf(configs, principal, id), principal));
}

async function putConfig(services: CallbackServices, { request, principal, id }: Call): Answer {
  const { context, configs, endPending } = services;
  const config = ownConfig(configs, principal, id);
  const { id: given, ...draft } = readConfigDraft(toPlain(await readJson(context, request)));
  if (given !== null && given !== config.id) {
    throw new AppError("invalid_request", "the id of the body is not the one of the path");
  }
  const updated = await configs.update(config, draft);
  endPending(principal.project, config.id);
  return Response.json(showConfig(updated, principal));
}

async function deleteConfig({ configs, endPending }: CallbackServices, { principal, id }: Call): Answer {
  const config = ownConfig(configs, principal, id);
  await configs.remove(config);
  endPending(principal.project, config.id);
  return new Response(null, { status: 204 });
}

async function dispatchEvent(services: CallbackServices, { request, principal, http }: Call): Answer {
  const { context, dispatch, waiting } = services;
  const { project } = principal;
  const { isAwaited, ...event } = readDispatch(await readJson(context, request));
  if (!isAwaited) {
    const ids = await dispatch.dispatch({ project, ...event });
    return listAnswer(await load(context, project, ids), 202);
  }
  // The answer may take as long as all retries do.
  http.holdOpen();
  const ids = await waiting.untilFinal(project, () => dispatch.dispatch({ project, ...event }));
  return listAnswer(await load(context, project, ids), 200);
}

async function listExecutions({ context }: CallbackServices, { principal, http }: Call): Answer {
  const query = new URLSearchParams(http.search);
  const configId = query.get("config_id");
  const eventType = query.get("event_type");
  const executions = await context.callbacks.listCallbackExecutions({
    project: principal.project,
    ...(configId === null ? {} : { configId: readUuid(configId) }),
    ...(eventType === null ? {} : { eventType }),
    ...readStatus(query.get("status")),
    limit: readLimit(query.get("limit")),
    after: readCursor(query.get("after")),
  });
  const answer = listAnswer(executions, 200);
  const last = executions.at(-1);
  // A page may end early, so its end is told apart from the end of the list by asking on.
  if (last) answer.headers.set("X-Next-After", String(last.seq));
  return answer;
}

async function getExecution({ context }: CallbackServices, { principal, id }: Call): Answer {
  const execution = await executionOf(context, principal, id);
  const lookup = { project: principal.project, id: execution.id };
  const delivery = execution.delivery === null ? null : await context.reads.getDelivery(lookup);
  return jsonAnswer(showExecution(execution, delivery?.attempts ?? []), 200);
}

async function redeliver({ context, dispatch }: CallbackServices, { principal, id }: Call): Answer {
  const again = await dispatch.redeliver(await executionOf(context, principal, id));
  const [execution] = await load(context, principal.project, [again]);
  return jsonAnswer(showExecution(execution as CallbackExecution), 202);
}

async function readJson({ bodies, bodyBytesMax }: DialectContext, request: Request): Promise<Json> {
  const body = await bodies.read(request, bodyBytesMax);
  if (body === "too_large") {
    throw new AppError("body_too_large", `this path takes a body of at most ${bodyBytesMax} bytes`);
  }
  if (body === "too_slow") throw new AppError("request_timeout", "the body did not arrive in time");
  if (body === "broken") throw new AppError("invalid_request", "the body broke off");
  try {
    return parseJson(utf8.decode(body));
  } catch (cause) {
    throw new AppError("invalid_request", "the body is no JSON", { cause });
  }
}

/** The same value with its numbers as numbers, for members that are no payload. */
function toPlain(value: Json): unknown {
  return JSON.parse(canonical(value));
}

function canonical(value: Json): string {
  try {
    return canonicalJson(value);
  } catch (error) {
    if (!(error instanceof NotCanonicalError)) throw error;
    throw new AppError("invalid_request", `the body cannot be sent: ${error.message}`);
  }
}

function readDispatch(value: Json) {
  if (!isObject(value)) throw new AppError("invalid_request", "the body must be a JSON object");
  const { tenant_id = "", event_type, payload, wait = false, ...rest } = value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new AppError("invalid_request", `the member "${unknown}" is not known`);
  if (typeof tenant_id !== "string") throw new AppError("invalid_request", "tenant_id must be a string");
  if (typeof event_type !== "string" || event_type === "") {
    throw new AppError("invalid_request", "event_type must be a non-empty string");
  }
  if (typeof wait !== "boolean") throw new AppError("invalid_request", "wait must be true or false");
  if (!isObject(payload)) throw new AppError("invalid_request", "payload must be a JSON object");
  return { tenant: tenant_id, eventType: event_type, payload: canonical(payload), isAwaited: wait };
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.getPrototypeOf(value) === Object.prototype;
}

function configOf(configs: Configs, { project }: Principal, id: string) {
  const config = configs.find(project, readUuid(id));
  if (!config) throw new AppError("not_found", "there is no callback config of this id");
  return config;
}

/** Declared ones are changed in the file. */
function ownConfig(configs: Configs, principal: Principal, id: string) {
  const config = configOf(configs, principal, id);
  if (config.door !== "config") return config;
  throw new AppError("declared_in_config", "this config stands in the configuration file; change it there");
}

async function executionOf({ callbacks }: DialectContext, { project }: Principal, id: string) {
  const execution = await callbacks.getCallbackExecution({ project, id: readUuid(id) });
  if (!execution) throw new AppError("not_found", "there is no callback execution of this id");
  return execution;
}

/**
 * What came of one event. All of them have its payload: it is left out after the first where the answer would
 * be many times the request.
 */
async function load({ callbacks }: DialectContext, project: string, ids: readonly Id[]) {
  const [firstId, ...otherIds] = ids;
  if (firstId === undefined) return [];
  const first = await callbacks.getCallbackExecution({ project, id: firstId });
  const withoutPayload = (first?.payload?.length ?? 0) * ids.length > ANSWER_CHARS_MAX;
  const others = await Promise.all(
    otherIds.map((id) => callbacks.getCallbackExecution({ project, id, withoutPayload })),
  );
  return [first, ...others].filter((execution) => execution !== null);
}

/** What is no UUID names nothing. */
function readUuid(text: string): Id {
  const hex = text.replaceAll("-", "").toLowerCase();
  return /^[0-9a-f]{32}$/.test(hex) ? hex : "0".repeat(32);
}

function readStatus(text: string | null): { status?: CallbackStatus } {
  if (text === null) return {};
  const status = CALLBACK_STATUSES.find((one) => one === text.toUpperCase());
  if (status) return { status };
  throw new AppError("invalid_request", `status is one of ${CALLBACK_STATUSES.join(", ")}`);
}

function readLimit(text: string | null): number {
  const limit = text === null ? LIMIT : Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new AppError("invalid_request", `limit must be an integer from 1 to ${LIMIT_MAX}`);
}

function readCursor(text: string | null): number {
  const after = text === null ? 0 : Number(text);
  if (Number.isSafeInteger(after) && after >= 0) return after;
  throw new AppError("invalid_request", "after is what X-Next-After of the page before said");
}

function listAnswer(executions: readonly CallbackExecution[], status: number): Response {
  return jsonAnswer(`[${executions.map((execution) => showExecution(execution)).join(",")}]`, status);
}

function jsonAnswer(text: string, status: number): Response {
  return new Response(text, { status, headers: { "Content-Type": "application/json" } });
}
