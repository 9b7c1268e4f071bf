/** The clock that schedules, retries and retention follow, and moving it when it is a virtual one. */
import { Type } from "@sinclair/typebox";
import { readDelay } from "../../domain/delay.ts";
import { DAY } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import { parseInstant } from "../../domain/instant.ts";
import type { ApiDeps } from "./deps.ts";
import { queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, oneOf, showInstant } from "./schemas.ts";

const CLOCK = named("Clock", { kind: oneOf(["system", "virtual"]), now: INSTANT });

const ADVANCE = Type.Object(
  {
    by: Type.Optional(
      Type.Union([Type.String(), Type.Number()], {
        description: 'How far: a duration ("1d2h30m15s"), or seconds.',
      }),
    ),
    to: Type.Optional(Type.String({ description: "Where to: an instant of RFC 3339, not before now." })),
  },
  { additionalProperties: false, description: "Exactly one of the two." },
);

const ADVANCED = named("ClockAdvanced", {
  from: INSTANT,
  now: INSTANT,
  steps: Type.Integer({ description: "Instants at which something was due, the server's own chores too." }),
  attempts: Type.Integer({ description: "Attempts that were made to send something." }),
  isComplete: Type.Boolean({
    description: "False: a bound of one call was reached first; ask again with `to` to go on.",
  }),
});

/** Ten years. Farther is a mistake in the unit. */
const SPAN_MAX_MS = 3_660 * DAY;
/** RFC 3339 has no name for what comes later. */
const LAST_INSTANT = Date.UTC(9_999, 11, 31);

export function clockRoutes(deps: ApiDeps): ApiRoute[] {
  const { clock, advance } = deps;
  return [
    defineRoute({
      method: "GET",
      path: "/clock",
      operationId: "getClock",
      summary: "Show the clock",
      tag: "server",
      scope: "read",
      query: queryOf({}),
      answer: CLOCK,
      errors: [],
      handle: () => ({ kind: clock.kind, now: showInstant(clock.now()) }),
    }),
    defineRoute({
      method: "POST",
      path: "/clock/advance",
      operationId: "advanceClock",
      summary: "Advance a virtual clock",
      description:
        "Goes from one due instant to the next, and at each only on when nothing is due, being sent or " +
        "being written any more. Answers when the clock is there and all has settled.",
      tag: "server",
      scope: "admin",
      isOperators: true,
      query: queryOf({}),
      body: ADVANCE,
      answer: ADVANCED,
      errors: ["not_found", "conflict", "shutting_down"],
      handle: async ({ body, holdOpen }) => {
        if (advance === null) {
          throw new AppError("not_found", "the clock is the system's; start with serve --clock virtual");
        }
        const target = readTarget(body, clock.now());
        holdOpen();
        const { from, now, stepCount, attemptCount, isComplete } = await advance.to(target);
        const span = { from: showInstant(from), now: showInstant(now) };
        return { ...span, steps: stepCount, attempts: attemptCount, isComplete };
      },
    }),
  ];
}

interface Wanted {
  readonly by?: string | number | undefined;
  readonly to?: string | undefined;
}

function readTarget({ by, to }: Wanted, now: number): number {
  if ((by === undefined) === (to === undefined)) {
    throw new AppError("invalid_request", 'give either "by" or "to"');
  }
  const target = to === undefined ? now + readSpan(by ?? 0) : readTo(to);
  if (target < now) {
    throw new AppError("invalid_request", `the clock is at ${showInstant(now)} and does not go back`);
  }
  if (target - now > SPAN_MAX_MS) {
    throw new AppError("invalid_request", "one call advances by at most ten years");
  }
  if (target > LAST_INSTANT) throw new AppError("invalid_request", "the clock ends with the year 9999");
  return target;
}

function readSpan(by: string | number): number {
  const reading = readDelay(by);
  if (reading.ok) return reading.delayMs;
  throw new AppError("invalid_request", `"by": ${reading.problem}`);
}

function readTo(to: string): number {
  const at = parseInstant(to);
  if (at !== null) return at;
  throw new AppError("invalid_request", '"to" must be an instant such as 2026-03-28T00:00:00Z');
}
