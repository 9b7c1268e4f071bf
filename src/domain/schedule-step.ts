/** What one look at a due schedule comes to: which runs start, which wait, which are given up. Pure. */
import { dueAt, jitterOf, type Plan } from "./schedule.ts";
import {
  type DueSchedule,
  type NextRun,
  planOf,
  type Schedule,
  type SkipReason,
  type Skips,
  withDue,
} from "./schedule-definition.ts";
import type { PacedRun } from "./schedule-missed.ts";
import { catchUp } from "./schedule-missed.ts";
import { decideOverlap, releasableCount } from "./schedule-overlap.ts";

/** A run that starts, with when it was due: planned, and put off by its jitter. */
export interface StartingRun extends PacedRun {
  readonly dueAt: number;
}

export interface Decided extends NextRun {
  readonly starts: readonly StartingRun[];
  /** Occurrences that wait for a place. */
  readonly queued: readonly number[];
  readonly skips: readonly Skips[];
  /** False when the number of given-up runs is a lower bound. */
  readonly isCountExact: boolean;
}

/** Returns the decision at an instant; null when the stored timing cannot be read any more. */
export function decideStep(schedule: DueSchedule, now: number): Decided | null {
  const plan = planOf(schedule);
  if (plan === null || schedule.nextRunAt === null) return null;
  const { id, nextRunAt, missed: policy } = schedule;
  const caught = catchUp(plan, { scheduleId: id, nextRunAt, now, policy });
  const counts = new Map<SkipReason, number>();
  const giveUp = (reason: SkipReason, count: number) => counts.set(reason, (counts.get(reason) ?? 0) + count);
  if (caught.skippedCount > 0) giveUp("missed", caught.skippedCount);
  const starts: StartingRun[] = [];
  const queued: number[] = [];
  for (const run of caught.runs) {
    const decision = decideOverlap({
      policy: schedule.overlap,
      activeMax: schedule.activeMax,
      activeCount: schedule.activeCount + starts.length,
      queuedCount: schedule.queuedCount + queued.length,
    });
    if (decision.kind === "run") starts.push({ ...run, dueAt: dueOf(plan, id, run.occurrenceAt) });
    else if (decision.kind === "queue") queued.push(run.occurrenceAt);
    else giveUp(decision.reason, 1);
  }
  const skips = [...counts].map(([reason, count]) => ({ reason, count }));
  const isCountExact = caught.isSkippedCountExact;
  return { starts, queued, skips, isCountExact, ...withDue(plan, id, caught.nextRunAt) };
}

function dueOf(plan: Plan, scheduleId: string, occurrenceAt: number): number {
  return dueAt(plan, occurrenceAt, jitterOf({ scheduleId, occurrenceAt }));
}

/** Returns runs that waited, as they start now. What cannot be planned any more was due as it is named. */
export function startWaiting(schedule: Schedule, occurrences: readonly number[], now: number): StartingRun[] {
  const plan = planOf(schedule);
  return occurrences.map((occurrenceAt) => ({
    occurrenceAt,
    fireAt: now,
    dueAt: plan === null ? occurrenceAt : dueOf(plan, schedule.id, occurrenceAt),
  }));
}

/** Returns how many runs of a schedule that wait may start now. */
export function startableCount({ overlap, activeMax, activeCount, queuedCount }: DueSchedule): number {
  return releasableCount({ policy: overlap, activeMax, activeCount, queuedCount });
}
