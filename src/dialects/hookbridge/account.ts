/**
 * Projects, actors and billing (protocol sections 10.2, 10.3 and 10.5): what older and newer SDKs ask beside
 * messages. There is nothing to pay here, so billing answers what a plan without bounds looks like.
 */
import type { Project } from "../../domain/access.ts";
import { DAY } from "../../domain/duration.ts";
import { readId, showId } from "../../domain/id.ts";
import { projectShare, WHOLE_PROJECT } from "../../domain/rollup.ts";
import { assertOperator, isOperator } from "../../http/auth.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import { required } from "./endpoint-fields.ts";
import { type Fields, wrong } from "./fields.ts";
import { DOOR } from "./objects.ts";
import { INBOUND, OUTBOUND, PULL } from "./profiles.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import { showProject, showTime } from "./wire.ts";

/** As the configuration has it. */
const PROJECT_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const RATE_MAX = 1_000_000;
/** Stands for "no limit" where an integer must stand. */
const NO_LIMIT = 2_147_483_647;

export function projectRoutes(service: Service): Route[] {
  const one = "/v1/projects/:id";
  const find = (call: Call) => findProject(call, service);
  const update = async (call: Call) => {
    const project = find(call);
    readProjectFields(await call.fields(), project.name);
    return answerData(call.context, showOne(project));
  };
  return [
    {
      method: "GET",
      path: "/v1/projects",
      run: (call) => answerList(call.context, visibleTo(call, service).map(showOne), null),
    },
    { method: "POST", path: "/v1/projects", run: (call) => createProject(call, service) },
    { method: "GET", path: one, run: (call) => answerData(call.context, showOne(find(call))) },
    // compat(hookbridge 2.1): PHP updates with PUT, Go with PATCH.
    { method: "PUT", path: one, run: update },
    { method: "PATCH", path: one, run: update },
    {
      method: "DELETE",
      path: one,
      async run(call) {
        assertOperator(call.principal);
        const { name } = find(call);
        await service.context.objects.retireProject(name);
        return answerData(call.context, { id: showProject(name), deleted: true });
      },
    },
  ];
}

/** A key sees its own project; the operator's, also those that were made through this API. */
function visibleTo({ principal, project }: Call, service: Service): Project[] {
  return service.context.directory
    .projects()
    .filter(({ name, door }) => name === project || (isOperator(principal) && door === DOOR))
    .sort((a, b) => a.seq - b.seq);
}

function findProject(call: Call, service: Service): Project {
  const found = visibleTo(call, service).find(({ name }) => showProject(name) === call.param("id"));
  if (!found) throw new Fault("NOT_FOUND", "no such project");
  return found;
}

async function createProject(call: Call, service: Service): Promise<Response> {
  assertOperator(call.principal);
  const name = required(readProjectFields(await call.fields()), "name");
  const project = await service.context.objects.createProject(DOOR, name);
  return answerData(call.context, showOne(project), { status: 201 });
}

/** The name is the id here, so it cannot change; a request rate is set in the configuration. */
function readProjectFields(fields: Fields, current?: string): string | undefined {
  fields.integer("rate_limit_default", { max: RATE_MAX });
  const name = fields.text("name", 64);
  if (name !== undefined && !PROJECT_NAME.test(name)) throw wrong("name", "letters, digits, _ and -");
  if (current !== undefined && name !== undefined && name !== current) {
    throw new Fault("INVALID_REQUEST", "a project's name cannot be changed");
  }
  return name;
}

function showOne({ name, createdAt }: Project) {
  return {
    id: showProject(name),
    tenant_id: "self-hosted",
    name,
    status: "active",
    rate_limit_default: 0,
    created_at: showTime(createdAt),
  };
}

export function actorRoute(service: Service): Route {
  return {
    method: "GET",
    path: "/v1/actors/lookup",
    run({ context, query, project }) {
      const users = query.text("user_id");
      const keys = query.text("api_key_id");
      if (users === undefined && keys === undefined) {
        throw new Fault("INVALID_REQUEST", "user_id or api_key_id must be given");
      }
      const { directory } = service.context;
      const found = (keys ?? "").split(",").flatMap((text) => {
        const id = readId("key", text.trim());
        const key = id === null ? undefined : directory.key(id);
        return key?.project === project ? [[showId("key", key.id), { label: key.label ?? "" }] as const] : [];
      });
      // There are no users here, only keys.
      return answerData(context, { users: {}, api_keys: Object.fromEntries(found) });
    },
  };
}

export function billingRoutes(service: Service): Route[] {
  const refuse = () => {
    throw new Fault("FORBIDDEN", "a self-hosted server sells nothing");
  };
  return [
    {
      method: "GET",
      path: "/v1/billing/subscription",
      run: async (call) => answerData(call.context, await subscriptionOf(call, service)),
    },
    {
      method: "GET",
      path: "/v1/billing/usage-history",
      run(call) {
        const limit = call.query.integer("limit", { min: 1, max: 1_000, usual: 12 });
        const offset = call.query.integer("offset", { min: 0, max: NO_LIMIT, usual: 0 });
        return answerData(call.context, [], {
          meta: { total: 0, limit, offset, has_more: false, next_cursor: null },
        });
      },
    },
    {
      method: "GET",
      path: "/v1/billing/invoices",
      run: (call) => answerList(call.context, [], null),
    },
    { method: "POST", path: "/v1/billing/checkout", run: refuse },
    { method: "POST", path: "/v1/billing/portal", run: refuse },
    {
      // compat(hookbridge 10.5): the Python SDK reads `received` at the top, whatever the payload was.
      method: "POST",
      path: "/v1/billing/webhook",
      run: (call) => answerData(call.context, { received: false }, { top: { received: false } }),
    },
  ];
}

/** Messages of every kind since then, out of the sums by the hour: a month of them is one short read each. */
async function countMade({ project }: Call, service: Service, from: number): Promise<number> {
  const { clock, reads, rollups } = service.context;
  await rollups.flush();
  const shares = await Promise.all(
    [OUTBOUND, INBOUND, PULL].map((profile) =>
      reads.readRollups({
        ...{ project: projectShare(project, profile), lane: WHOLE_PROJECT },
        ...{ bucket: "hour", from, to: clock.now() + 1 },
      }),
    ),
  );
  return shares.flat().reduce((sum, { created }) => sum + created, 0);
}

async function subscriptionOf(call: Call, service: Service) {
  const begin = new Date(service.context.clock.now());
  const start = Date.UTC(begin.getUTCFullYear(), begin.getUTCMonth(), 1);
  const end = Date.UTC(begin.getUTCFullYear(), begin.getUTCMonth() + 1, 1);
  return {
    plan: "self-hosted",
    status: "active",
    limits: {
      plan: "self-hosted",
      messages_per_month: NO_LIMIT,
      max_projects: NO_LIMIT,
      max_endpoints: NO_LIMIT,
      retention_days: Math.round((end - start) / DAY),
      max_retries: null,
    },
    usage: {
      messages_used: await countMade(call, service, start),
      period_start: showTime(start),
      period_end: showTime(end),
    },
    cancel_at_period_end: false,
    current_period_end: showTime(end),
  };
}
