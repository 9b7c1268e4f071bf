/** The walk itself: what happens when, drawn from the seed. */
import { expect } from "bun:test";
import { DAY, HOUR } from "../../src/domain/duration.ts";
import { iso, OUTAGES_MS, ScheduleYear, START, STEPS_MS, type Tally } from "./schedule-year.ts";

interface Walk {
  readonly seed: number;
  readonly path: string;
  readonly lengthMs: number;
}

type Action = (year: ScheduleYear) => Promise<void>;

/** How often each happens, relative to the others. */
const ACTIONS: readonly (readonly [number, Action])[] = [
  [12, outage],
  [6, stepClock],
  [4, crash],
  [4, (year) => year.togglePause()],
  [2, (year) => year.reload()],
  [60, (year) => year.finishOne()],
];

/** Half of them lie around an instant at which runs are due: the short ones would hardly ever meet one. */
async function outage(year: ScheduleYear): Promise<void> {
  const lengthMs = year.random.pick(OUTAGES_MS) + year.random.below(900);
  await approach(year, lengthMs);
  await year.outage(lengthMs);
}

async function stepClock(year: ScheduleYear): Promise<void> {
  const byMs = year.random.pick(STEPS_MS) + year.random.below(900);
  await approach(year, Math.abs(byMs));
  await year.stepClock(byMs);
}

async function approach(year: ScheduleYear, lengthMs: number): Promise<void> {
  const { random, nextDueAt, clock } = year;
  const at = nextDueAt - 1 - random.below(lengthMs);
  if (random.unit() < 0.5 && at > clock.now()) await year.goTo(at);
}

function crash(year: ScheduleYear): Promise<void> {
  const trouble = year.random.pick(["unwritten", "unheard"] as const);
  const downMs = year.random.pick(OUTAGES_MS) + year.random.below(900);
  return year.crash(year.nextDueAt, trouble, downMs);
}

/** Between two actions, on average; half of the actions come within minutes of the one before. */
const GAP_MS = 4 * HOUR;

function gapMs(year: ScheduleYear): number {
  const { random } = year;
  const longestMs = random.unit() < 0.3 ? GAP_MS / 60 : 2 * GAP_MS;
  // Never at a whole second, where runs are due: which of two things at one instant comes first is nobody's.
  return 1_000 * random.below(longestMs / 1_000) + 101 + random.below(700);
}

function pickAction(year: ScheduleYear): Action {
  let left = year.random.below(ACTIONS.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, action] of ACTIONS) {
    left -= weight;
    if (left < 0) return action;
  }
  throw new Error("unreachable");
}

/** Walks until the clock shows the end. Throws at the first difference. */
export async function walkThroughTime({ seed, path, lengthMs }: Walk): Promise<Tally> {
  const year = new ScheduleYear(seed, path);
  const endAt = START + lengthMs;
  await year.begin(endAt);
  let actionAt = START + gapMs(year);
  while (year.clock.now() < endAt) {
    const { nextDueAt } = year;
    if (nextDueAt < actionAt) {
      await year.goTo(Math.max(nextDueAt, year.clock.now()));
      continue;
    }
    await year.goTo(Math.max(actionAt, year.clock.now()));
    await pickAction(year)(year);
    actionAt = year.clock.now() + gapMs(year);
  }
  await year.run.advance(DAY / 1_000);
  await year.compareState();
  expectDelivered(year);
  const { tally } = year;
  for (const { skipped } of year.models.values()) {
    tally.skipped += Object.values(skipped).reduce((sum, count) => sum + count, 0);
  }
  await year.stop();
  return tally;
}

/** Every run of the schedules whose receiver answers was sent at least once. */
function expectDelivered(year: ScheduleYear): void {
  for (const { name, runCount } of year.models.values()) {
    if (name.startsWith("slow")) continue;
    expect({ name, seen: year.seenOf(name).size, at: iso(year.clock.now()) }).toMatchObject({
      name,
      seen: runCount,
    });
  }
}
