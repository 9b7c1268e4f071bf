/** One-off deliveries: made for now or for later, and put off. */
import { type Static, Type } from "@sinclair/typebox";
import { readDelay, readMoment } from "../../domain/delay.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { AppError } from "../../domain/errors.ts";
import { readId } from "../../domain/id.ts";
import { isResultUrl, specWithResult } from "../../domain/result-note.ts";
import { canonicalZone } from "../../domain/zone.ts";
import { DELIVERY, showDelivery } from "./deliveries.ts";
import type { ApiDeps } from "./deps.ts";
import { findEndpoint, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { CONTENT_MEMBERS, readContent } from "./schedule-schemas.ts";

const DUE_MEMBERS = {
  delay: Type.Optional(
    Type.Union([Type.String(), Type.Number()], { description: '"1d2h30m15s", or seconds.' }),
  ),
  at: Type.Optional(Type.String({ description: "RFC 3339, or a local time in timezone." })),
  timezone: Type.Optional(Type.String({ description: "IANA; UTC when left out." })),
};

const NEW_DELIVERY = Type.Object(
  {
    endpoint: Type.String({ description: "Name or id." }),
    ...CONTENT_MEMBERS,
    ...DUE_MEMBERS,
    resultTo: Type.Optional(
      Type.String({
        maxLength: 2_048,
        description: "Endpoint or URL that is told how it ended, in a delivery of its own.",
      }),
    ),
  },
  { additionalProperties: false, description: "At most one of delay and at; now without either." },
);

const NEW_DUE = Type.Object(DUE_MEMBERS, {
  additionalProperties: false,
  description: "One of delay and at.",
});

/** Returns when a request wants it; throws invalid_request. */
function readDue({ delay, at, timezone = "UTC" }: Static<typeof NEW_DUE>, now: number): number | null {
  if (delay !== undefined && at !== undefined) throw bad("give delay or at, not both");
  const zone = canonicalZone(timezone);
  if (zone === null) throw bad(`timezone: "${timezone}" is no IANA time zone such as Europe/Berlin`);
  if (delay !== undefined) {
    const reading = readDelay(delay);
    if (!reading.ok) throw bad(`delay: ${reading.problem}`);
    return now + reading.delayMs;
  }
  if (at === undefined) return null;
  const moment = readMoment(at, zone);
  if (!moment.ok) throw bad(`at: ${moment.problem}`);
  return moment.at;
}

/** A URL has its endpoint before the delivery that names it is stored. */
async function readResult(
  named: string | undefined,
  endpoint: Endpoint,
  { directory, results }: Pick<ApiDeps, "directory" | "results">,
): Promise<string | null> {
  if (named === undefined) return null;
  if (isResultUrl(named)) {
    return specWithResult(await results.ensure({ ...endpoint, by: "delivery" }, named));
  }
  if (directory.endpointNamed(endpoint.project, named)) return specWithResult(named);
  throw bad(`resultTo: there is no endpoint "${named}" in this project`);
}

function bad(problem: string): AppError {
  return new AppError("invalid_request", problem);
}

export function timerRoutes({ clock, commands, directory, reads, results, timers }: ApiDeps): ApiRoute[] {
  const shared = { tag: "deliveries", scope: "admin", query: queryOf({}), answer: DELIVERY } as const;
  const show = async (project: string, id: string) => {
    const stored = await reads.getDelivery({ project, id });
    if (stored === null) throw new AppError("not_found", "there is no such delivery in this project");
    return showDelivery(stored, directory);
  };
  return [
    defineRoute({
      ...shared,
      method: "POST",
      path: "/deliveries",
      operationId: "createDelivery",
      summary: "Send something to an endpoint: now, after a delay, or at a moment",
      description: "A moment that has passed means now. json is sent as it was written, byte for byte.",
      scope: "ingest",
      isLarge: true,
      body: NEW_DELIVERY,
      errors: ["conflict", "target_blocked", "body_too_large", "overloaded", "storage_unavailable"],
      handle: async ({ principal: { project }, body, json }) => {
        const endpoint = findEndpoint(directory, project, body.endpoint);
        if (!endpoint || endpoint.deletedAt !== null) {
          throw bad(`there is no endpoint "${body.endpoint}" in this project`);
        }
        const dueAt = readDue(body, clock.now()) ?? clock.now();
        const { headers, body: text } = readContent(body, json);
        const payload = { headers: JSON.stringify(headers), body: Buffer.from(text) };
        const spec = await readResult(body.resultTo, endpoint, { directory, results });
        return show(project, await timers.create(endpoint, { payload, dueAt, spec }));
      },
    }),
    defineRoute({
      ...shared,
      method: "PATCH",
      path: "/deliveries/:id",
      operationId: "rescheduleDelivery",
      summary: "Put a waiting delivery off, or bring it forward",
      body: NEW_DUE,
      errors: ["not_found", "invalid_state", "conflict", "gone", "storage_unavailable"],
      handle: async ({ principal: { project }, id: shown, body }) => {
        const id = readId("delivery", shown);
        if (id === null) throw new AppError("not_found", "there is no such delivery in this project");
        const dueAt = readDue(body, clock.now());
        if (dueAt === null) throw bad("give delay or at");
        await commands.reschedule(project, id, dueAt);
        return show(project, id);
      },
    }),
  ];
}
