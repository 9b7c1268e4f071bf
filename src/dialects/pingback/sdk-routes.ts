/** The two endpoints that SDKs call: register and trigger (pingback.md sections 2.3 and 2.4). */
import { AppError } from "../../domain/errors.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { Refusal } from "./failure.ts";
import { isObject, writeJson } from "./json.ts";
import type { Route } from "./route.ts";
import { readRegistration, showIsoTime, showUuid } from "./wire.ts";
import { readDelay } from "./words.ts";

export interface PingbackRules {
  readonly timeoutMaxMs: number;
  readonly timezone: string;
}

export type RulesOf = (project: string) => PingbackRules;

export function sdkRoutes({ functions, clock, log }: DialectContext, rulesOf: RulesOf): Route[] {
  return [
    {
      method: "POST",
      path: "register",
      scope: "admin",
      async handle({ project, body }) {
        const read = readRegistration(body, rulesOf(project));
        if (!read.ok) throw new Refusal(400, read.problems);
        const { functions: words, endpointUrl, projectId } = read.words;
        const host = await functions.ensureHost(project);
        if (projectId !== undefined && projectId.toLowerCase() !== showUuid(host.id)) {
          throw new Refusal(403, "API key does not belong to this project");
        }
        if (words.length === 0) log.warn("functions.none_registered", { project });
        const registration = endpointUrl === undefined ? {} : { endpointUrl };
        const registered = await functions.register(project, { functions: words, ...registration });
        return { jobs: registered.map(({ name, status }) => ({ name, status })) };
      },
    },
    {
      method: "POST",
      path: "trigger",
      scope: "ingest",
      async handle({ project, body }) {
        if (!isObject(body) || typeof body.task !== "string" || body.task === "") {
          throw new Refusal(400, ["task must be a non-empty string"]);
        }
        const { task, payload, delay: given } = body;
        const delay = readDelay(given);
        if (!delay.ok) throw new Refusal(400, delay.problem);
        const dueAt = clock.now() + delay.ms;
        const text = payload === undefined ? null : writeJson(payload);
        try {
          const id = await functions.start(project, task, { payload: text, dueAt });
          return { executionId: showUuid(id), task, scheduledAt: showIsoTime(dueAt) };
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== "not_found") throw error;
          throw new Refusal(404, `Task "${task}" not found in this project`);
        }
      },
    },
  ];
}
