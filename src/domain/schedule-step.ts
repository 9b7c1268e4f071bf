/** What one look at a due schedule comes to: which runs start, which wait, which are given up. Pure. */

import {
  type DueSchedule,
  type NextRun,
  planOf,
  type SkipReason,
  type Skips,
  withDue,
} from "./schedule-definition.ts";
import type { PacedRun } from "./schedule-missed.ts";
import { catchUp } from "./schedule-missed.ts";
import { decideOverlap, releasableCount } from "./schedule-overlap.ts";

export interface Decided extends NextRun {
  readonly starts: readonly PacedRun[];
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
  const starts: PacedRun[] = [];
  const queued: number[] = [];
  for (const run of caught.runs) {
    const decision = decideOverlap({
      policy: schedule.overlap,
      activeMax: schedule.activeMax,
      activeCount: schedule.activeCount + starts.length,
      queuedCount: schedule.queuedCount + queued.length,
    });
    if (decision.kind === "run") starts.push(run);
    else if (decision.kind === "queue") queued.push(run.occurrenceAt);
    else giveUp(decision.reason, 1);
  }
  const skips = [...counts].map(([reason, count]) => ({ reason, count }));
  const isCountExact = caught.isSkippedCountExact;
  return { starts, queued, skips, isCountExact, ...withDue(plan, id, caught.nextRunAt) };
}

/** Returns how many runs of a schedule that wait may start now. */
export function startableCount({ overlap, activeMax, activeCount, queuedCount }: DueSchedule): number {
  return releasableCount({ policy: overlap, activeMax, activeCount, queuedCount });
}
