import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseCron } from "../../src/domain/cron.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import {
  dueAt,
  jitterOf,
  nextRun,
  noteOn,
  type Plan,
  PREVIEW_COUNT_MAX,
  preview,
  previousRun,
  type Timing,
} from "../../src/domain/schedule.ts";

const START = Date.UTC(2026, 0, 1);

function planOf(timing: Timing, change: Partial<Plan> = {}): Plan {
  return { timing, zone: "UTC", startAt: null, endAt: null, jitterMs: 0, ...change };
}

function cron(text: string): Timing {
  const parsed = parseCron(text);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  return { kind: "cron", cron: parsed.cron };
}

const every = (intervalMs: number, anchorAt = START): Timing => ({ kind: "every", intervalMs, anchorAt });
const at = (instant: number): Timing => ({ kind: "at", at: instant, note: null });

describe("An interval", () => {
  const plan = planOf(every(15 * MINUTE));

  test("runs at its anchor and every interval after it", () => {
    expect(nextRun(plan, START - DAY)).toBe(START);
    expect(nextRun(plan, START)).toBe(START + 15 * MINUTE);
    expect(nextRun(plan, START + 15 * MINUTE - 1)).toBe(START + 15 * MINUTE);
  });

  test("does not drift, however late it is asked", () => {
    expect(nextRun(plan, START + 1_000 * DAY + 7)).toBe(START + 1_000 * DAY + 15 * MINUTE);
  });

  test("has nothing before its anchor", () => {
    expect(previousRun(plan, START)).toBeNull();
    expect(previousRun(plan, START + 1)).toBe(START);
    expect(previousRun(plan, START + 15 * MINUTE)).toBe(START);
  });

  test("follows elapsed time when the clocks change", () => {
    const daily = planOf(every(DAY, Date.parse("2026-03-28T02:30:00+01:00")), { zone: "Europe/Berlin" });
    expect(preview(daily, Date.UTC(2026, 2, 29), 1)[0]?.local).toBe("2026-03-29T03:30:00");
  });
});

describe("A single instant", () => {
  test("is next until it is reached, and previous once it has passed", () => {
    const plan = planOf(at(START));
    expect([START - 1, START].map((after) => nextRun(plan, after))).toEqual([START, null]);
    expect([START, START + 1].map((before) => previousRun(plan, before))).toEqual([null, START]);
  });
});

describe("A window", () => {
  const plan = planOf(cron("0 * * * *"), { startAt: START + HOUR, endAt: START + 3 * HOUR });

  test("holds its start and not its end", () => {
    const runs = preview(plan, START - DAY, 10).map((run) => run.at);
    expect(runs).toEqual([START + HOUR, START + 2 * HOUR]);
    expect(nextRun(plan, START + 2 * HOUR)).toBeNull();
  });

  test("bounds the way back as well", () => {
    expect(previousRun(plan, START + 10 * DAY)).toBe(START + 2 * HOUR);
    expect(previousRun(plan, START + HOUR)).toBeNull();
  });

  test("that a single instant misses leaves nothing", () => {
    expect(nextRun(planOf(at(START), { startAt: START + 1 }), START - DAY)).toBeNull();
    expect(nextRun(planOf(at(START), { endAt: START }), START - DAY)).toBeNull();
  });
});

describe("Jitter", () => {
  const scheduleId = "0190c0de0000700080000000000000ff";

  test("is the same for the same run of the same schedule", () => {
    const run = { scheduleId, occurrenceAt: START };
    expect(jitterOf(run)).toBe(jitterOf({ ...run }));
    expect(jitterOf(run)).not.toBe(jitterOf({ ...run, occurrenceAt: START + MINUTE }));
    expect(jitterOf(run)).not.toBe(jitterOf({ ...run, scheduleId: `${scheduleId.slice(0, -1)}e` }));
  });

  test("spreads runs evenly over its window", () => {
    const tenths = new Array<number>(10).fill(0);
    for (let index = 0; index < 10_000; index++) {
      const tenth = Math.floor(jitterOf({ scheduleId, occurrenceAt: START + index * MINUTE }) * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(Math.min(...tenths)).toBeGreaterThan(850);
    expect(Math.max(...tenths)).toBeLessThan(1_150);
  });

  test("puts a run off within its window", () => {
    const plan = planOf(cron("0 3 * * *"), { jitterMs: 10 * MINUTE });
    expect(dueAt(plan, START, 0)).toBe(START);
    expect(dueAt(plan, START, 0.5)).toBe(START + 5 * MINUTE);
    expect(dueAt(plan, START, 1 - 2 ** -32)).toBe(START + 10 * MINUTE - 1);
    expect(dueAt({ ...plan, jitterMs: 0 }, START, 0.5)).toBe(START);
  });

  test("never puts a run off as far as the next one", () => {
    const plan = planOf(every(MINUTE), { jitterMs: HOUR });
    expect(dueAt(plan, START, 1 - 2 ** -32)).toBe(START + MINUTE - 1);
    expect(dueAt({ ...plan, endAt: START + MINUTE }, START, 0.5)).toBe(START + 30 * MINUTE);
  });
});

describe("A preview", () => {
  test("shows the run, its local time, its offset, and what the clocks did to it", () => {
    const plan = planOf(cron("30 2 * * *"), { zone: "Europe/Berlin" });
    expect(preview(plan, Date.parse("2026-03-28T00:00:00+01:00"), 3)).toEqual([
      { at: Date.parse("2026-03-28T01:30:00Z"), local: "2026-03-28T02:30:00", offset: "+01:00", note: null },
      {
        at: Date.parse("2026-03-29T01:00:00Z"),
        local: "2026-03-29T03:00:00",
        offset: "+02:00",
        note: "gap: moved from 02:30",
      },
      { at: Date.parse("2026-03-30T00:30:00Z"), local: "2026-03-30T02:30:00", offset: "+02:00", note: null },
    ]);
  });

  test("begins with a run at its very first instant", () => {
    expect(preview(planOf(cron("@daily")), START, 1)[0]?.at).toBe(START);
  });

  test("ends with the schedule, or at its limit", () => {
    expect(preview(planOf(at(START)), START, 5)).toHaveLength(1);
    expect(preview(planOf(at(START)), START + 1, 5)).toHaveLength(0);
    expect(preview(planOf(every(SECOND)), START, 1e9)).toHaveLength(PREVIEW_COUNT_MAX);
    expect(preview(planOf(every(SECOND)), START, 0)).toHaveLength(0);
  });

  test("notes the two passes of a fold for intervals and single instants too", () => {
    const fold = Date.parse("2026-10-25T00:00:00Z");
    const plan = planOf(every(30 * MINUTE, fold), { zone: "Europe/Berlin" });
    expect(preview(plan, fold, 5).map(({ note }) => note)).toEqual([
      "fold: first of two",
      "fold: first of two",
      "fold: second of two",
      "fold: second of two",
      null,
    ]);
    expect(noteOn(planOf({ ...at(fold), kind: "at", at: fold, note: "gap: moved from 02:30" }), fold)).toBe(
      "gap: moved from 02:30",
    );
  });
});

describe("Next and previous runs of every kind", () => {
  const timing = fc.oneof(
    fc.constantFrom("*/7 * * * *", "30 2 * * *", "0 9 L * 5#1", "*/20 * * * * *").map(cron),
    fc.integer({ min: SECOND, max: 3 * DAY }).map((intervalMs) => every(intervalMs, START + 7)),
    fc.integer({ min: START, max: START + 100 * DAY }).map(at),
  );
  const instant = fc.integer({ min: START, max: START + 100 * DAY });
  const limit = fc.option(instant);

  test("stay strictly on their sides and within the window, and are each other's inverse", () => {
    const check = (kind: Timing, startAt: number | null, endAt: number | null, from: number) => {
      const plan = planOf(kind, { startAt, endAt, zone: "America/New_York" });
      const next = nextRun(plan, from);
      if (next === null) return;
      expect(next).toBeGreaterThan(from);
      expect(next).toBeGreaterThanOrEqual(startAt ?? next);
      expect(next).toBeLessThan(endAt ?? Number.POSITIVE_INFINITY);
      expect(nextRun(plan, next - 1)).toBe(next);
      expect(previousRun(plan, next + 1)).toBe(next);
      expect(previousRun(plan, next) ?? from).toBeLessThanOrEqual(from);
    };
    fc.assert(fc.property(timing, limit, limit, instant, check), { numRuns: 300 });
  });
});
