import { describe, expect, test } from "bun:test";
import type { Bulk, DeliveryMatch, NewBulk } from "../../src/domain/bulk.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { withFolder } from "../support/store.ts";

const ONE_TRY = { kind: "ladder", delaysMs: [], jitter: 0 } as const;
const MATCH: DeliveryMatch = { project: "default", states: ["dead"] };
const REPLAY: Omit<NewBulk, "id"> = {
  project: "default",
  action: "replay",
  isAsNew: false,
  match: MATCH,
  rate: null,
};
const ENDPOINTS = [{ name: "app", retry: ONE_TRY, breaker: { failures: 0, recoveryMs: 1_000 } }];

/** An engine with dead letters of one endpoint, whose receiver is well again. */
async function withDead(count: number, setup: EngineSetup = {}): Promise<TestEngine> {
  const world = await startEngine({ endpoints: ENDPOINTS, ...setup });
  world.receiver.always(receiverUrl("app"), { status: 500 });
  await world.acceptMany(count);
  expect(new Set(await world.states())).toEqual(new Set(["dead"]));
  world.receiver.always(receiverUrl("app"), { status: 200 });
  return world;
}

async function read(world: TestEngine, { id }: Bulk): Promise<Bulk> {
  const bulk = await world.store.getBulk({ project: "default", id });
  if (bulk === null) throw new Error("no such bulk operation");
  return bulk;
}

async function attemptCounts(world: TestEngine): Promise<number[]> {
  return (await world.deliveries()).map(({ attemptCount }) => attemptCount);
}

describe("A bulk replay", () => {
  test("sends every dead letter once more, and is done", async () => {
    await using world = await withDead(300);
    const bulk = await world.engine.bulks.create(REPLAY);
    await world.settle();
    expect(await read(world, bulk)).toMatchObject({ state: "done", changedCount: 300, skippedCount: 0 });
    expect(new Set(await world.states())).toEqual(new Set(["succeeded"]));
    expect(new Set(await attemptCounts(world))).toEqual(new Set([2]));
  });

  test("does not touch what dies after its beginning, be it for the second time", async () => {
    await using world = await withDead(5);
    world.receiver.always(receiverUrl("app"), { status: 500 });
    const bulk = await world.engine.bulks.create(REPLAY);
    await world.acceptMany(3);
    expect(await read(world, bulk)).toMatchObject({ state: "done", changedCount: 5 });
    expect((await attemptCounts(world)).sort()).toEqual([1, 1, 1, 2, 2, 2, 2, 2]);
  });

  test("drips at its rate", async () => {
    await using world = await withDead(10);
    const sent = world.receiver.sent.length;
    await world.engine.bulks.create({ ...REPLAY, rate: 2 });
    await world.settle();
    const dripped: number[] = [];
    for (let second = 0; second < 4; second += 1) {
      dripped.push(world.receiver.sent.length - sent);
      await world.advanceStepwise(1_000);
    }
    expect(dripped).toEqual([1, 3, 5, 7]);
  });

  test("waits for its receivers when it has no rate, so that it is never far ahead of them", async () => {
    await using world = await withDead(1_000);
    world.receiver.always(receiverUrl("app"), "hang");
    const bulk = await world.engine.bulks.create(REPLAY);
    await world.settle();
    const { changedCount } = await read(world, bulk);
    expect(changedCount).toBeGreaterThan(0);
    expect(changedCount).toBeLessThanOrEqual(32);
  });

  test("sends copies under new ids, and leaves the dead letters dead", async () => {
    await using world = await withDead(3);
    await world.engine.bulks.create({ ...REPLAY, isAsNew: true });
    await world.settle();
    const after = await world.deliveries();
    expect(after.map(({ state }) => state).join(" ")).toBe("dead dead dead succeeded succeeded succeeded");
    expect(new Set(after.map(({ id }) => id)).size).toBe(6);
    const bodies = world.receiver.sent.map(({ body }) => Buffer.from(body).toString());
    expect(bodies.slice(3).sort()).toEqual(bodies.slice(0, 3).sort());
  });

  test("pauses, stays so over a restart, goes on, and does nothing twice", async () => {
    await withFolder(async (folder) => {
      const path = `${folder}/store.db`;
      const first = await withDead(8, { path });
      const bulk = await first.engine.bulks.create({ ...REPLAY, rate: 1 });
      await first.settle();
      await first.advanceStepwise(2_000);
      await first.engine.bulks.pause({ project: "default", id: bulk.id });
      await first.advanceStepwise(10_000);
      const { changedCount } = await read(first, bulk);
      expect(changedCount).toBe(3);
      const now = first.clock.now();
      await first.close();

      await using second = await startEngine({ path, endpoints: ENDPOINTS });
      second.clock.advance(Math.max(0, now - second.clock.now()));
      await second.advanceStepwise(10_000);
      expect((await read(second, bulk)).changedCount).toBe(3);
      await second.engine.bulks.resume({ project: "default", id: bulk.id });
      await second.advanceStepwise(10_000);
      expect(await read(second, bulk)).toMatchObject({ state: "done", changedCount: 8 });
      expect(await attemptCounts(second)).toEqual([2, 2, 2, 2, 2, 2, 2, 2]);
    });
  });

  test("goes on by itself after a restart", async () => {
    await withFolder(async (folder) => {
      const path = `${folder}/store.db`;
      const first = await withDead(6, { path });
      const bulk = await first.engine.bulks.create({ ...REPLAY, rate: 1 });
      await first.settle();
      await first.advanceStepwise(1_000);
      await first.close();
      await using second = await startEngine({ path, endpoints: ENDPOINTS });
      await second.advanceStepwise(10_000);
      expect(await read(second, bulk)).toMatchObject({ state: "done", changedCount: 6 });
      expect(await attemptCounts(second)).toEqual([2, 2, 2, 2, 2, 2]);
    });
  });

  test("ends where it is when it is cancelled", async () => {
    await using world = await withDead(5);
    const bulk = await world.engine.bulks.create({ ...REPLAY, rate: 1 });
    await world.settle();
    await world.engine.bulks.cancel({ project: "default", id: bulk.id });
    await world.advanceStepwise(10_000);
    expect(await read(world, bulk)).toMatchObject({ state: "cancelled", changedCount: 1 });
    const resumed = world.engine.bulks.resume({ project: "default", id: bulk.id });
    expect(resumed).rejects.toMatchObject({ code: "invalid_state" });
  });

  test("takes a pause and a resume in one breath", async () => {
    await using world = await withDead(4);
    const bulk = await world.engine.bulks.create({ ...REPLAY, rate: 1 });
    const lookup = { project: "default", id: bulk.id };
    await Promise.all([world.engine.bulks.pause(lookup), world.engine.bulks.resume(lookup)]);
    await world.advanceStepwise(10_000);
    expect(await read(world, bulk)).toMatchObject({ state: "done", changedCount: 4 });
  });
});

describe("A bulk operation", () => {
  test("discards what is dead", async () => {
    await using world = await withDead(130);
    await world.engine.bulks.create({ ...REPLAY, action: "discard" });
    await world.settle();
    expect(new Set(await world.states())).toEqual(new Set(["discarded"]));
  });

  test("cancels what waits, and skips what is under way", async () => {
    await using world = await startEngine({ endpoints: [{ name: "app", concurrency: 1 }] });
    world.receiver.always(receiverUrl("app"), "hang");
    await world.acceptMany(4);
    const states = ["queued", "retrying", "held", "awaiting"] as const;
    const bulk = await world.engine.bulks.create({
      ...REPLAY,
      action: "cancel",
      match: { ...MATCH, states },
    });
    await world.settle();
    expect(await world.states()).toEqual(["sending", "cancelled", "cancelled", "cancelled"]);
    expect(await read(world, bulk)).toMatchObject({ state: "done", changedCount: 3 });
  });

  test("makes retries due now", async () => {
    await using world = await startEngine();
    world.receiver.always(receiverUrl("app"), { status: 500 });
    await world.acceptMany(3);
    expect(await attemptCounts(world)).toEqual([1, 1, 1]);
    await world.engine.bulks.create({
      ...REPLAY,
      action: "retry",
      match: { ...MATCH, states: ["retrying"] },
    });
    await world.settle();
    expect(await attemptCounts(world)).toEqual([2, 2, 2]);
  });

  test("counts before it is made, by endpoint, type and age", async () => {
    await using world = await withDead(3);
    await world.advance(2 * 3_600_000);
    const preview = await world.engine.bulks.preview(MATCH);
    expect(preview).toEqual({
      count: 3,
      isComplete: true,
      groups: [{ lane: 1, type: null, age: 1, count: 3 }],
    });
    expect(new Set(await world.states())).toEqual(new Set(["dead"]));
  });
});
