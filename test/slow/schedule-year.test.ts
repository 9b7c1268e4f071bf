/**
 * A whole year of schedules with outages, crashes, clock steps, pauses and reloads, compared with the model
 * at every instant (test/sim/schedule-walk.ts). POSTERN_SIM_SEED walks another year.
 */
import { expect, test } from "bun:test";
import { DAY } from "../../src/domain/duration.ts";
import { walkThroughTime } from "../sim/schedule-walk.ts";
import { withFolder } from "../support/store.ts";

const SEEDS = process.env.POSTERN_SIM_SEED ? [Number(process.env.POSTERN_SIM_SEED)] : [2026, 2027];
const LIMIT_MS = 300_000;

test.each(SEEDS)(
  "every occurrence of a year runs exactly as its policies say (seed %d)",
  async (seed) => {
    await withFolder(async (folder) => {
      const tally = await walkThroughTime({ seed, path: `${folder}/store.db`, lengthMs: 365 * DAY });
      process.stdout.write(`${JSON.stringify({ seed, ...tally })}\n`);
      expect(tally.runs).toBeGreaterThan(2_000);
      expect(tally.outages).toBeGreaterThan(100);
      expect(tally.crashes).toBeGreaterThan(20);
      expect(tally.clockSteps).toBeGreaterThan(50);
    });
  },
  LIMIT_MS,
);
