/**
 * A random walk over everything that can happen to an engine, then a look at what must hold whatever
 * happened. Seed and length can be given: POSTERN_SIM_SEED=17 POSTERN_SIM_STEPS=20000 bun test test/sim
 */
import { expect, test } from "bun:test";
import { AppError } from "../../src/domain/errors.ts";
import { showId } from "../../src/domain/id.ts";
import { receiverUrl } from "../support/engine.ts";
import { FakeRandom } from "../support/fake-random.ts";
import { withFolder } from "../support/store.ts";
import { ENDPOINTS, NAMES, World } from "./world.ts";

const STEPS = Number(process.env.POSTERN_SIM_STEPS ?? 250);
const SEEDS = process.env.POSTERN_SIM_SEED ? [Number(process.env.POSTERN_SIM_SEED)] : [1, 2, 3];
/** A long walk may take its time. */
const TIMEOUT_MS = 10_000 + STEPS * 100;

type Action = (world: World, random: FakeRandom) => Promise<void> | void;

/** How often each happens, relative to the others. */
const ACTIONS: readonly (readonly [number, Action])[] = [
  [30, (world) => world.produce(world.newKey())],
  [8, (world, random) => burst(world, random.below(20))],
  [6, (world, random) => world.produce(`key-${1 + random.below(world.keyCount + 1)}`)],
  [8, (world, random) => world.setMood(random.pick(NAMES))],
  [6, (world) => world.letGo()],
  [6, (world, random) => attempt(() => world.run.engine.commands.pauseEndpoint(pickEndpoint(world, random)))],
  [
    8,
    (world, random) => attempt(() => world.run.engine.commands.resumeEndpoint(pickEndpoint(world, random))),
  ],
  [10, (world, random) => command(world, random)],
  [25, (_world, random) => turn(random.below(8))],
  [15, (world, random) => world.run.advance(random.below(3_000))],
  [10, (world, random) => world.run.advance(random.below(120_000))],
  [2, (world, random) => world.run.clock.step(-random.below(3_600_000))],
  [2, (world, random) => world.run.clock.step(random.below(3_600_000))],
  [3, (world) => world.crash()],
  [1, (world) => world.restart()],
];

function burst(world: World, count: number): void {
  for (let n = 0; n < count; n += 1) world.produce(world.newKey());
}

function pickEndpoint(world: World, random: FakeRandom) {
  return world.run.endpoint(random.pick(NAMES));
}

async function turn(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise(setImmediate);
}

/** What an operator asks for may be refused, but never with anything else than a reason. */
async function attempt(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

async function command(world: World, random: FakeRandom): Promise<void> {
  const page = await world.run.store.listDeliveries({ project: "default", limit: 100 });
  if (page.data.length === 0) return;
  const { id } = random.pick(page.data);
  const verb = random.pick(["cancel", "replay", "retryNow", "discard"] as const);
  await attempt(async () => {
    await world.run.engine.commands[verb]("default", id);
    if (verb === "replay") world.replays.set(id, (world.replays.get(id) ?? 0) + 1);
  });
}

function pickAction(random: FakeRandom): Action {
  const total = ACTIONS.reduce((sum, [weight]) => sum + weight, 0);
  let at = random.below(total);
  for (const [weight, action] of ACTIONS) {
    at -= weight;
    if (at < 0) return action;
  }
  throw new Error("the weights do not add up");
}

async function walk(world: World, random: FakeRandom): Promise<void> {
  await world.open();
  for (let step = 0; step < STEPS; step += 1) await pickAction(random)(world, random);
  await world.run.settle();
  await world.heal();
}

/** Everything that must hold, as a list of what does not. */
async function faults(world: World): Promise<string[]> {
  const { run } = world;
  const found: string[] = [];
  const events = await allEvents(world);
  const deliveries = await run.deliveries();
  const laneNames = new Map(NAMES.map((name) => [run.endpoint(name).lane, name]));
  const byEvent = Map.groupBy(deliveries, ({ eventId }) => eventId);
  for (const [key, id] of world.acknowledged) {
    if (events.get(key) !== id) found.push(`${key} was acknowledged and is not there`);
  }
  for (const [key, id] of events) {
    if (byEvent.get(id)?.length !== NAMES.length) found.push(`${key} has not one delivery per endpoint`);
  }
  for (const { id, state, eventId, lane, attemptCount } of deliveries) {
    const name = laneNames.get(lane);
    if (!["succeeded", "dead", "cancelled", "discarded"].includes(state))
      found.push(`${id} is left ${state}`);
    const taken = world.taken.get(`${name} ${showId("event", eventId ?? "")}`) ?? 0;
    if (state === "succeeded" && taken === 0) found.push(`${id} succeeded unseen`);
    // A stop aborts what is out, and a crash forgets it: both send it once more.
    const allowed = 1 + (world.replays.get(id) ?? 0) + world.crashCount + world.restartCount;
    if (taken > allowed) found.push(`${id} was taken ${taken} times`);
    const { attempts } = await run.delivery(id);
    if (attempts.some(({ number }, index) => number !== index + 1))
      found.push(`${id} has holes in its attempts`);
    if (attempts.length !== attemptCount)
      found.push(`${id} counts ${attemptCount} of ${attempts.length} attempts`);
  }
  for (const { name, concurrency } of ENDPOINTS) {
    const peak = world.peaks.get(receiverUrl(name)) ?? 0;
    if (peak > concurrency) found.push(`${name} had ${peak} attempts out at once`);
  }
  return [...found, ...(await leftovers(world))];
}

async function leftovers({ run }: World): Promise<string[]> {
  const { slots, lanes, dispatcher } = run.engine;
  const left = {
    slots: slots.used,
    windowBytes: lanes.windowBytes,
    attempts: dispatcher.inFlight,
    queueRows: (await run.store.laneHeads()).length,
    writes: run.store.counts().waiting,
  };
  const errors = run.logged.filter(({ level }) => level === "error").map(({ event }) => `logged ${event}`);
  return [
    ...Object.entries(left).flatMap(([what, count]) => (count ? [`${count} ${what} left`] : [])),
    ...errors,
  ];
}

/** Ids by key; a key that is there twice is a duplicate that came through. */
async function allEvents({ run }: World): Promise<Map<string, string>> {
  const events = new Map<string, string>();
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof run.store.listEvents>> = await run.store.listEvents({
      project: "default",
      limit: 500,
      cursor,
    });
    for (const { type, id } of page.data) {
      if (type === null || events.has(type)) throw new Error(`${type} is there twice`);
      events.set(type, id);
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  return events;
}

test.each(SEEDS)(
  "nothing is lost, doubled or stuck, whatever happens (seed %p)",
  async (seed) => {
    await withFolder(async (folder) => {
      const random = new FakeRandom(seed);
      const world = new World(random, folder);
      await walk(world, random);
      const found = await faults(world);
      expect({ seed, steps: STEPS, found }).toEqual({ seed, steps: STEPS, found: [] });
      expect(world.acknowledged.size).toBeGreaterThan(STEPS / 10);
      await world.close();
    });
  },
  TIMEOUT_MS,
);
