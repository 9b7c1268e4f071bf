import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseCron } from "../../src/domain/cron.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import { dueAt, jitterOf, nextRun, type Plan } from "../../src/domain/schedule.ts";
import {
  CATCH_UP_PACE_MS,
  CATCH_UP_RUNS_MAX,
  type CatchUp,
  catchUp,
  DEFAULT_ALL,
  DEFAULT_MISSED,
  HICCUP_MS,
  type MissedPolicy,
  SKIPPED_COUNT_MAX,
} from "../../src/domain/schedule-missed.ts";

const START = Date.UTC(2026, 0, 1);
const SCHEDULE_ID = "0190c0de0000700080000000000000ff";

function cronPlan(text: string, change: Partial<Plan> = {}): Plan {
  const parsed = parseCron(text);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  const timing = { kind: "cron", cron: parsed.cron } as const;
  return { timing, zone: "UTC", startAt: null, endAt: null, jitterMs: 0, ...change };
}

const hourly = cronPlan("0 * * * *");

/** A catch-up of runs that were stored as due at START. */
function after(pauseMs: number, policy: MissedPolicy, plan = hourly): CatchUp {
  return catchUp(plan, { scheduleId: SCHEDULE_ID, nextRunAt: START, now: START + pauseMs, policy });
}

/** Which hours run, which are given up, and what is next. */
function hours({ runs, skippedCount, nextRunAt }: CatchUp) {
  const hour = (at: number) => (at - START) / HOUR;
  return {
    runs: runs.map(({ occurrenceAt }) => hour(occurrenceAt)),
    skipped: skippedCount,
    next: nextRunAt === null ? null : hour(nextRunAt),
  };
}

const SKIP: MissedPolicy = { kind: "skip" };
const ONCE: MissedPolicy = { kind: "once" };
const all = (max: number, ageMaxMs = 365 * DAY): MissedPolicy => ({ kind: "all", max, ageMaxMs });

describe("Before the stored run is due, catching up", () => {
  test.each([SKIP, ONCE, all(10)])("changes nothing under $kind", (policy) => {
    expect(hours(after(-1, policy))).toEqual({ runs: [], skipped: 0, next: 0 });
    expect(hours(after(-DAY, policy))).toEqual({ runs: [], skipped: 0, next: 0 });
  });
});

describe("A run that is due now or was a moment ago", () => {
  test.each([SKIP, ONCE, all(10)])("goes ahead under $kind", (policy) => {
    expect(hours(after(0, policy))).toEqual({ runs: [0], skipped: 0, next: 1 });
    expect(hours(after(HICCUP_MS, policy))).toEqual({ runs: [0], skipped: 0, next: 1 });
  });

  test.each([SKIP, ONCE, all(1)])("takes those just before it along under $kind", (policy) => {
    const { runs, skippedCount, nextRunAt } = after(3 * SECOND, policy, cronPlan("* * * * * *"));
    expect(runs).toEqual(
      [0, 1, 2, 3].map((second) => ({ occurrenceAt: START + second * SECOND, fireAt: START + 3 * SECOND })),
    );
    expect({ skippedCount, nextRunAt }).toEqual({ skippedCount: 0, nextRunAt: START + 4 * SECOND });
  });
});

describe("After an outage", () => {
  interface Row {
    readonly does: string;
    readonly pauseMs: number;
    readonly policy: MissedPolicy;
    readonly runs: readonly number[];
    readonly skipped: number;
    readonly next: number;
  }

  const rows: readonly Row[] = [
    { does: "skip gives up a late run", pauseMs: HICCUP_MS + 1, policy: SKIP, runs: [], skipped: 1, next: 1 },
    { does: "skip gives up all late runs", pauseMs: 5.5 * HOUR, policy: SKIP, runs: [], skipped: 6, next: 6 },
    {
      does: "skip runs what is due just now",
      pauseMs: 5 * HOUR,
      policy: SKIP,
      runs: [5],
      skipped: 5,
      next: 6,
    },
    { does: "once runs a late run", pauseMs: HICCUP_MS + 1, policy: ONCE, runs: [0], skipped: 0, next: 1 },
    {
      does: "once runs the oldest of many",
      pauseMs: 5.5 * HOUR,
      policy: ONCE,
      runs: [0],
      skipped: 5,
      next: 6,
    },
    {
      does: "once counts what is due just now",
      pauseMs: 5 * HOUR,
      policy: ONCE,
      runs: [0],
      skipped: 5,
      next: 6,
    },
    {
      does: "all runs every one",
      pauseMs: 2.5 * HOUR,
      policy: all(10),
      runs: [0, 1, 2],
      skipped: 0,
      next: 3,
    },
    { does: "all keeps the newest", pauseMs: 5.5 * HOUR, policy: all(2), runs: [4, 5], skipped: 4, next: 6 },
    { does: "all fits exactly", pauseMs: 2.5 * HOUR, policy: all(3), runs: [0, 1, 2], skipped: 0, next: 3 },
    {
      does: "all gives up those that are too old",
      pauseMs: 5.5 * HOUR,
      policy: all(10, 2 * HOUR),
      runs: [4, 5],
      skipped: 4,
      next: 6,
    },
    {
      does: "all keeps a run of exactly the highest age",
      pauseMs: 5.5 * HOUR,
      policy: all(10, 2.5 * HOUR),
      runs: [3, 4, 5],
      skipped: 3,
      next: 6,
    },
    {
      does: "all runs nothing when all is too old",
      pauseMs: 5.5 * HOUR,
      policy: all(10, MINUTE),
      runs: [],
      skipped: 6,
      next: 6,
    },
  ];

  test.each([...rows])("$does", ({ pauseMs, policy, runs, skipped, next }) => {
    expect(hours(after(pauseMs, policy))).toEqual({ runs: [...runs], skipped, next });
  });

  test("the runs that are caught up follow each other at a pace", () => {
    const { runs } = after(2.5 * HOUR, all(10));
    const now = START + 2.5 * HOUR;
    expect(runs.map(({ fireAt }) => fireAt - now)).toEqual([0, CATCH_UP_PACE_MS, 2 * CATCH_UP_PACE_MS]);
  });

  test("an ended schedule catches up what lay before its end, and has no next run", () => {
    const ended = cronPlan("0 * * * *", { endAt: START + 3 * HOUR });
    expect(hours(after(30 * DAY, all(10), ended))).toEqual({ runs: [0, 1, 2], skipped: 0, next: null });
    expect(hours(after(30 * DAY, ONCE, ended))).toEqual({ runs: [0], skipped: 2, next: null });
  });

  test("a single instant is run or given up, and has no next run", () => {
    const single: Plan = { ...hourly, timing: { kind: "at", at: START, note: null } };
    expect(hours(after(DAY, ONCE, single))).toEqual({ runs: [0], skipped: 0, next: null });
    expect(hours(after(DAY, all(5), single))).toEqual({ runs: [0], skipped: 0, next: null });
    expect(hours(after(DAY, SKIP, single))).toEqual({ runs: [], skipped: 1, next: null });
  });

  test("a stored run that the plan no longer knows is a run all the same", () => {
    const halfPast = cronPlan("30 * * * *");
    expect(hours(after(1.75 * HOUR, all(10), halfPast))).toEqual({
      runs: [0, 0.5, 1.5],
      skipped: 0,
      next: 2.5,
    });
    expect(hours(after(1.75 * HOUR, all(1), halfPast))).toEqual({ runs: [1.5], skipped: 2, next: 2.5 });
    expect(hours(after(1.75 * HOUR, ONCE, halfPast))).toEqual({ runs: [0], skipped: 2, next: 2.5 });
    expect(hours(after(SECOND, SKIP, halfPast))).toEqual({ runs: [0], skipped: 0, next: 0.5 });
  });
});

describe("After years of downtime", () => {
  const DECADE = 3_652 * DAY;

  test("every second of an interval is counted without being visited", () => {
    const everySecond: Plan = { ...hourly, timing: { kind: "every", intervalMs: SECOND, anchorAt: START } };
    const caught = after(DECADE, all(3), everySecond);
    expect(caught.runs.map(({ occurrenceAt }) => occurrenceAt)).toEqual(
      [2, 1, 0].map((back) => START + DECADE - back * SECOND),
    );
    expect(caught).toMatchObject({ skippedCount: DECADE / SECOND - 2, isSkippedCountExact: true });
    expect(after(DECADE, ONCE, everySecond)).toMatchObject({ skippedCount: DECADE / SECOND });
    expect(after(DECADE + 1, SKIP, everySecond)).toMatchObject({ skippedCount: DECADE / SECOND });
  });

  test("no limit that a user sets is higher than what one call may do", () => {
    const { runs, nextRunAt } = after(DECADE, all(1e9, 2 * DECADE), cronPlan("* * * * *"));
    expect(runs).toHaveLength(CATCH_UP_RUNS_MAX);
    expect(runs.at(-1)?.occurrenceAt).toBe(START + DECADE);
    expect(nextRunAt).toBe(START + DECADE + MINUTE);
  });

  test("the skipped runs of a dense cron are a lower bound, and say so", () => {
    const everyMinute = cronPlan("* * * * *");
    for (const policy of [SKIP, ONCE, all(3)]) {
      const caught = after(DECADE, policy, everyMinute);
      expect(caught).toMatchObject({ skippedCount: SKIPPED_COUNT_MAX, isSkippedCountExact: false });
      expect(caught.nextRunAt).toBe(START + DECADE + MINUTE);
    }
  });
});

describe("With jitter", () => {
  const jittery = cronPlan("0 * * * *", { jitterMs: 50 * MINUTE });
  const dueOf = (occurrenceAt: number) =>
    dueAt(jittery, occurrenceAt, jitterOf({ scheduleId: SCHEDULE_ID, occurrenceAt }));

  test("a run is due only once its jitter has passed", () => {
    const delayMs = dueOf(START) - START;
    expect(delayMs).toBeGreaterThan(MINUTE);
    expect(hours(after(delayMs - 1, SKIP, jittery))).toEqual({ runs: [], skipped: 0, next: 0 });
    expect(hours(after(delayMs, SKIP, jittery))).toEqual({ runs: [0], skipped: 0, next: 1 });
    expect(hours(after(delayMs + HICCUP_MS + 1, SKIP, jittery))).toEqual({ runs: [], skipped: 1, next: 1 });
  });

  test("the newest run stays the next one while its jitter lasts", () => {
    const now = dueOf(START + 5 * HOUR) - START;
    expect(hours(after(now - 1, all(10), jittery))).toMatchObject({ runs: [0, 1, 2, 3, 4], next: 5 });
    expect(hours(after(now, all(10), jittery))).toMatchObject({ runs: [0, 1, 2, 3, 4, 5], next: 6 });
  });
});

describe("However long the pauses are", () => {
  const policy = fc.oneof(
    fc.constant(SKIP),
    fc.constant(ONCE),
    fc
      .tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 3 * DAY }))
      .map(([max, age]) => all(max, age)),
  );
  const plan = fc.constantFrom(
    hourly,
    cronPlan("*/15 2 * * *", { zone: "Europe/Berlin" }),
    cronPlan("*/7 * * * *", { jitterMs: 5 * MINUTE }),
    cronPlan("30 1 * * *", { zone: "America/New_York", jitterMs: HOUR }),
    { ...hourly, timing: { kind: "every", intervalMs: 40 * SECOND, anchorAt: START + 3 } } as const,
  );
  /** Negative ones are a clock that is set back. */
  const pauses = fc.array(fc.integer({ min: -2 * HOUR, max: DAY }), { maxLength: 40 });

  test("every run is made once or given up once, in order, and none is lost", () => {
    const check = (schedule: Plan, missed: MissedPolicy, lengths: readonly number[]) => {
      const firstAt = nextRun(schedule, Date.UTC(2026, 9, 23)) ?? 0;
      let nextRunAt = firstAt;
      let now = firstAt - HOUR;
      const made: number[] = [];
      let skipped = 0;
      for (const pauseMs of lengths) {
        now += pauseMs;
        const caught = catchUp(schedule, { scheduleId: SCHEDULE_ID, nextRunAt, now, policy: missed });
        made.push(...caught.runs.map(({ occurrenceAt }) => occurrenceAt));
        skipped += caught.skippedCount;
        expect(caught.isSkippedCountExact).toBe(true);
        nextRunAt = caught.nextRunAt ?? Number.NaN;
      }
      const planned: number[] = [];
      for (let at = firstAt; at < nextRunAt; at = nextRun(schedule, at) ?? Number.NaN) planned.push(at);
      expect(made).toEqual([...new Set(made)].sort((one, other) => one - other));
      expect(made.filter((at) => !planned.includes(at))).toEqual([]);
      expect(made.length + skipped).toBe(planned.length);
    };
    fc.assert(fc.property(plan, policy, pauses, check), { numRuns: 60 });
  });
});

test("A schedule that says nothing catches up once, and `all` without numbers is bounded", () => {
  expect(DEFAULT_MISSED).toEqual({ kind: "once" });
  expect(DEFAULT_ALL).toEqual({ kind: "all", max: 100, ageMaxMs: 7 * DAY });
});
