/** Functions: what an application registered, and what an operator can do to one: pause, resume, run now. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { parseJson, writeJson } from "../../domain/exact-json.ts";
import type { AppFunction } from "../../domain/function.ts";
import { readId, showId } from "../../domain/id.ts";
import type { JsonText } from "../../domain/json-span.ts";
import type { Functions } from "../../runtime/functions.ts";
import type { ApiDeps } from "./deps.ts";
import { EXECUTION_DETAIL, showExecutionDetail } from "./execution-schemas.ts";
import { pageOfLiving } from "./page.ts";
import { PAGE_QUERY, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, pageOf, showInstant, showOptionalInstant } from "./schemas.ts";

const KIND = oneOf(["cron", "task"]);
const STATUS = oneOf(
  ["active", "paused", "inactive"],
  "paused: its schedule rests, it can still be started; inactive: its application no longer has it",
);

const FUNCTION = named("Function", {
  id: Type.String({ examples: ["ep_01970000000070008000000000000000"] }),
  name: Type.String(),
  kind: KIND,
  schedule: nullable(Type.String({ description: "The cron expression as written; null for a task." })),
  status: STATUS,
  origin: oneOf(["sdk", "manual"], "who made it: a registration, or a person"),
  retries: Type.Integer({ description: "After the first attempt." }),
  timeoutMs: Type.Integer(),
  concurrency: Type.Integer(),
  url: Type.String({ description: "Where its application is; empty when nobody has said." }),
  nextRunAt: nullable(INSTANT),
  lastRunAt: nullable(INSTANT),
  createdAt: INSTANT,
  updatedAt: INSTANT,
});

function showFunction(one: AppFunction): Static<typeof FUNCTION> {
  const { name, kind, schedule, status, origin, retries, timeoutMs, concurrency } = one;
  const isRunning = status === "active";
  return {
    id: showId("endpoint", one.id),
    ...{ name, kind, schedule, status, origin, retries, timeoutMs, concurrency },
    url: one.endpoint.url,
    nextRunAt: showOptionalInstant(isRunning ? one.nextRunAt : null),
    lastRunAt: showOptionalInstant(one.lastRunAt),
    createdAt: showInstant(one.createdAt),
    updatedAt: showInstant(one.updatedAt),
  };
}

/** `text` is a name or an id; of several functions of one name it is the newest. AppError: not_found. */
export function findFunction(functions: Functions, project: string, text: string): Promise<AppFunction> {
  const id = readId("endpoint", text);
  return id === null ? functions.findNamed(project, text) : functions.find(project, id);
}

export function functionRoutes(deps: ApiDeps): ApiRoute[] {
  const { functions } = deps;
  const shared = { tag: "functions", scope: "read" } as const;
  return [
    defineRoute({
      ...shared,
      method: "GET",
      path: "/functions",
      operationId: "listFunctions",
      summary: "List the functions of applications, oldest first",
      query: queryOf({ status: Type.Optional(STATUS), kind: Type.Optional(KIND), ...PAGE_QUERY }),
      answer: pageOf(FUNCTION),
      errors: [],
      handle: async ({ principal: { project }, query }) => {
        const { status, kind } = query;
        const found = (await functions.list(project)).filter(
          (one) =>
            (status === undefined || one.status === status) && (kind === undefined || one.kind === kind),
        );
        found.sort((a, b) => a.endpoint.lane - b.endpoint.lane);
        const { data, nextCursor } = pageOfLiving(found, ({ endpoint }) => endpoint.lane, query);
        return { data: data.map(showFunction), nextCursor };
      },
    }),
    defineRoute({
      ...shared,
      method: "GET",
      path: "/functions/:id",
      operationId: "getFunction",
      summary: "Show a function, by name or id",
      query: queryOf({}),
      answer: FUNCTION,
      errors: ["not_found"],
      handle: async ({ principal: { project }, id }) =>
        showFunction(await findFunction(functions, project, id)),
    }),
    pauseRoute(deps, "pause"),
    pauseRoute(deps, "resume"),
    runRoute(deps),
  ];
}

const PAUSE_WORDS = {
  pause: {
    summary: "Let a function's schedule rest",
    description: "Over registrations and restarts, until it is resumed. It can still be started by name.",
  },
  resume: {
    summary: "Let a paused function run on its schedule again",
    description: "From now on: nothing is made up for.",
  },
} as const;

function pauseRoute({ functions }: ApiDeps, verb: "pause" | "resume"): ApiRoute {
  return defineRoute({
    method: "POST",
    path: `/functions/:id/${verb}`,
    operationId: `${verb}Function`,
    ...PAUSE_WORDS[verb],
    tag: "functions",
    scope: "admin",
    query: queryOf({}),
    answer: FUNCTION,
    errors: ["not_found", "gone", "storage_unavailable"],
    handle: async ({ principal: { project }, id }) => {
      const found = await findInService(functions, project, id);
      return showFunction(await functions.change(found, { isPaused: verb === "pause" }));
    },
  });
}

const RUN = Type.Object(
  { payload: Type.Optional(Type.Unknown({ description: "Any JSON value; null counts as one." })) },
  { additionalProperties: false },
);

function runRoute(deps: ApiDeps): ApiRoute {
  const { functions, functionReads, clock } = deps;
  return defineRoute({
    method: "POST",
    path: "/functions/:id/run",
    operationId: "runFunction",
    summary: "Run a function once, now",
    description: "A paused one, too. Whatever is under way counts against its concurrency as usual.",
    tag: "functions",
    scope: "admin",
    isLarge: true,
    query: queryOf({}),
    body: RUN,
    answer: EXECUTION_DETAIL,
    errors: ["not_found", "gone", "overloaded", "body_too_large", "storage_unavailable"],
    handle: async ({ principal: { project }, id: text, json }) => {
      const { endpoint } = await findInService(functions, project, text);
      const id = await functions.run(endpoint, { payload: payloadOf(json), dueAt: clock.now() });
      const stored = await functionReads.getExecution({ project, id });
      if (stored === null) throw new AppError("not_found", "the execution is gone already");
      return showExecutionDetail(stored, deps.directory);
    },
  });
}

/** In the one form that survives being parsed and written again by the application; null for none. */
function payloadOf(json: JsonText): string | null {
  const written = json.members().get("payload");
  return written === undefined ? null : writeJson(parseJson(Buffer.from(json.slice(written)).toString()));
}

async function findInService(functions: Functions, project: string, text: string): Promise<AppFunction> {
  const found = await findFunction(functions, project, text);
  if (found.status !== "inactive") return found;
  throw new AppError("gone", `the application no longer has the function "${found.name}"`);
}
