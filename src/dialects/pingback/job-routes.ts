/** Jobs: functions as Pingback's dashboard and automation see them (pingback.md section 5.4). */
import type { AppFunction, FunctionWords } from "../../domain/function.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { FunctionPatch } from "../../runtime/functions.ts";
import { Refusal } from "./failure.ts";
import { isObject, writeJson } from "./json.ts";
import type { Call, Route } from "./route.ts";
import { hostOf, isRemoved, jobOf } from "./scope.ts";
import type { RulesOf } from "./sdk-routes.ts";
import { isGiven, isSchedule, isWhole, readUuid, showJob, showUuid } from "./wire.ts";

const RETRIES_MAX = 10;
const CONCURRENCY_MAX = 10;
const TIMEOUT_MAX_S = 300;

/** The same routes under two paths: with the project of the key, and with one that the path names. */
interface Under {
  readonly prefix: string;
  readonly projectOf: (call: Call) => string;
  /** What stands for :id. */
  readonly idOf: (call: Call) => string;
}

export function jobRoutes(context: DialectContext, rulesOf: RulesOf): Route[] {
  const own: Under = {
    prefix: "jobs",
    projectOf: ({ project }) => project,
    idOf: ({ params }) => params[0] ?? "",
  };
  const named: Under = {
    prefix: "projects/:project/jobs",
    projectOf: ({ principal, params }) => hostOf(context, principal, params[0] ?? "").project,
    idOf: ({ params }) => params[1] ?? "",
  };
  const { functions } = context;
  const create: Route = {
    method: "POST",
    path: "jobs",
    scope: "admin",
    async handle({ project, body }) {
      const job = await functions.create(project, readJob(body, rulesOf(project)));
      return showJob(job, await functions.ensureHost(project));
    },
  };
  return [create, ...routesUnder(own, context, rulesOf), ...routesUnder(named, context, rulesOf)];
}

function routesUnder({ prefix, projectOf, idOf }: Under, context: DialectContext, rulesOf: RulesOf): Route[] {
  const { functions } = context;
  const show = async (job: AppFunction) => showJob(job, await functions.ensureHost(job.project));
  return [
    {
      method: "GET",
      path: prefix,
      scope: "read",
      async handle(call) {
        const { query } = call;
        const [status, type] = [query.get("status"), query.get("type")];
        const jobs = (await functions.list(projectOf(call))).filter(
          (job) =>
            !isRemoved(job) &&
            (!status || job.status === status) &&
            (!type || (job.schedule === null ? "task" : "cron") === type),
        );
        return Promise.all(jobs.toReversed().map(show));
      },
    },
    {
      method: "GET",
      path: `${prefix}/:id`,
      scope: "read",
      handle: async (call) => show(await jobOf(context, projectOf(call), idOf(call))),
    },
    {
      method: "PATCH",
      path: `${prefix}/:id`,
      scope: "admin",
      async handle(call) {
        const project = projectOf(call);
        const job = await jobOf(context, project, idOf(call));
        return show(await functions.change(job, readPatch(call.body, job, rulesOf(project))));
      },
    },
    {
      method: "DELETE",
      path: `${prefix}/:id`,
      scope: "admin",
      async handle(call) {
        const removed = await functions.remove(await jobOf(context, projectOf(call), idOf(call)));
        return isRemoved(removed) ? undefined : show(removed);
      },
    },
    {
      method: "POST",
      path: `${prefix}/:id/run`,
      scope: "admin",
      async handle(call) {
        const job = await jobOf(context, projectOf(call), idOf(call));
        const executionId = await run(job, call.body, context);
        return { message: "Run triggered", executionId: showUuid(executionId), jobId: showUuid(job.id) };
      },
    },
  ];
}

/** Works whatever the job's status is. */
async function run(job: AppFunction, body: unknown, context: DialectContext) {
  const { functions, functionReads, clock } = context;
  const { payload, parentId } = isObject(body) ? body : {};
  const input = { payload: payload === undefined ? null : writeJson(payload), dueAt: clock.now() };
  if (!isGiven(parentId)) return functions.run(job.endpoint, input);
  const id = typeof parentId === "string" ? readUuid(parentId) : null;
  const parent = id === null ? null : await functionReads.getExecution({ project: job.project, id });
  if (parent === null) throw new Refusal(404, "Parent execution not found");
  return functions.run(job.endpoint, { ...input, parentSeq: parent.seq });
}

interface Rules {
  readonly timezone: string;
}

function readJob(body: unknown, { timezone }: Rules): FunctionWords {
  const problems: string[] = [];
  const { name, schedule, ...options } = isObject(body) ? body : {};
  if (typeof name !== "string" || name === "") problems.push("name must be a non-empty string");
  if (typeof schedule !== "string" || schedule === "") problems.push("schedule must be a non-empty string");
  const read = readOptions(options, problems);
  if (problems.length > 0 || typeof name !== "string" || typeof schedule !== "string") {
    throw new Refusal(400, problems);
  }
  assertSchedule(schedule, timezone);
  return { name, kind: "cron", schedule, ...read };
}

function readPatch(body: unknown, job: AppFunction, { timezone }: Rules): FunctionPatch {
  const problems: string[] = [];
  const { schedule, status, ...options } = isObject(body) ? body : {};
  if (isGiven(schedule) && (typeof schedule !== "string" || job.kind === "task")) {
    problems.push(job.kind === "task" ? "a task has no schedule" : "schedule must be a string");
  }
  if (isGiven(status) && status !== "active" && status !== "paused") {
    problems.push("status must be one of the following values: active, paused");
  }
  const read = readOptions(options, problems);
  if (problems.length > 0) throw new Refusal(400, problems);
  if (typeof schedule === "string") assertSchedule(schedule, timezone);
  return {
    ...read,
    ...(typeof schedule === "string" ? { schedule } : {}),
    ...(isGiven(status) ? { isPaused: status === "paused" } : {}),
  };
}

function readOptions(options: Readonly<Record<string, unknown>>, problems: string[]) {
  const { retries, timeoutSeconds, concurrency } = options;
  const wrong = (name: string, min: number, max: number) =>
    problems.push(`${name} must be an integer from ${min} to ${max}`);
  if (isGiven(retries) && !isWhole(retries, 0, RETRIES_MAX)) wrong("retries", 0, RETRIES_MAX);
  if (isGiven(timeoutSeconds) && !isWhole(timeoutSeconds, 1, TIMEOUT_MAX_S)) {
    wrong("timeoutSeconds", 1, TIMEOUT_MAX_S);
  }
  if (isGiven(concurrency) && !isWhole(concurrency, 1, CONCURRENCY_MAX))
    wrong("concurrency", 1, CONCURRENCY_MAX);
  return {
    ...(isWhole(retries, 0) ? { retries } : {}),
    ...(isWhole(timeoutSeconds, 1) ? { timeoutMs: timeoutSeconds * 1_000 } : {}),
    ...(isWhole(concurrency, 1) ? { concurrency } : {}),
  };
}

function assertSchedule(schedule: string, timezone: string): void {
  if (!isSchedule(schedule, timezone)) throw new Refusal(400, `Invalid cron expression: ${schedule}`);
}
