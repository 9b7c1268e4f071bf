/**
 * Schedules over a long time with outages, crashes, clock steps, pauses and reloads: each occurrence runs
 * exactly as its policies say. Deterministic; a failure is repeated with its seed:
 *
 *   POSTERN_SIM_SEED=17 POSTERN_SIM_DAYS=400 npx bun test test/sim/schedules.test.ts
 */
import { expect, test } from "bun:test";
import { DAY, HOUR } from "../../src/domain/duration.ts";
import { withFolder } from "../support/store.ts";
import { walkThroughTime } from "./schedule-walk.ts";

const DAYS = Number(process.env.POSTERN_SIM_DAYS ?? 12);
const SEEDS = process.env.POSTERN_SIM_SEED ? [Number(process.env.POSTERN_SIM_SEED)] : [1, 2, 3];

test.each(SEEDS)(
  `every occurrence of ${DAYS} days runs as its policies say, whatever happens to time (seed %d)`,
  async (seed) => {
    await withFolder(async (folder) => {
      const tally = await walkThroughTime({ seed, path: `${folder}/store.db`, lengthMs: DAYS * DAY });
      process.stdout.write(`${JSON.stringify({ seed, days: DAYS, ...tally })}\n`);
      expect(tally.runs).toBeGreaterThan(DAYS);
      expect(tally.outages).toBeGreaterThan(0);
    });
  },
  10_000 + (DAYS * HOUR) / 5_000,
);
