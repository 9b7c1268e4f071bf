import { describe, expect, test } from "bun:test";
import { SECOND } from "../../src/domain/duration.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";

const APP = receiverUrl("app");

describe("Concurrency", () => {
  test.each([1, 4, 16])("of %p is used in full and never exceeded", async (concurrency) => {
    await using run = await startEngine({ endpoints: [{ name: "app", concurrency }] });
    run.receiver.always(APP, { status: 200, afterMs: 10 });
    await run.acceptMany(50);
    for (let round = 0; round * concurrency < 50; round += 1) await run.advance(10);
    expect(run.receiver.sent).toHaveLength(50);
    // A lane that has not answered yet gets its first slots carefully; proven, it takes what it may.
    expect(run.receiver.peaks.get(APP)).toBe(Math.min(concurrency, 16));
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });

  test("changed by a reload holds from then on", async () => {
    await using run = await startEngine({ endpoints: [{ name: "app", concurrency: 1 }] });
    run.receiver.always(APP, "hang");
    await run.acceptMany(5);
    expect(run.receiver.hangingCount).toBe(1);
    await run.declare({ endpoints: [{ name: "app", concurrency: 3 }] });
    await run.settle();
    expect(run.receiver.hangingCount).toBe(3);
  });
});

describe("Rate", () => {
  function start(perSecond: number, burst: number, setup: EngineSetup = {}): Promise<TestEngine> {
    return startEngine({
      endpoints: [{ name: "app", rate: { perSecond, burst }, concurrency: 100 }],
      ...setup,
    });
  }

  const offsets = (run: TestEngine, from: number) => run.receiver.sent.map(({ at }) => at - from);

  test("lets a burst go at once and then exactly one per interval", async () => {
    await using run = await start(10, 5);
    const from = run.clock.now();
    await run.accept();
    await run.acceptMany(9);
    await run.advanceStepwise(SECOND);
    expect(offsets(run, from)).toEqual([0, 0, 0, 0, 0, 100, 200, 300, 400, 500]);
  });

  test.each([
    [3, 1],
    [7, 2],
    [0.1, 1],
  ])("of %p per second is kept over a long time", async (perSecond, burst) => {
    await using run = await start(perSecond, burst);
    const from = run.clock.now();
    const count = 20;
    await run.acceptMany(count);
    await run.advanceStepwise(Math.ceil(((count - burst) / perSecond) * SECOND) + count);
    const sent = offsets(run, from);
    expect(sent).toHaveLength(count);
    for (const [index, at] of sent.entries()) {
      const earliest = (Math.max(0, index + 1 - burst) / perSecond) * SECOND;
      expect(at).toBeGreaterThanOrEqual(Math.floor(earliest));
      expect(at).toBeLessThanOrEqual(earliest + index + 1);
    }
  });

  test("of a lane at its full concurrency does not keep the engine busy", async () => {
    await using run = await startEngine({
      endpoints: [{ name: "app", rate: { perSecond: 10, burst: 5 }, concurrency: 1 }],
    });
    run.receiver.next(APP, "hang");
    await run.acceptMany(3);
    await run.advanceStepwise(SECOND);
    expect(run.receiver.sent).toHaveLength(1);
    run.receiver.letGo(200);
    await run.settle();
    expect(await run.states()).toEqual(["succeeded", "succeeded", "succeeded"]);
  });

  test("does not count what was never sent", async () => {
    await using run = await start(1, 2, { sources: [{ dedupe: HEADER_KEY }] });
    const headers = { "idempotency-key": "same" };
    for (let n = 0; n < 10; n += 1) await run.accept({ headers });
    await run.accept({ headers: { "idempotency-key": "other" } });
    expect(run.receiver.sent).toHaveLength(2);
  });

  test("holds on although the clock is set back", async () => {
    await using run = await start(1, 1);
    await run.acceptMany(3);
    run.clock.step(-3_600 * SECOND);
    await run.advanceStepwise(3_602 * SECOND);
    expect(await run.states()).toEqual(["succeeded", "succeeded", "succeeded"]);
  });
});

const HEADER_KEY = {
  selectors: [[{ kind: "header", name: "idempotency-key" }]],
  windowMs: 3_600_000,
} as const;

/** Endpoints that hang, and one more that does not; a source for each kind. */
function startBeside(hangingCount: number, setup: EngineSetup = {}): Promise<TestEngine> {
  const names = Array.from({ length: hangingCount }, (_, n) => `hang-${n}`);
  return startEngine({
    endpoints: [...names, "healthy"].map((name) => ({ name, breaker: { failures: 0, recoveryMs: 1 } })),
    sources: [
      { name: "hanging", to: names },
      { name: "healthy", to: ["healthy"] },
    ],
    ...setup,
  });
}

async function hangAll(run: TestEngine, eventCount: number): Promise<void> {
  for (const endpoint of run.engine.directory.endpoints()) {
    if (endpoint.name !== "healthy") run.receiver.always(endpoint.url, "hang");
  }
  await run.acceptMany(eventCount, "hanging");
}

describe("One lane", () => {
  const HEALTHY = receiverUrl("healthy");

  test("does not wait for another's backlog", async () => {
    await using run = await startBeside(1);
    await hangAll(run, 2_000);
    await run.acceptMany(50, "healthy");
    expect(run.receiver.to(HEALTHY)).toHaveLength(50);
  });

  test("that is new gets its turn beside 600 that hang", async () => {
    await using run = await startBeside(600);
    await hangAll(run, 4);
    await run.acceptMany(300, "healthy");
    expect(run.receiver.to(HEALTHY)).toHaveLength(300);
    expect(run.receiver.hangingCount).toBeGreaterThanOrEqual(600);
    expect(run.receiver.peak).toBeLessThanOrEqual(run.engine.slots.total);
    expect(await run.deliveries({ lane: run.endpoint("healthy").lane, state: "succeeded" })).toHaveLength(
      300,
    );
  });

  test("that has proven itself keeps its pace while more hang than there are slots", async () => {
    await using run = await startBeside(40, { engine: { inFlightMax: 16 } });
    await run.accept({ source: "healthy" });
    await hangAll(run, 2);
    await run.acceptMany(100, "healthy");
    expect(run.receiver.to(HEALTHY)).toHaveLength(101);
    expect(run.receiver.peak).toBeLessThanOrEqual(16);
  });

  test("after the other gets a slot when there are fewer slots than lanes", async () => {
    await using run = await startBeside(30, { engine: { inFlightMax: 8 } });
    await hangAll(run, 1);
    expect(run.receiver.hangingCount).toBeLessThanOrEqual(8);
    for (let round = 0; round < 30; round += 1) {
      run.receiver.letGo(200);
      await run.settle();
    }
    expect(run.receiver.sent).toHaveLength(30);
    expect(run.receiver.peak).toBeLessThanOrEqual(8);
    expect(run.engine.slots.used).toBe(0);
  });
});
