/**
 * What happens to the runs that became due while nobody looked. The stored next occurrence is due; from it
 * and the present instant follow the runs to make, how many are given up, and the next occurrence to store.
 * The work is bounded however long the pause was: runs are counted back from now, never walked through from
 * the beginning.
 *
 * A pause of up to HICCUP_MS is no outage (a tick under load, a restart, another process taking over a
 * lease): all that is due runs, whatever the policy says. After a longer one the policy decides over
 * everything that is due:
 *
 *   skip   the newest due run goes ahead if it alone is no later than HICCUP_MS; the others are given up
 *   once   one run, named after the oldest missed occurrence (Pingback's rule); the others are given up
 *   all    the newest `max` of those that are at most `ageMaxMs` old, oldest first, one per CATCH_UP_PACE_MS
 *
 * A stored next occurrence counts as a run even if the plan no longer knows it, as after new zone data: it
 * was promised. A clock that steps back changes nothing: occurrences before the stored one have been dealt
 * with.
 */
import { DAY, SECOND } from "./duration.ts";
import { dueAt, jitterOf, nextRun, type Plan, previousRun } from "./schedule.ts";

export type MissedPolicy =
  | { readonly kind: "skip" }
  | { readonly kind: "once" }
  | { readonly kind: "all"; readonly max: number; readonly ageMaxMs: number };

export const DEFAULT_MISSED: MissedPolicy = { kind: "once" };
/** What `all` means without numbers: a day of hourly runs and some, at most a week old. */
export const DEFAULT_ALL = { kind: "all", max: 100, ageMaxMs: 7 * DAY } as const satisfies MissedPolicy;

/** The time another process may need to take over (the longest expiry of a lease). */
export const HICCUP_MS = 15 * SECOND;
/** One run a second: a schedule that catches up leaves its endpoint room for the others. A guess. */
export const CATCH_UP_PACE_MS = SECOND;
/** The highest `max` of `all`, and the most that one call looks back. It takes a few milliseconds. */
export const CATCH_UP_RUNS_MAX = 1_000;
/** Given-up runs of a cron are counted one by one up to here; beyond, the number is a lower bound. */
export const SKIPPED_COUNT_MAX = 5_000;

export interface CatchUpInput {
  readonly scheduleId: string;
  /** The stored next occurrence. */
  readonly nextRunAt: number;
  readonly now: number;
  readonly policy: MissedPolicy;
}

export interface PacedRun {
  /** The planned instant: what the delivery says it is for. */
  readonly occurrenceAt: number;
  /**
   * When to make the delivery; now, or later for the second run and those after it when many are caught up.
   */
  readonly fireAt: number;
}

export interface CatchUp {
  /** Oldest first. */
  readonly runs: readonly PacedRun[];
  /** Runs that the policy gave up. */
  readonly skippedCount: number;
  /** False when `skippedCount` is a lower bound. */
  readonly isSkippedCountExact: boolean;
  /** What to store; strictly after every run above. Null: the schedule has ended. */
  readonly nextRunAt: number | null;
}

/**
 * Returns what to run now, what is given up, and what comes next. Nothing changes before the stored run is
 * due.
 */
export function catchUp(plan: Plan, input: CatchUpInput): CatchUp {
  const { nextRunAt, now } = input;
  const latenessMs = latenessOf(plan, input, nextRunAt);
  if (latenessMs < 0) return { runs: [], skippedCount: 0, isSkippedCountExact: true, nextRunAt };
  const newestAt = newestDue(plan, input);
  const isHiccup = latenessMs <= HICCUP_MS;
  const wanted = { nextRunAt, oldestAt: nextRunAt, newestAt, max: CATCH_UP_RUNS_MAX };
  const kept = isHiccup ? newestRuns(plan, wanted) : keptRuns(plan, input, newestAt);
  const paceMs = isHiccup ? 0 : CATCH_UP_PACE_MS;
  const skipped = countGivenUp(plan, { nextRunAt, newestAt, kept });
  return {
    runs: kept.map((occurrenceAt, index) => ({ occurrenceAt, fireAt: now + index * paceMs })),
    skippedCount: skipped.count,
    isSkippedCountExact: skipped.isExact,
    nextRunAt: nextRun(plan, newestAt),
  };
}

/** How long ago a run was due; negative when it is not yet. */
function latenessOf(plan: Plan, { scheduleId, now }: CatchUpInput, occurrenceAt: number): number {
  return now - dueAt(plan, occurrenceAt, jitterOf({ scheduleId, occurrenceAt }));
}

/** Only the newest occurrence can still wait for its jitter: the window of each ends before the next one. */
function newestDue(plan: Plan, input: CatchUpInput): number {
  const at = runBefore(plan, input.nextRunAt, input.now + 1) ?? input.nextRunAt;
  if (latenessOf(plan, input, at) >= 0) return at;
  return runBefore(plan, input.nextRunAt, at) ?? input.nextRunAt;
}

function keptRuns(plan: Plan, input: CatchUpInput, newestAt: number): number[] {
  const { policy, nextRunAt, now } = input;
  switch (policy.kind) {
    case "skip":
      return latenessOf(plan, input, newestAt) <= HICCUP_MS ? [newestAt] : [];
    case "once":
      return [nextRunAt];
    case "all": {
      const max = Math.min(policy.max, CATCH_UP_RUNS_MAX);
      return newestRuns(plan, { nextRunAt, oldestAt: now - policy.ageMaxMs, newestAt, max });
    }
  }
}

/**
 * Returns the due run before an instant; null before the stored one, which is a run though the plan forgot
 * it.
 */
function runBefore(plan: Plan, nextRunAt: number, before: number): number | null {
  if (before <= nextRunAt) return null;
  return Math.max(previousRun(plan, before) ?? nextRunAt, nextRunAt);
}

interface RunsWanted {
  readonly nextRunAt: number;
  readonly oldestAt: number;
  readonly newestAt: number;
  readonly max: number;
}

/** Returns the newest due runs that are not older than `oldestAt`, oldest first. */
function newestRuns(plan: Plan, { nextRunAt, oldestAt, newestAt, max }: RunsWanted): number[] {
  const runs: number[] = [];
  let at: number | null = newestAt;
  while (at !== null && at >= oldestAt && runs.length < max) {
    runs.push(at);
    at = runBefore(plan, nextRunAt, at);
  }
  return runs.reverse();
}

interface Due {
  readonly nextRunAt: number;
  readonly newestAt: number;
  /** The newest of the due runs without a hole, or the oldest alone, or none. */
  readonly kept: readonly number[];
}

interface Count {
  readonly count: number;
  readonly isExact: boolean;
}

function countGivenUp(plan: Plan, { nextRunAt, newestAt, kept }: Due): Count {
  const [oldestKeptAt] = kept;
  if (oldestKeptAt === undefined) return countRuns(plan, nextRunAt, newestAt + 1);
  if (oldestKeptAt > nextRunAt) return countRuns(plan, nextRunAt, oldestKeptAt);
  // The oldest run is kept: either with all others, or alone and the others are given up.
  const lastKeptAt = kept.at(-1) ?? oldestKeptAt;
  return countRuns(plan, nextRun(plan, lastKeptAt), newestAt + 1);
}

/** Counts the run at `from` and those after it that lie before `to`. */
function countRuns(plan: Plan, from: number | null, to: number): Count {
  let count = 0;
  let at = from;
  while (at !== null && at < to) {
    if (count === SKIPPED_COUNT_MAX) return { count, isExact: false };
    count += 1;
    const { timing } = plan;
    const nextAt = nextRun(plan, at);
    if (timing.kind === "every" && nextAt !== null) {
      return { count: count + Math.max(Math.ceil((to - nextAt) / timing.intervalMs), 0), isExact: true };
    }
    at = nextAt;
  }
  return { count, isExact: true };
}
