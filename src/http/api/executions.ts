/** Executions of functions, the trees that fan-out makes of them, and what they logged. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { type ExecutionFilter, executionStatus, type LogFilter } from "../../domain/execution.ts";
import type { Id } from "../../domain/id.ts";
import type { PageInput } from "../../domain/reads.ts";
import type { ApiDeps } from "./deps.ts";
import {
  EXECUTION,
  EXECUTION_DETAIL,
  EXECUTION_STATUS,
  EXECUTION_TREE,
  LOG_LEVEL,
  LOG_LINE,
  readExecutionId,
  showExecution,
  showExecutionDetail,
  showLogLine,
} from "./execution-schemas.ts";
import { findFunction } from "./functions.ts";
import { badParameter, PAGE_QUERY, queryOf, readListQuery, TIME_QUERY } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { pageOf, showPage } from "./schemas.ts";
import { searchPage } from "./search.ts";

const FUNCTION_QUERY = { function: Type.Optional(Type.String({ description: "Name or id." })) };

const EXECUTION_QUERY = queryOf({
  ...FUNCTION_QUERY,
  status: Type.Optional(EXECUTION_STATUS),
  parent: Type.Optional(Type.String({ description: "Only what this execution asked for: its id." })),
  q: Type.Optional(
    Type.String({
      minLength: 2,
      maxLength: 200,
      description: "Part of the function's name, the payload, an error, an answer, or a log line.",
    }),
  ),
  ...TIME_QUERY,
  ...PAGE_QUERY,
});

const LOG_QUERY = queryOf({
  ...FUNCTION_QUERY,
  execution: Type.Optional(Type.String({ description: "Id." })),
  level: Type.Optional(LOG_LEVEL),
  q: Type.Optional(Type.String({ minLength: 2, maxLength: 200, description: "Part of the message." })),
  after: Type.Optional(Type.String({ description: "A cursor: the lines that came after it, oldest first." })),
  ...TIME_QUERY,
  ...PAGE_QUERY,
});

export function executionRoutes(deps: ApiDeps): ApiRoute[] {
  const { directory, functionReads } = deps;
  const shared = { method: "GET", tag: "functions", scope: "read" } as const;
  return [
    defineRoute({
      ...shared,
      path: "/executions",
      operationId: "listExecutions",
      summary: "List executions of functions, newest first",
      description: "With filters beyond the function, a page may be short and have a next one.",
      query: EXECUTION_QUERY,
      answer: pageOf(EXECUTION),
      errors: [],
      handle: async ({ principal: { project }, query }) => {
        const filter = await readExecutionFilter(deps, project, query);
        const { cursor: _cursor, limit: _limit, ...range } = readListQuery(query);
        const look = (page: PageInput) =>
          functionReads.listExecutions({ ...filter, ...range, ...page, isOneStretch: true });
        const page = searchPage(deps.clock, readListQuery(query), look);
        return showPage(page, (one) => showExecution(one, directory));
      },
    }),
    defineRoute({
      ...shared,
      path: "/executions/:id",
      operationId: "getExecution",
      summary: "Show an execution with its payload, attempts and logs",
      query: queryOf({}),
      answer: EXECUTION_DETAIL,
      errors: ["not_found"],
      handle: ({ principal: { project }, id }) => detail(deps, project, requireId(id)),
    }),
    defineRoute({
      ...shared,
      path: "/executions/:id/tree",
      operationId: "getExecutionTree",
      summary: "Show everything that came of the root of an execution",
      query: queryOf({}),
      answer: EXECUTION_TREE,
      errors: ["not_found"],
      handle: async ({ principal: { project }, id }) => {
        const nodes = await functionReads.executionTree({ project, id: requireId(id) });
        const shown = nodes.map((one) => showExecution(one, directory));
        const [root] = shown;
        if (!root) throw noExecution();
        return { rootId: root.id, nodes: shown };
      },
    }),
    retryRoute(deps),
    logRoute(deps),
  ];
}

function retryRoute(deps: ApiDeps): ApiRoute {
  const { commands, functionReads } = deps;
  return defineRoute({
    method: "POST",
    path: "/executions/:id/retry",
    operationId: "retryExecution",
    summary: "Run an execution again, or now",
    description:
      "A failed one runs again under its id, with a fresh budget of retries; one that waits becomes due now.",
    tag: "functions",
    scope: "admin",
    query: queryOf({}),
    answer: EXECUTION_DETAIL,
    errors: ["not_found", "invalid_state", "conflict", "gone", "storage_unavailable"],
    handle: async ({ principal: { project }, id: text }) => {
      const id = requireId(text);
      const found = await functionReads.getExecution({ project, id });
      if (found === null) throw noExecution();
      const isFailed = executionStatus(found.state) === "failed";
      await (isFailed ? commands.replay(project, id) : commands.retryNow(project, id));
      return detail(deps, project, id);
    },
  });
}

function logRoute(deps: ApiDeps): ApiRoute {
  const { directory, functionReads } = deps;
  return defineRoute({
    method: "GET",
    path: "/logs",
    operationId: "listLogs",
    summary: "List what functions logged, newest first",
    description: [
      "since and until go by the application's clock. A page may be short and have a next one.",
      "With after: oldest first, and nextCursor is the next after.",
    ].join(" "),
    tag: "functions",
    scope: "read",
    query: LOG_QUERY,
    answer: pageOf(LOG_LINE),
    errors: [],
    handle: async ({ principal: { project }, query }) => {
      const { after, cursor } = query;
      if (after !== undefined && cursor !== undefined) throw badParameter("after", "cannot go with cursor");
      const filter: LogFilter = {
        project,
        ...(await readLane(deps, project, query.function)),
        ...(query.execution === undefined ? {} : { executionId: readIdOf("execution", query.execution) }),
        ...(query.level === undefined ? {} : { level: query.level }),
        ...(query.q === undefined ? {} : { text: query.q }),
      };
      const { cursor: _cursor, limit: _limit, ...range } = readListQuery(query);
      const look = (page: PageInput) =>
        functionReads.listLogs({ ...filter, ...range, ...page, isOneStretch: true });
      const page =
        after === undefined
          ? searchPage(deps.clock, readListQuery(query), look)
          : functionReads.listLogs({ ...filter, ...readListQuery(query), after });
      return showPage(page, (line) => showLogLine(line, directory));
    },
  });
}

async function detail({ functionReads, directory }: ApiDeps, project: string, id: Id) {
  const found = await functionReads.getExecution({ project, id });
  if (found === null) throw noExecution();
  return showExecutionDetail(found, directory);
}

async function readExecutionFilter(
  deps: ApiDeps,
  project: string,
  { status, parent, q, function: name }: Static<typeof EXECUTION_QUERY>,
): Promise<ExecutionFilter> {
  return {
    project,
    ...(await readLane(deps, project, name)),
    ...(status === undefined ? {} : { status }),
    ...(parent === undefined ? {} : { parentId: readIdOf("parent", parent) }),
    ...(q === undefined ? {} : { text: { part: q, lanes: await lanesNamed(deps, project, q) } }),
  };
}

async function readLane({ functions }: ApiDeps, project: string, name: string | undefined) {
  if (name === undefined) return {};
  try {
    return { lane: (await findFunction(functions, project, name)).endpoint.lane };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "not_found") throw error;
    throw badParameter("function", "names no function of this project");
  }
}

async function lanesNamed({ functions }: ApiDeps, project: string, part: string): Promise<number[]> {
  const wanted = part.toLowerCase();
  const found = (await functions.list(project)).filter(({ name }) => name.toLowerCase().includes(wanted));
  return found.map(({ endpoint }) => endpoint.lane);
}

function readIdOf(parameter: string, text: string): Id {
  const id = readExecutionId(text);
  if (id === null) throw badParameter(parameter, "must be an execution's id");
  return id;
}

function requireId(text: string): Id {
  const id = readExecutionId(text);
  if (id === null) throw noExecution();
  return id;
}

function noExecution(): AppError {
  return new AppError("not_found", "there is no such execution in this project");
}
