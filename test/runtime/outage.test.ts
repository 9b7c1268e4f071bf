import { describe, expect, test } from "bun:test";
import { HOUR, SECOND } from "../../src/domain/duration.ts";
import { NATIVE_PROFILE } from "../../src/domain/native-profile.ts";
import type { Pacing } from "../../src/domain/pacing.ts";
import type { Profile } from "../../src/domain/strategy.ts";
import type { DeclaredEndpoint } from "../../src/runtime/reconcile.ts";
import { receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { withFolder } from "../support/store.ts";

const APP = receiverUrl("app");
const OTHER = receiverUrl("other");

function start(change: Partial<DeclaredEndpoint> = {}): Promise<TestEngine> {
  return startEngine({ endpoints: [{ name: "app", concurrency: 16, ...change }] });
}

const lane = (run: TestEngine) => run.engine.lanes.overview(run.endpoint().lane);

/** Proves the lane, so that its first slots are not what the test sees. */
async function prove(run: TestEngine): Promise<void> {
  await run.accept();
  run.receiver.sent.length = 0;
}

async function pauseAndGather(run: TestEngine, count: number): Promise<void> {
  await prove(run);
  await run.engine.commands.pauseEndpoint(run.endpoint());
  await run.acceptMany(count);
}

async function resume(run: TestEngine): Promise<void> {
  await run.engine.commands.resumeEndpoint(run.endpoint());
  await run.settle();
}

describe("A receiver that answers with Retry-After", () => {
  test.each([429, 503])("after %p gets nothing at all before that, whatever else is due", async (status) => {
    await using run = await start();
    run.receiver.next(APP, { status, headers: { "retry-after": "40" } });
    await run.accept();
    await run.acceptMany(5);
    await run.advance(39 * SECOND);
    expect(run.receiver.sent).toHaveLength(1);
    expect(lane(run)).toMatchObject({ restUntil: run.clock.now() + SECOND, inFlight: 0 });
    await run.advance(SECOND);
    expect(run.receiver.sent.length).toBeGreaterThan(1);
    await run.advance(10 * SECOND);
    expect(await run.states()).toEqual(Array(6).fill("succeeded"));
  });

  test("gets what is due at once when an operator resumes it", async () => {
    await using run = await start();
    run.receiver.next(APP, { status: 429, headers: { "retry-after": "40" } });
    await run.accept();
    await run.accept();
    await resume(run);
    expect(run.receiver.sent).toHaveLength(2);
    expect(lane(run).restUntil).toBeNull();
  });

  test("does not slow another endpoint", async () => {
    await using run = await startEngine({ endpoints: [{ name: "app" }, { name: "other" }] });
    run.receiver.next(APP, { status: 429, headers: { "retry-after": "40" } });
    await run.accept();
    await run.acceptMany(3);
    expect(run.receiver.to(OTHER)).toHaveLength(4);
    expect(run.receiver.to(APP)).toHaveLength(1);
  });

  test("is believed for an hour at most", async () => {
    const retry = { kind: "ladder", delaysMs: [24 * HOUR], jitter: 0 } as const;
    await using run = await start({ retry });
    run.receiver.next(APP, { status: 503, headers: { "retry-after": "999999" } });
    await run.accept();
    await run.accept();
    await run.advance(HOUR - 1);
    expect(run.receiver.sent).toHaveLength(1);
    await run.advance(1);
    expect(run.receiver.sent).toHaveLength(2);
  });

  test("is not slowed where the pressure rule knows no slow-down", async () => {
    const { slowDown: _slowDown, ...pressure } = NATIVE_PROFILE.pressure;
    const profile: Profile = { ...NATIVE_PROFILE, pressure };
    await using run = await startEngine({ profiles: [profile] });
    run.receiver.next(APP, { status: 429, headers: { "retry-after": "40" } });
    await run.accept();
    await run.accept();
    expect(run.receiver.sent).toHaveLength(2);
  });

  test("after any other status only delays the delivery as its policy says", async () => {
    await using run = await start();
    run.receiver.next(APP, { status: 500, headers: { "retry-after": "40" } });
    await run.accept();
    await run.accept();
    expect(run.receiver.sent).toHaveLength(2);
  });
});

test("a receiver that says too many, but not until when, gets half as many until it copes", async () => {
  await using run = await start();
  await prove(run);
  run.receiver.next(APP, 429, 429);
  await run.acceptMany(2);
  expect(lane(run).concurrency).toBe(4);
  await run.acceptMany(12);
  expect(lane(run).concurrency).toBe(16);
});

describe("After an outage", () => {
  test("concurrency grows from one, doubling with every round that succeeds", async () => {
    await using run = await start();
    await pauseAndGather(run, 31);
    run.receiver.always(APP, { status: 200, afterMs: 10 });
    await resume(run);
    const rounds: number[] = [];
    for (let seen = 0; seen < 31 && rounds.length < 20; ) {
      rounds.push(run.receiver.sent.length - seen);
      seen = run.receiver.sent.length;
      await run.advance(10);
    }
    expect(rounds.slice(0, 4)).toEqual([1, 2, 4, 8]);
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });

  test("a failure while it grows halves it again", async () => {
    await using run = await start();
    await pauseAndGather(run, 7);
    run.receiver.always(APP, { status: 200, afterMs: 10 });
    await resume(run);
    await run.advance(10);
    await run.advance(10);
    expect(lane(run)).toMatchObject({ concurrency: 4, inFlight: 4 });
    run.receiver.next(APP, 500);
    run.receiver.letGo(500);
    await run.settle();
    expect(lane(run).concurrency).toBe(1);
  });

  test("concurrency is what it was at once when slow start is switched off", async () => {
    await using run = await start({ pacing: { slowStart: false } });
    await pauseAndGather(run, 16);
    run.receiver.always(APP, "hang");
    await resume(run);
    expect(run.receiver.hangingCount).toBe(16);
  });

  test("it grows from one also when the breaker closes", async () => {
    await using run = await start({ breaker: { failures: 1, recoveryMs: 30 * SECOND } });
    await prove(run);
    run.receiver.next(APP, 500);
    await run.accept();
    await run.acceptMany(20);
    run.receiver.always(APP, "hang");
    await run.advance(30 * SECOND);
    expect(run.receiver.hangingCount).toBe(1);
    run.receiver.letGo(200);
    await run.settle();
    expect(lane(run)).toMatchObject({ concurrency: 1, inFlight: 1 });
  });
});

describe("A drain rate", () => {
  const pacing: Pacing = { drainPerSecond: 10, slowStart: false };

  test("is how fast what has gathered goes out, and is over with the last of it", async () => {
    await using run = await start({ pacing });
    await pauseAndGather(run, 30);
    const from = run.clock.now();
    await resume(run);
    await run.advanceStepwise(5 * SECOND);
    const offsets = run.receiver.sent.map(({ at }) => at - from);
    expect(offsets).toHaveLength(30);
    expect(offsets.at(-1)).toBe(2_900);
    expect(lane(run).isDraining).toBe(false);
    run.receiver.sent.length = 0;
    await run.acceptMany(12);
    expect(run.receiver.sent).toHaveLength(12);
  });

  test("holds on after a restart in the middle of it", async () => {
    await withFolder(async (folder) => {
      const setup = { path: `${folder}/store.db`, endpoints: [{ name: "app", pacing }] };
      const first = await startEngine(setup);
      await first.engine.commands.pauseEndpoint(first.endpoint());
      await first.acceptMany(30);
      await first.engine.commands.resumeEndpoint(first.endpoint());
      await first.settle();
      const { clock } = first;
      await first.close();
      const before = first.receiver.sent.length;
      await using run = await startEngine({ ...setup, clock });
      await run.advanceStepwise(SECOND);
      expect(before + run.receiver.sent.length).toBeLessThanOrEqual(13);
      await run.advanceStepwise(4 * SECOND);
      expect(before + run.receiver.sent.length).toBe(30);
    });
  });
});

test("lanes that share a breaker by origin all go on as soon as it closes", async () => {
  const pressure = { ...NATIVE_PROFILE.pressure, scope: "origin" as const };
  const breaker = { failures: 1, recoveryMs: 30 * SECOND };
  await using run = await startEngine({
    profiles: [{ ...NATIVE_PROFILE, pressure }],
    endpoints: [
      { name: "app", breaker },
      { name: "other", breaker },
    ],
    sources: [
      { name: "in", to: ["app"] },
      { name: "in2", to: ["other"] },
    ],
  });
  run.receiver.next(APP, "hang", 500);
  await run.accept();
  await run.accept();
  await run.accept({ source: "in2" });
  expect(run.receiver.to(OTHER)).toHaveLength(0);
  // The late success of the one that hung closes it long before a probe would.
  run.receiver.letGo(200);
  await run.settle();
  expect(run.receiver.to(OTHER)).toHaveLength(1);
});
