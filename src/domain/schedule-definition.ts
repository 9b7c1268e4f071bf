/** A schedule as an object: what was declared, what became of it, and how it moves on. */
import type { NewDelivery, NewPayload } from "./delivery.ts";
import type { Door } from "./endpoint.ts";
import type { Id } from "./id.ts";
import { dueAt, jitterOf, nextRun, type Plan } from "./schedule.ts";
import type { MissedPolicy } from "./schedule-missed.ts";
import type { OverlapPolicy } from "./schedule-overlap.ts";
import { readPlan, type ScheduleSpec } from "./schedule-spec.ts";

/** What a schedule sends. */
export interface Content {
  /** Names are lower-case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What whoever made it says of it: no number, no identity, nothing that happened since. */
export interface ScheduleDefinition {
  readonly project: string;
  readonly name: string;
  /** The words of its timing, as written. */
  readonly timing: ScheduleSpec;
  readonly missed: MissedPolicy;
  readonly overlap: OverlapPolicy;
  /** Runs at once; null: what `overlap` means by itself. */
  readonly activeMax: number | null;
  /**
   * `endpoint`: whatever is due, under way or between two attempts at the endpoint counts as active, not only
   * runs of this schedule.
   */
  readonly activeScope?: "endpoint";
  /** The name of an endpoint of the project. */
  readonly endpoint: string;
  readonly content: Content;
}

/** Where a schedule stands: the run that comes next. Both null when none does: ended, paused, retired. */
export interface NextRun {
  /** The planned instant, which names the run. */
  readonly nextRunAt: number | null;
  /** When it is due: later than planned by its jitter. */
  readonly nextDueAt: number | null;
}

export const SKIP_REASONS = ["missed", "overlap", "queue_full", "no_endpoint", "paused"] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

export interface Skips {
  readonly count: number;
  readonly reason: SkipReason;
}

/** Of the newest run, and of the latest one there was. */
export interface Lateness {
  readonly lastMs: number;
  readonly mostMs: number;
}

/** Given-up runs by reason; a reason that never occurred is left out. */
export type SkipCounts = Readonly<Partial<Record<SkipReason, number>>>;

export interface Schedule extends ScheduleDefinition, NextRun {
  readonly seq: number;
  readonly id: Id;
  readonly door: Door;
  /** What `every` counts from when there is no `start`. */
  readonly anchorAt: number;
  readonly pausedAt: number | null;
  readonly runCount: number;
  readonly skippedCount: number;
  /** The planned instant of the newest run. */
  readonly lastRunAt: number | null;
  /** How late runs were stored, compared with when they were due; null before the first. */
  readonly late: Lateness | null;
  readonly lastSkip: { readonly at: number; readonly reason: SkipReason } | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}

/** A due schedule with what decides about overlapping. */
export interface DueSchedule extends Schedule {
  /** Its deliveries that are not finished; counted up to ACTIVE_COUNT_MAX. */
  readonly activeCount: number;
  /** Runs that wait for a place. */
  readonly queuedCount: number;
}

/** Counting further would change no decision. */
export const ACTIVE_COUNT_MAX = 1_001;

/** One run as it is stored: a delivery that says which occurrence it is for. */
export interface PreparedRun {
  readonly occurrenceAt: number;
  readonly delivery: NewDelivery & { readonly payload: NewPayload };
}

/**
 * What one look at a schedule comes to. It is applied whole, and only while the schedule is as it was: that
 * is what keeps a run from being lost or doubled, whenever the process dies.
 */
export interface ScheduleStep extends NextRun {
  readonly seq: number;
  readonly fromRunAt: number;
  readonly fromUpdatedAt: number;
  readonly runs: readonly PreparedRun[];
  /** Occurrences that wait for a place. */
  readonly queued: readonly number[];
  readonly skips: readonly Skips[];
  /** Of these runs; null without any. */
  readonly late: Lateness | null;
  readonly now: number;
}

/** Runs that waited and may start now. */
export interface QueuedRelease {
  readonly seq: number;
  readonly runs: readonly PreparedRun[];
  /** Null for a run that nobody planned. */
  readonly late: Lateness | null;
  readonly now: number;
}

export const NO_NEXT_RUN: NextRun = { nextRunAt: null, nextDueAt: null };

/** Returns the plan of a stored schedule; null when today's program or zone data cannot read it any more. */
export function planOf({ timing, anchorAt }: Pick<Schedule, "timing" | "anchorAt">): Plan | null {
  const reading = readPlan(timing, anchorAt);
  return reading.ok ? reading.plan : null;
}

/** Returns the first run strictly after an instant, with when it is due. */
export function nextAfter(plan: Plan, scheduleId: Id, after: number): NextRun {
  return withDue(plan, scheduleId, nextRun(plan, after));
}

/** Returns a run with when it is due: the same on every call. */
export function withDue(plan: Plan, scheduleId: Id, occurrenceAt: number | null): NextRun {
  if (occurrenceAt === null) return NO_NEXT_RUN;
  const nextDueAt = dueAt(plan, occurrenceAt, jitterOf({ scheduleId, occurrenceAt }));
  return { nextRunAt: occurrenceAt, nextDueAt };
}

/** True when both say the same times: then a due run stays due, whatever else has changed. */
export function isSameTiming(one: ScheduleSpec, other: ScheduleSpec): boolean {
  const keys = ["cron", "every", "at", "timezone", "start", "end", "jitter"] as const;
  return keys.every((key) => one[key] === other[key]);
}

/** Returns how late these runs are, in their order; null without any. A clock set back makes none early. */
export function latenessOf(runs: readonly { readonly dueAt: number; readonly fireAt: number }[]) {
  const lateMs = runs.map(({ dueAt: plannedAt, fireAt }) => Math.max(0, fireAt - plannedAt));
  const lastMs = lateMs.at(-1);
  return lastMs === undefined ? null : { lastMs, mostMs: Math.max(...lateMs) };
}

/** Returns the payload of a run: the content, and on top which schedule and occurrence it is for. */
export function payloadOf({ name, content }: ScheduleDefinition, occurrenceAt: number): NewPayload {
  const headers = {
    ...content.headers,
    "postern-schedule": name,
    "postern-occurrence": new Date(occurrenceAt).toISOString(),
  };
  return { headers: JSON.stringify(headers), body: Buffer.from(content.body) };
}
