/**
 * The next run against a walk through every minute of ten years, in every zone (test/domain/cron-walk.ts).
 * The schedules are drawn from a seed:
 *
 *   POSTERN_WALK_SEED        another draw
 *   POSTERN_WALK_SCHEDULES   how many per zone
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { DAY } from "../../src/domain/duration.ts";
import { cronOf, firesBackBetween, firesBetween, show, ZONES } from "../domain/cron-between.ts";
import { readWallClock, walk, walkedSchedule } from "../domain/cron-walk.ts";

const SEED = Number(process.env.POSTERN_WALK_SEED ?? 5);
const SCHEDULES = Number(process.env.POSTERN_WALK_SCHEDULES ?? 5);
const YEARS = 10;
const LAST_YEAR = 2026;
/** Its missing day was in 2011. */
const APIA_YEAR = 2016;
const LIMIT_MS = 60_000 + SCHEDULES * 30_000;

const PLACES = [
  ...ZONES.map((zone) => ({ zone, year: LAST_YEAR })),
  { zone: "America/Sao_Paulo", year: 2019 },
  { zone: "Pacific/Apia", year: APIA_YEAR },
];

test.each(PLACES)(
  `the next run is what a walk through ten years finds in $zone up to $year (seed ${SEED})`,
  ({ zone, year }) => {
    const to = Date.UTC(year, 0, 1);
    const from = to - YEARS * 365 * DAY;
    const clock = readWallClock(zone, from, to);
    let compared = 0;
    for (const schedule of fc.sample(walkedSchedule, { numRuns: SCHEDULES, seed: SEED + year })) {
      const cron = cronOf(schedule.text);
      if (cron === null) continue;
      const found = walk(schedule, clock, from);
      // Compared as text only when they differ: a long list costs more to print than to find.
      const next = firesBetween(cron, zone, [from, to]);
      const previous = firesBackBetween(cron, zone, [from, to]);
      compared += found.length;
      if (Bun.deepEquals(next, found) && Bun.deepEquals(previous, found)) continue;
      expect({ schedule: schedule.text, fires: show(next) }).toEqual({
        schedule: schedule.text,
        fires: show(found),
      });
      expect(show(previous)).toEqual(show(found));
    }
    expect(compared).toBeGreaterThan(0);
  },
  LIMIT_MS,
);
