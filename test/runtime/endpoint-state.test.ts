import { describe, expect, test } from "bun:test";
import { SECOND } from "../../src/domain/duration.ts";
import { receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";

const APP = receiverUrl("app");

async function pause(run: TestEngine): Promise<void> {
  await run.engine.commands.pauseEndpoint(run.endpoint());
  await run.settle();
}

async function resume(run: TestEngine): Promise<void> {
  await run.engine.commands.resumeEndpoint(run.endpoint());
  await run.settle();
}

describe("A paused endpoint", () => {
  test("parks what comes in and gets nothing", async () => {
    await using run = await startEngine();
    await pause(run);
    await run.acceptMany(3);
    expect(await run.states()).toEqual(["held", "held", "held"]);
    expect(run.receiver.sent).toEqual([]);
  });

  test("parks what was waiting for its next attempt", async () => {
    await using run = await startEngine();
    run.receiver.next(APP, 500);
    await run.accept();
    const parked = run.probe.next("lane.parked");
    await pause(run);
    expect(await parked).toEqual({ lane: run.endpoint().lane, to: "held" });
    expect(await run.states()).toEqual(["held"]);
    await run.advance(3_600 * SECOND);
    expect(run.receiver.sent).toHaveLength(1);
  });

  test("lets attempts that are out end, and parks what comes back from them", async () => {
    await using run = await startEngine();
    run.receiver.always(APP, "hang");
    await run.acceptMany(2);
    await pause(run);
    expect(await run.states()).toEqual(["sending", "sending"]);
    const [first] = run.receiver.sent;
    run.receiver.letGo(500, first?.url);
    await run.settle();
    expect(await run.states()).toEqual(["held", "held"]);
    expect((await run.deliveries()).map(({ attemptCount }) => attemptCount)).toEqual([1, 1]);
  });

  test("gives back untouched what it had leased ahead", async () => {
    await using run = await startEngine({ endpoints: [{ name: "app", concurrency: 1 }] });
    // One quick delivery makes the lane fast, so that it leases ahead of its slot.
    await run.accept();
    run.receiver.always(APP, "hang");
    await run.acceptMany(5);
    expect(await run.deliveries({ state: "sending" })).toHaveLength(5);
    await pause(run);
    const states = (await run.states()).toSorted();
    expect(states).toEqual(["held", "held", "held", "held", "sending", "succeeded"]);
    run.receiver.letGo(200);
    run.receiver.always(APP, 200);
    await resume(run);
    expect((await run.deliveries()).map(({ state, attemptCount }) => [state, attemptCount])).toEqual(
      Array(6).fill(["succeeded", 1]),
    );
  });

  test("sends everything once resumed, in order of due time", async () => {
    await using run = await startEngine({ endpoints: [{ name: "app", concurrency: 1 }] });
    await pause(run);
    for (const n of [1, 2, 3]) {
      await run.accept({ body: String(n) });
      await run.advance(1);
    }
    await resume(run);
    expect(run.receiver.sent.map(({ text }) => text)).toEqual(["1", "2", "3"]);
    expect(await run.states()).toEqual(["succeeded", "succeeded", "succeeded"]);
  });

  test("resumed, keeps the times of what waits for a retry", async () => {
    await using run = await startEngine();
    run.receiver.next(APP, 500);
    await run.accept();
    const { dueAt } = await run.delivery();
    await pause(run);
    await resume(run);
    expect(await run.delivery()).toMatchObject({ state: "retrying", dueAt });
    expect(run.receiver.sent).toHaveLength(1);
    await run.advanceToDue();
    expect(await run.states()).toEqual(["succeeded"]);
  });

  test("delivers thousands exactly once after it was resumed", async () => {
    await using run = await startEngine({ endpoints: [{ name: "app", concurrency: 64 }] });
    await pause(run);
    await run.acceptMany(3_000);
    await resume(run);
    expect(run.receiver.sent).toHaveLength(3_000);
    expect(new Set(run.receiver.sent.map(({ text }) => text)).size).toBe(3_000);
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
    expect(run.engine.lanes.windowBytes).toBe(0);
    expect(run.engine.slots.used).toBe(0);
  });

  test("paused and resumed at once ends open, whatever the sweeps were doing", async () => {
    await using run = await startEngine();
    await pause(run);
    await run.acceptMany(1_200);
    const { commands } = run.engine;
    await Promise.all([
      commands.resumeEndpoint(run.endpoint()),
      commands.pauseEndpoint(run.endpoint()),
      commands.resumeEndpoint(run.endpoint()),
    ]);
    await run.settle();
    expect(run.endpoint().pausedAt).toBeNull();
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });

  test("does not hold up another endpoint", async () => {
    await using run = await startEngine({ endpoints: [{ name: "app" }, { name: "other" }] });
    await pause(run);
    await run.accept();
    expect(await run.states()).toEqual(["held", "succeeded"]);
  });
});

describe("A target that answers 410", () => {
  test("is disabled, and everything for it is parked", async () => {
    await using run = await startEngine({ endpoints: [{ name: "app", concurrency: 1 }] });
    run.receiver.next(APP, 410);
    await run.acceptMany(3);
    expect(run.endpoint()).toMatchObject({
      disabledAt: run.clock.now(),
      disabledReason: "answered HTTP 410",
    });
    expect(await run.states()).toEqual(["held", "held", "held"]);
    expect(run.receiver.sent).toHaveLength(1);
  });

  test("stays disabled over a reload", async () => {
    await using run = await startEngine();
    run.receiver.next(APP, 410);
    await run.accept();
    await run.declare({ endpoints: [{ name: "app", concurrency: 3 }] });
    expect(run.endpoint()).toMatchObject({ concurrency: 3, disabledReason: "answered HTTP 410" });
  });

  test("is opened again by resuming it", async () => {
    await using run = await startEngine();
    run.receiver.next(APP, 410);
    await run.accept();
    await resume(run);
    expect(run.endpoint().disabledAt).toBeNull();
    await run.advanceToDue();
    expect(await run.states()).toEqual(["succeeded"]);
  });

  test("is not disabled when its URL was changed while the attempt was out", async () => {
    await using run = await startEngine();
    run.receiver.next(APP, "hang");
    await run.accept();
    await run.declare({ endpoints: [{ name: "app", url: receiverUrl("new") }] });
    run.receiver.letGo(410);
    await run.settle();
    expect(run.endpoint()).toMatchObject({ url: receiverUrl("new"), disabledAt: null });
    await run.advanceToDue();
    expect(run.receiver.to(receiverUrl("new"))).toHaveLength(1);
  });

  test("keeps a pause that was made while the attempt was out", async () => {
    await using run = await startEngine();
    run.receiver.next(APP, "hang");
    await run.accept();
    await pause(run);
    run.receiver.letGo(410);
    await run.settle();
    const { pausedAt, disabledAt } = run.endpoint();
    expect([pausedAt, disabledAt]).toEqual([run.clock.now(), run.clock.now()]);
  });
});

describe("The breaker", () => {
  const RULE = { failures: 3, recoveryMs: 30 * SECOND };
  const kindOf = (run: TestEngine) => run.engine.breakers.state(run.endpoint()).kind;

  function start(): Promise<TestEngine> {
    return startEngine({ endpoints: [{ name: "app", breaker: RULE }] });
  }

  async function open(run: TestEngine): Promise<void> {
    run.receiver.next(APP, 500, 500, 500);
    for (let n = 0; n < RULE.failures; n += 1) await run.accept();
    expect(kindOf(run)).toBe("open");
  }

  test("opens after as many failures in a row as its rule says, and parks what follows", async () => {
    await using run = await start();
    run.receiver.next(APP, 500, 500);
    await run.accept();
    await run.accept();
    expect(kindOf(run)).toBe("closed");
    run.receiver.next(APP, 500);
    await run.accept();
    expect(kindOf(run)).toBe("open");
    await run.accept();
    expect((await run.states()).at(-1)).toBe("held");
    expect(run.receiver.sent).toHaveLength(3);
  });

  test("starts to count anew with every success", async () => {
    await using run = await start();
    run.receiver.next(APP, 500, 500, 200, 500, 500);
    for (let n = 0; n < 5; n += 1) await run.accept();
    expect(kindOf(run)).toBe("closed");
  });

  test("open, holds back retries too", async () => {
    await using run = await start();
    await open(run);
    await run.advance(29 * SECOND);
    expect(run.receiver.sent).toHaveLength(3);
  });

  test("lets exactly one probe out after its wait, and closes when that succeeds", async () => {
    await using run = await start();
    await open(run);
    await run.acceptMany(5);
    run.receiver.next(APP, "hang");
    await run.advance(30 * SECOND);
    expect(kindOf(run)).toBe("half_open");
    expect(run.receiver.sent).toHaveLength(4);
    run.receiver.letGo(200);
    await run.settle();
    expect(kindOf(run)).toBe("closed");
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });

  test("opens again with twice the wait when the probe fails", async () => {
    await using run = await start();
    await open(run);
    run.receiver.next(APP, 500);
    await run.advance(30 * SECOND);
    expect(run.receiver.sent).toHaveLength(4);
    await run.advance(59 * SECOND);
    expect(run.receiver.sent).toHaveLength(4);
    await run.advance(1 * SECOND);
    expect(run.receiver.sent).toHaveLength(6);
    expect(kindOf(run)).toBe("closed");
  });

  test("spends no attempt of what it holds back", async () => {
    await using run = await start();
    await open(run);
    await run.accept();
    await run.advance(30 * SECOND);
    expect((await run.deliveries()).at(-1)).toMatchObject({ state: "succeeded", attemptCount: 1 });
  });

  test("forgets at a resume, and when the target's address changes", async () => {
    await using run = await start();
    await open(run);
    await resume(run);
    expect(kindOf(run)).toBe("closed");
    run.receiver.next(APP, 500, 500, 500);
    await run.acceptMany(3);
    expect(kindOf(run)).toBe("open");
    await run.declare({ endpoints: [{ name: "app", breaker: RULE, url: receiverUrl("new") }] });
    expect(kindOf(run)).toBe("closed");
  });

  test("switched off while it was open lets the lane go on", async () => {
    await using run = await start();
    await open(run);
    await run.declare({ endpoints: [{ name: "app", breaker: { failures: 0, recoveryMs: 1 } }] });
    run.receiver.next(APP, 500, 500);
    await run.advance(30 * SECOND);
    await run.advance(600 * SECOND);
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });

  test("does not lose its probe to one that is aborted by a stop", async () => {
    await using run = await start();
    await open(run);
    run.receiver.next(APP, "hang");
    await run.advance(30 * SECOND);
    run.engine.dispatcher.abort();
    await run.settle();
    expect(kindOf(run)).toBe("closed");
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });
});
