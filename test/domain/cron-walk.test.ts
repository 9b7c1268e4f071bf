/**
 * The next run against a walk through every minute of the zone's clock (cron-walk.ts), in ranges picked from
 * ten years. test/slow/cron-years.test.ts walks all of them.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { nextFireAt, previousFireAt } from "../../src/domain/cron.ts";
import { DAY, HOUR, MINUTE } from "../../src/domain/duration.ts";
import { spanAt } from "../../src/domain/zone.ts";
import { cronOf, firesBackBetween, firesBetween, show, ZONES } from "./cron-between.ts";
import { readWallClock, type WalkedSchedule, walk, walkedSchedule } from "./cron-walk.ts";

const FROM = Date.UTC(2016, 0, 1);
const TO = Date.UTC(2026, 0, 1);
const RANGE_MS = 3 * DAY;
const RUNS = 60;

/**
 * Where a range lies: anywhere, or around a change of the clocks. The missing day is older than ten years.
 */
const place = fc.oneof(
  { weight: 1, arbitrary: fc.record({ zone: fc.constantFrom(...ZONES), at: instant(FROM, TO) }) },
  {
    weight: 3,
    arbitrary: fc.record({ zone: fc.constantFrom(...ZONES), at: instant(FROM, TO) }).map(toChange),
  },
  { weight: 1, arbitrary: fc.constant({ zone: "Pacific/Apia", at: Date.UTC(2011, 11, 29) }) },
  { weight: 1, arbitrary: fc.constant({ zone: "America/St_Johns", at: Date.UTC(2006, 9, 28) }) },
);

function instant(from: number, to: number): fc.Arbitrary<number> {
  return fc.integer({ min: from / MINUTE, max: to / MINUTE }).map((minutes) => minutes * MINUTE);
}

function toChange({ zone, at }: { zone: string; at: number }): { zone: string; at: number } {
  const { endAt } = spanAt(at, zone);
  return { zone, at: Number.isFinite(endAt) && endAt < TO ? endAt - 26 * HOUR : at };
}

describe("The next run", () => {
  test("is what a walk through every minute finds, forwards and backwards", () => {
    const check = (schedule: WalkedSchedule, { zone, at }: { zone: string; at: number }) => {
      const cron = cronOf(schedule.text);
      const found = show(walk(schedule, readWallClock(zone, at, at + RANGE_MS), at));
      if (cron === null) return expect(found).toEqual([]);
      expect(show(firesBetween(cron, zone, [at, at + RANGE_MS]))).toEqual(found);
      expect(show(firesBackBetween(cron, zone, [at, at + RANGE_MS]))).toEqual(found);
    };
    fc.assert(fc.property(walkedSchedule, place, check), { numRuns: RUNS });
  });
});

/** Also with seconds: whatever second field, before the fields of a walked schedule. */
const anySchedule = fc
  .tuple(fc.constantFrom("", "0 ", "30 ", "*/20 ", "5,50 ", "* "), walkedSchedule)
  .map(([second, schedule]) => second + schedule.text);

const anyInstant = fc.integer({ min: FROM, max: TO });

describe("Next and previous runs", () => {
  test("lie strictly on their sides, with no run between, whatever the instant", () => {
    const check = (text: string, zone: string, at: number) => {
      const cron = cronOf(text);
      const next = cron && nextFireAt(cron, zone, at);
      if (cron === null || next === null) return;
      expect(next).toBeGreaterThan(at);
      expect(nextFireAt(cron, zone, next - 1)).toBe(next);
      const previous = previousFireAt(cron, zone, next) ?? Number.NEGATIVE_INFINITY;
      expect(previous).toBeLessThanOrEqual(at);
      expect(previousFireAt(cron, zone, next + 1)).toBe(next);
      if (Number.isFinite(previous)) expect(nextFireAt(cron, zone, previous)).toBe(next);
    };
    fc.assert(fc.property(anySchedule, fc.constantFrom(...ZONES), anyInstant, check), { numRuns: 300 });
  });

  test("never come earlier for a later instant", () => {
    const check = (text: string, zone: string, [one, other]: [number, number]) => {
      const cron = cronOf(text);
      if (cron === null) return;
      const never = Number.POSITIVE_INFINITY;
      const early = nextFireAt(cron, zone, Math.min(one, other)) ?? never;
      const late = nextFireAt(cron, zone, Math.max(one, other)) ?? never;
      expect(early).toBeLessThanOrEqual(late);
    };
    const pair = fc.oneof(
      fc.tuple(anyInstant, anyInstant),
      anyInstant.chain((at) => fc.tuple(fc.constant(at), fc.integer({ min: at, max: at + 2 * DAY }))),
    );
    fc.assert(fc.property(anySchedule, fc.constantFrom(...ZONES), pair, check), { numRuns: 200 });
  });
});
