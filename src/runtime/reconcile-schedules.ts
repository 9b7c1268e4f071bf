/**
 * The schedules of the config file. One that is declared as before is not touched, so that a run that came
 * due while the process was down is still due; new times count from now.
 */
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import {
  isSameTiming,
  NO_NEXT_RUN,
  nextAfter,
  planOf,
  type Schedule,
  type ScheduleDefinition,
} from "../domain/schedule-definition.ts";
import type { ScheduleObjectStore } from "./ports.ts";
import { isSame } from "./same-definition.ts";

export type ReconcileScheduleStore = Pick<
  ScheduleObjectStore,
  "putSchedule" | "retireSchedule" | "scheduleNamed" | "schedulesOfDoor"
>;

interface Context {
  readonly store: ReconcileScheduleStore;
  readonly nextId: () => Id;
  readonly now: number;
}

interface Planning {
  readonly plan: {
    readonly created: string[];
    readonly updated: string[];
    readonly retired: string[];
    readonly writes: (() => Promise<unknown>)[];
  };
  readonly context: Context;
}

/** Adds what has to change. Throws AppError `conflict` when a name belongs to one that an API made. */
export async function planSchedules(
  declared: readonly ScheduleDefinition[],
  { plan, context }: Planning,
): Promise<void> {
  const { store, now } = context;
  const known = new Map<string, Schedule>();
  // Of several retired ones of a name the newest comes back with its history; a living one wins over all.
  for (const schedule of await store.schedulesOfDoor("config")) {
    if (known.get(keyOf(schedule))?.deletedAt !== null) known.set(keyOf(schedule), schedule);
  }
  for (const definition of declared) {
    const old = known.get(keyOf(definition));
    const isLiving = old?.deletedAt === null;
    if (isLiving && isSame(definition, old)) continue;
    if (!isLiving) await assertFree(definition, context);
    (isLiving ? plan.updated : plan.created).push(`schedule ${definition.name}`);
    const id = old?.id ?? context.nextId();
    const timing =
      isLiving && isSameTiming(old.timing, definition.timing) ? null : timed(definition, id, now);
    plan.writes.push(() => store.putSchedule({ id, door: "config", definition, timing, now }));
  }
  const declaredKeys = new Set(declared.map(keyOf));
  for (const schedule of known.values()) {
    if (schedule.deletedAt !== null || declaredKeys.has(keyOf(schedule))) continue;
    plan.retired.push(`schedule ${schedule.name}`);
    plan.writes.push(() => store.retireSchedule(schedule.id, now));
  }
}

/** One without a run in the future is taken all the same: the file may be older than its last run. */
function timed(definition: ScheduleDefinition, id: Id, now: number) {
  const plan = planOf({ timing: definition.timing, anchorAt: now });
  return { anchorAt: now, ...(plan === null ? NO_NEXT_RUN : nextAfter(plan, id, now)) };
}

async function assertFree({ project, name }: ScheduleDefinition, { store }: Context) {
  const taken = await store.scheduleNamed(project, name);
  if (taken === null || taken.door === "config") return;
  throw new AppError(
    "conflict",
    `the schedule name "${name}" is taken by one that was made through an API; rename one of them`,
  );
}

function keyOf({ project, name }: Pick<Schedule, "project" | "name">): string {
  return `${project}/${name}`;
}
