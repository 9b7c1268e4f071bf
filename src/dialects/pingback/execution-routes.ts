/** Executions and logs: lists, details, histograms, the workflow graph, retries (pingback.md 5.5, 5.6, 6). */

import { HOUR } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import {
  EXECUTION_STATUSES,
  type Execution,
  type ExecutionFilter,
  type ExecutionStatus,
  executionStatus,
  type HistogramInput,
  type LogFilter,
} from "../../domain/execution.ts";
import type { Id } from "../../domain/id.ts";
import { LOG_LEVELS, type LogLevel } from "../../domain/log-line.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { Refusal } from "./failure.ts";
import type { Call, Route } from "./route.ts";
import { functionsByLane, hostOf, jobOf, readCount, readDates, readPageQuery } from "./scope.ts";
import { type FunctionOf, showExecution, showLog, showNode } from "./show.ts";
import { readUuid, showIsoTime, showJob, showUuid } from "./wire.ts";

const BUCKETS_MAX = 1_000;
const HOURS_MAX = 24 * 366;
const LOG_BUCKETS = 144;
const UNKNOWN_ID = "0".repeat(32);

type ProjectOf = (call: Call) => string;

export function executionRoutes(context: DialectContext): Route[] {
  const projectOf: ProjectOf = ({ principal, params }) => hostOf(context, principal, params[0] ?? "").project;
  return [...ownRoutes(context), ...namedRoutes(context, projectOf), ...logRoutes(context, projectOf)];
}

function ownRoutes(context: DialectContext): Route[] {
  return [
    {
      method: "GET",
      path: "jobs/:id/executions",
      scope: "read",
      async handle({ project, params, query }) {
        const { endpoint } = await jobOf(context, project, params[0] ?? "");
        return page(context, { project, lane: endpoint.lane }, query);
      },
    },
    {
      method: "GET",
      path: "executions/:id",
      scope: "read",
      handle: ({ project, params }) => detail(context, project, params[0] ?? ""),
    },
  ];
}

function namedRoutes(context: DialectContext, projectOf: ProjectOf): Route[] {
  return [
    {
      method: "GET",
      path: "projects/:project/executions",
      scope: "read",
      handle: async (call) => {
        const filter = await readFilter(context, projectOf(call), call.query);
        return page(context, filter, call.query);
      },
    },
    {
      method: "GET",
      path: "projects/:project/executions/histogram",
      scope: "read",
      handle: (call) => histogram(context, projectOf(call), call.query),
    },
    {
      method: "GET",
      path: "projects/:project/executions/:id",
      scope: "read",
      handle: (call) => detail(context, projectOf(call), call.params[1] ?? ""),
    },
    {
      method: "GET",
      path: "projects/:project/executions/:id/workflow",
      scope: "read",
      handle: (call) => workflow(context, projectOf(call), call.params[1] ?? ""),
    },
    {
      method: "POST",
      path: "projects/:project/executions/:id/retry",
      scope: "admin",
      handle: (call) => retry(context, projectOf(call), call.params[1] ?? ""),
    },
  ];
}

function logRoutes(context: DialectContext, projectOf: ProjectOf): Route[] {
  return [
    {
      method: "GET",
      path: "projects/:project/logs",
      scope: "read",
      handle: (call) => logs(context, projectOf(call), call.query),
    },
    {
      method: "GET",
      path: "projects/:project/logs/histogram",
      scope: "read",
      handle: (call) => logHistogram(context, projectOf(call)),
    },
  ];
}

async function find({ functionReads }: DialectContext, project: string, uuid: string): Promise<Execution> {
  const id = readUuid(uuid);
  const found = id === null ? null : await functionReads.getExecution({ project, id });
  if (found === null) throw new Refusal(404, "Execution not found");
  return found;
}

async function showWithJob(context: DialectContext, project: string) {
  const functionOf = await functionsByLane(context, project);
  const host = await context.functions.ensureHost(project);
  return (one: Execution) => {
    const job = functionOf(one.lane);
    return {
      ...showExecution(one, functionOf),
      job: job === undefined ? null : showJob(job, host),
      parent: showParent(one, functionOf),
      hasChildren: one.hasChildren,
    };
  };
}

function showParent({ parent }: Execution, functionOf: FunctionOf) {
  if (parent === null) return null;
  return { id: showUuid(parent.id), job: { name: functionOf(parent.lane)?.name ?? null } };
}

async function detail(context: DialectContext, project: string, uuid: string) {
  const found = await find(context, project, uuid);
  const { parent: _parent, ...shown } = (await showWithJob(context, project))(found);
  return shown;
}

async function page(context: DialectContext, filter: ExecutionFilter, query: URLSearchParams) {
  const { page: number, limit, offset } = readPageQuery(query);
  const { items, total } = await context.functionReads.pageExecutions({ ...filter, limit, offset });
  const show = await showWithJob(context, filter.project);
  return { items: items.map(show), total, page: number, limit };
}

async function readFilter(
  context: DialectContext,
  project: string,
  query: URLSearchParams,
): Promise<ExecutionFilter> {
  const [status, jobId, parentId, q] = ["status", "jobId", "parentId", "q"].map((name) => query.get(name));
  if (status && !EXECUTION_STATUSES.includes(status as ExecutionStatus)) {
    throw new Refusal(400, [`status must be one of the following values: ${EXECUTION_STATUSES.join(", ")}`]);
  }
  const named = q ? await lanesNamed(context, project, q) : [];
  return {
    project,
    ...readDates(query),
    ...(status ? { status: status as ExecutionStatus } : {}),
    ...(jobId ? { lane: (await jobOf(context, project, jobId)).endpoint.lane } : {}),
    ...(parentId ? { parentId: readKnownId(parentId) } : {}),
    ...(q ? { text: { part: q, lanes: named } } : {}),
  };
}

/** What is no id of ours matches nothing. */
function readKnownId(text: string): Id {
  return readUuid(text) ?? UNKNOWN_ID;
}

async function lanesNamed({ functions }: DialectContext, project: string, part: string): Promise<number[]> {
  const wanted = part.toLowerCase();
  const found = (await functions.list(project)).filter(({ name }) => name.toLowerCase().includes(wanted));
  return found.map(({ endpoint }) => endpoint.lane);
}

/** Buckets begin at multiples of their width, and the last one contains now. */
function bucketsOf(
  project: string,
  { now, widthMs, count }: { now: number; widthMs: number; count: number },
) {
  const since = Math.floor(now / widthMs) * widthMs - (count - 1) * widthMs;
  return { project, since, widthMs, count } satisfies HistogramInput;
}

async function histogram({ clock, functionReads }: DialectContext, project: string, query: URLSearchParams) {
  const hours = readCount(query, "hours", { fallback: 48, max: HOURS_MAX });
  const count = readCount(query, "buckets", { fallback: 60, max: BUCKETS_MAX });
  const widthMs = Math.max(1_000, Math.round((hours * HOUR) / count));
  const input = bucketsOf(project, { now: clock.now(), widthMs, count });
  const cells = await functionReads.executionHistogram(input);
  return Array.from({ length: count }, (_, bucket) => {
    const counted = (kind: string) =>
      cells.find((cell) => cell.bucket === bucket && cell.kind === kind)?.count ?? 0;
    const [success, failed] = [counted("success"), counted("failed")];
    return { time: showIsoTime(input.since + bucket * widthMs), success, failed, total: success + failed };
  });
}

async function workflow(context: DialectContext, project: string, uuid: string) {
  const id = readUuid(uuid);
  const nodes = id === null ? [] : await context.functionReads.executionTree({ project, id });
  const [root] = nodes;
  if (!root) throw new Refusal(404, "Execution not found");
  const functionOf = await functionsByLane(context, project);
  return { rootId: showUuid(root.id), nodes: nodes.map((node) => showNode(node, functionOf)) };
}

async function retry(context: DialectContext, project: string, uuid: string) {
  const found = await find(context, project, uuid);
  if (executionStatus(found.state) !== "failed") {
    throw new Refusal(409, "Only failed executions can be retried");
  }
  try {
    await context.commands.replay(project, found.id);
  } catch (error) {
    if (error instanceof AppError && error.code === "invalid_state") throw new Refusal(409, error.message);
    throw error;
  }
  return { message: "Execution retried", executionId: showUuid(found.id) };
}

async function logs(context: DialectContext, project: string, query: URLSearchParams) {
  const { page: number, limit, offset } = readPageQuery(query, 50);
  const [jobId, level, text] = ["jobId", "level", "q"].map((name) => query.get(name));
  if (level && !LOG_LEVELS.includes(level as LogLevel)) {
    throw new Refusal(400, [`level must be one of the following values: ${LOG_LEVELS.join(", ")}`]);
  }
  const filter: LogFilter = {
    project,
    ...readDates(query),
    ...(jobId ? { lane: (await jobOf(context, project, jobId)).endpoint.lane } : {}),
    ...(level ? { level: level as LogLevel } : {}),
    ...(text ? { text } : {}),
  };
  const { items, total } = await context.functionReads.pageLogs({ ...filter, limit, offset });
  const functionOf = await functionsByLane(context, project);
  return { items: items.map((line) => showLog(line, functionOf)), total, page: number, limit };
}

async function logHistogram({ clock, functionReads }: DialectContext, project: string) {
  const widthMs = (24 * HOUR) / LOG_BUCKETS;
  const input = bucketsOf(project, { now: clock.now(), widthMs, count: LOG_BUCKETS });
  const cells = await functionReads.logHistogram(input);
  return Array.from({ length: LOG_BUCKETS }, (_, bucket) => {
    const own = cells.filter((cell) => cell.bucket === bucket);
    const counted = (kind: LogLevel) => own.find((cell) => cell.kind === kind)?.count ?? 0;
    const [info, warn] = [counted("info"), counted("warn")];
    const [error, debug] = [counted("error"), counted("debug")];
    const time = showIsoTime(input.since + bucket * widthMs);
    return { time, info, warn, error, debug, total: info + warn + error + debug };
  });
}
