/** Schedules: make, change, look, pause, run now, and see what they will do before they do it. */
import { type Static, Type } from "@sinclair/typebox";
import { readMoment } from "../../domain/delay.ts";
import { AppError } from "../../domain/errors.ts";
import { readId } from "../../domain/id.ts";
import { PREVIEW_COUNT_MAX, preview } from "../../domain/schedule.ts";
import type { Schedule } from "../../domain/schedule-definition.ts";
import { DELIVERY, showDelivery } from "./deliveries.ts";
import type { ApiDeps } from "./deps.ts";
import { PAGE_QUERY, queryOf, readListQuery } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import {
  changeDefinition,
  NEW_SCHEDULE,
  RUN,
  readDefinition,
  requirePlan,
  SCHEDULE,
  SCHEDULE_CHANGE,
  SCHEDULE_DETAIL,
  showRun,
  showSchedule,
  showScheduleDetail,
  TIMING_MEMBERS,
  timingOf,
} from "./schedule-schemas.ts";
import { named, pageOf, showPage } from "./schemas.ts";

const PREVIEW_QUERY = {
  ...TIMING_MEMBERS,
  from: Type.Optional(Type.String({ description: "A moment like at; now when left out." })),
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: PREVIEW_COUNT_MAX })),
};
const PREVIEW = named("SchedulePreview", { timezone: Type.String(), runs: Type.Array(RUN) });
const PREVIEW_COUNT = 10;

type Detail = Static<typeof SCHEDULE_DETAIL>;
/** Shows a schedule with what has to be read for it. */
async function detailOf({ schedules }: ApiDeps, schedule: Schedule): Promise<Detail> {
  return showScheduleDetail(schedule, await schedules.skips(schedule));
}

type Find = (project: string, text: string) => Promise<Schedule>;

export function scheduleRoutes(deps: ApiDeps): ApiRoute[] {
  const { schedules } = deps;
  const find: Find = (project, text) => {
    const id = readId("schedule", text);
    return schedules.find(project, id === null ? { name: text } : { id });
  };
  return [
    ...previewRoutes(deps),
    ...lookRoutes(deps, find),
    ...changeRoutes(deps, find),
    ...actionRoutes(deps, find),
  ];
}

/** Before the routes with a name in their place: "preview" is none. */
function previewRoutes({ clock }: ApiDeps): ApiRoute[] {
  const answer = (words: Static<ReturnType<typeof previewBody>>): Static<typeof PREVIEW> => {
    const plan = requirePlan(timingOf(words), clock.now());
    const from = words.from === undefined ? null : readMoment(words.from, plan.zone);
    if (from?.ok === false) throw new AppError("invalid_request", `from: ${from.problem}`);
    const runs = preview(plan, from?.at ?? clock.now(), words.count ?? PREVIEW_COUNT);
    return { timezone: plan.zone, runs: runs.map(showRun) };
  };
  const shared = {
    path: "/schedules/preview",
    summary: "Show when a schedule would run, without making one",
    tag: "schedules",
    scope: "read",
    answer: PREVIEW,
    errors: [],
  } as const;
  return [
    defineRoute({
      ...shared,
      method: "GET",
      operationId: "previewSchedule",
      query: queryOf(PREVIEW_QUERY),
      handle: ({ query }) => answer(query),
    }),
    defineRoute({
      ...shared,
      method: "POST",
      operationId: "previewScheduleOfBody",
      query: queryOf({}),
      body: previewBody(),
      handle: ({ body }) => answer(body),
    }),
  ];
}

function previewBody() {
  return Type.Object(PREVIEW_QUERY, { additionalProperties: false });
}

function lookRoutes(deps: ApiDeps, find: Find): ApiRoute[] {
  const { schedules, reads, directory } = deps;
  return [
    defineRoute({
      method: "GET",
      path: "/schedules",
      operationId: "listSchedules",
      summary: "List schedules in service, newest first",
      tag: "schedules",
      scope: "read",
      query: queryOf(PAGE_QUERY),
      answer: pageOf(SCHEDULE),
      errors: [],
      handle: ({ principal: { project }, query }) =>
        showPage(schedules.list({ project, ...readListQuery(query) }), showSchedule),
    }),
    defineRoute({
      method: "GET",
      path: "/schedules/:id",
      operationId: "getSchedule",
      summary: "Show a schedule with its next runs, by id or name",
      tag: "schedules",
      scope: "read",
      query: queryOf({}),
      answer: SCHEDULE_DETAIL,
      errors: ["not_found"],
      handle: async ({ principal: { project }, id }) => detailOf(deps, await find(project, id)),
    }),
    defineRoute({
      method: "GET",
      path: "/schedules/:id/deliveries",
      operationId: "listScheduleDeliveries",
      summary: "List the runs of a schedule, newest first",
      tag: "schedules",
      scope: "read",
      query: queryOf(PAGE_QUERY),
      answer: pageOf(DELIVERY),
      errors: ["not_found"],
      handle: async ({ principal: { project }, id, query }) => {
        const { seq: scheduleSeq } = await find(project, id);
        const page = reads.listDeliveries({ project, scheduleSeq, ...readListQuery(query) });
        return showPage(page, (row) => showDelivery(row, directory));
      },
    }),
  ];
}

function changeRoutes(deps: ApiDeps, find: Find): ApiRoute[] {
  const { schedules, clock } = deps;
  const shared = { tag: "schedules", scope: "admin", query: queryOf({}), answer: SCHEDULE_DETAIL } as const;
  return [
    defineRoute({
      ...shared,
      method: "POST",
      path: "/schedules",
      operationId: "createSchedule",
      summary: "Make a schedule",
      description: "json is sent as it was written, byte for byte.",
      body: NEW_SCHEDULE,
      errors: ["conflict", "storage_unavailable"],
      handle: async ({ principal: { project }, body, json }) => {
        const definition = readDefinition(project, body, json);
        requirePlan(definition.timing, clock.now());
        return detailOf(deps, await schedules.create(definition));
      },
    }),
    defineRoute({
      ...shared,
      method: "PATCH",
      path: "/schedules/:id",
      operationId: "updateSchedule",
      summary: "Change a schedule",
      description: "New times count from now; with the same times a run that is due stays due.",
      body: SCHEDULE_CHANGE,
      errors: ["not_found", "gone", "declared_in_config", "storage_unavailable"],
      handle: async ({ principal: { project }, id, body, json }) => {
        const schedule = await find(project, id);
        const definition = changeDefinition(schedule, body, json);
        requirePlan(definition.timing, schedule.anchorAt);
        return detailOf(deps, await schedules.update(schedule, definition));
      },
    }),
    defineRoute({
      ...shared,
      method: "DELETE",
      path: "/schedules/:id",
      operationId: "deleteSchedule",
      summary: "Take a schedule out of service",
      description: "Its runs so far stay; those under way end as usual.",
      errors: ["not_found", "gone", "declared_in_config", "storage_unavailable"],
      handle: async ({ principal: { project }, id }) =>
        detailOf(deps, await schedules.remove(await find(project, id))),
    }),
  ];
}

function actionRoutes(deps: ApiDeps, find: Find): ApiRoute[] {
  const { schedules, reads, directory } = deps;
  const shared = { method: "POST", tag: "schedules", scope: "admin", query: queryOf({}) } as const;
  const errors = ["not_found", "gone", "storage_unavailable"] as const;
  const change = (verb: "pause" | "resume", summary: string, description: string) =>
    defineRoute({
      ...shared,
      path: `/schedules/:id/${verb}`,
      operationId: `${verb}Schedule`,
      summary,
      description,
      answer: SCHEDULE_DETAIL,
      errors,
      handle: async ({ principal: { project }, id }) =>
        detailOf(deps, await schedules[verb](await find(project, id))),
    });
  return [
    change("pause", "Let a schedule run no more", "Runs that wait are given up. A declared one, too."),
    change("resume", "Let a paused schedule run again", "From now on: nothing is made up for."),
    defineRoute({
      ...shared,
      path: "/schedules/:id/run",
      operationId: "runSchedule",
      summary: "Run a schedule once, now",
      description: "Beside its own runs, whatever is under way. Answers with the delivery.",
      answer: DELIVERY,
      errors: [...errors, "overloaded"],
      handle: async ({ principal: { project }, id }) => {
        const delivery = await schedules.runNow(await find(project, id));
        const stored = await reads.getDelivery({ project, id: delivery });
        if (stored === null) throw new AppError("not_found", "the delivery is gone already");
        return showDelivery(stored, directory);
      },
    }),
  ];
}
