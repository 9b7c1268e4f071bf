import { describe, expect, test } from "bun:test";
import { HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import { NATIVE_PROFILE } from "../../src/domain/native-profile.ts";
import type { RetryRule } from "../../src/domain/policy.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { newSubscription } from "../support/factory.ts";
import { withFolder } from "../support/store.ts";

const APP = receiverUrl("app");
const OPS = receiverUrl("ops");
const ONCE: RetryRule = { kind: "ladder", delaysMs: [], jitter: 0 };
const LONG: RetryRule = { kind: "ladder", delaysMs: Array(400).fill(HOUR), jitter: 0 };
const TO_APP = [{ to: ["app"] }];
const TO_OPS = [newSubscription({ name: "alert:ops", tenant: "postern", endpoint: "ops" })];
const BREAKER = { failures: 2, recoveryMs: 30 * SECOND };
const NO_BREAKER = { failures: 0, recoveryMs: 1 };

function start(setup: EngineSetup = {}): Promise<TestEngine> {
  return startEngine({
    endpoints: [{ name: "app", breaker: BREAKER }, { name: "ops" }],
    sources: TO_APP,
    subscriptions: TO_OPS,
    ...setup,
  });
}

interface Notice {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Record<string, unknown>;
}

/** Hour by hour: a step per timer would be one per heartbeat. */
async function pass(run: TestEngine, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour += 1) await run.advance(HOUR);
}

const notices = (run: TestEngine, url = OPS) =>
  run.receiver.to(url).map(({ text }) => JSON.parse(text) as Notice);
const types = (run: TestEngine, url = OPS) => notices(run, url).map(({ type }) => type);

describe("A subscriber of the tenant postern", () => {
  test("is told when a breaker opens and when it closes, not of the probes between", async () => {
    await using run = await start();
    run.receiver.next(APP, 500, 500, 500);
    await run.acceptMany(2);
    expect(types(run)).toEqual(["endpoint.opened"]);
    await run.advance(30 * SECOND);
    await run.advance(MINUTE);
    expect(types(run)).toEqual(["endpoint.opened", "endpoint.recovered"]);
    const [opened] = notices(run);
    expect(opened?.data).toMatchObject({ endpoint: { name: "app" }, failures: 2 });
  });

  test("gets a signed event of the endpoint's project, its type beside and inside the body", async () => {
    const secret = `whsec_${Buffer.from("a secret of the receiver").toString("base64")}`;
    const sign = [{ scheme: "standard" as const, secrets: [{ value: secret }] }];
    await using run = await start({
      endpoints: [{ name: "app" }, { name: "ops", sign }],
    });
    run.receiver.next(APP, 410);
    await run.accept();
    const [sent] = run.receiver.to(OPS);
    expect(sent?.headers.get("webhook-event-type")).toBe("endpoint.disabled");
    expect(sent?.headers.get("webhook-signature")).toStartWith("v1,");
    const { data: events } = await run.store.listEvents({ project: "default", limit: 10, cursor: null });
    expect(events[0]).toMatchObject({ type: "endpoint.disabled", tenant: "postern" });
  });

  test("is retried like any other", async () => {
    await using run = await start();
    run.receiver.next(OPS, 503);
    run.receiver.next(APP, 410);
    await run.accept();
    await run.advance(10 * SECOND);
    expect(types(run)).toEqual(["endpoint.disabled", "endpoint.disabled"]);
  });

  test("is not told of a resume by an operator", async () => {
    await using run = await start();
    run.receiver.next(APP, 500, 500);
    await run.acceptMany(2);
    await run.engine.commands.resumeEndpoint(run.endpoint());
    await run.settle();
    expect(types(run)).toEqual(["endpoint.opened"]);
  });

  test("is never told about itself, so that a failing one is sent nothing more", async () => {
    await using run = await start({
      endpoints: [{ name: "app" }, { name: "ops", breaker: BREAKER, retry: ONCE }],
      deadLetters: [{ project: "default", count: 1, windowMs: SECOND }],
    });
    run.receiver.always(OPS, 500);
    for (let round = 0; round < 20; round += 1) {
      run.receiver.next(APP, 410);
      await run.accept();
      await run.engine.commands.resumeEndpoint(run.endpoint());
      await run.settle();
    }
    await pass(run, 24);
    const { data: events } = await run.store.listEvents({ project: "default", limit: 100, cursor: null });
    // One per disabling, and none for the opening of ops or what was given up on the way to it.
    expect(events.filter(({ type }) => type === "endpoint.disabled")).toHaveLength(20);
    expect(events.filter(({ type }) => type === "endpoint.opened")).toHaveLength(0);
    expect(events.filter(({ type }) => type === "dead_letters.threshold")).toHaveLength(0);
  });

  test("in pairs that are both down, makes no storm", async () => {
    await using run = await start({
      endpoints: [
        { name: "app" },
        { name: "ops", breaker: BREAKER, retry: ONCE },
        { name: "ops2", breaker: BREAKER, retry: ONCE },
      ],
      subscriptions: [
        ...TO_OPS,
        newSubscription({ name: "alert:ops2", tenant: "postern", endpoint: "ops2" }),
      ],
      deadLetters: [{ project: "default", count: 1, windowMs: SECOND }],
    });
    run.receiver.always(OPS, 500);
    run.receiver.always(receiverUrl("ops2"), 500);
    run.receiver.next(APP, 410);
    await run.accept();
    await pass(run, 24);
    const { data: events } = await run.store.listEvents({ project: "default", limit: 500, cursor: null });
    expect(events.length).toBeLessThan(10);
  });
});

test("a notice that nobody subscribes to is logged and not stored", async () => {
  await using run = await start({ subscriptions: [] });
  run.receiver.next(APP, 410);
  await run.accept();
  const { data: events } = await run.store.listEvents({ project: "default", limit: 10, cursor: null });
  expect(events).toHaveLength(1);
  expect(run.logged.map(({ event }) => event)).toContain("endpoint.disabled");
});

test("a notice that the store refuses is told once it can be written again", async () => {
  let isDown = false;
  const wrap: EngineSetup["wrap"] = (store) => ({
    ...store,
    health: store.health,
    accept: (event) => {
      if (isDown && event.tenant === "postern") return Promise.reject(new Error("the disk is full"));
      return store.accept(event);
    },
  });
  await using run = await start({ wrap });
  isDown = true;
  run.receiver.next(APP, 410);
  await run.accept();
  await run.advance(5 * SECOND);
  expect(types(run)).toEqual([]);
  isDown = false;
  await run.advance(SECOND);
  expect(types(run)).toEqual(["endpoint.disabled"]);
});

describe("Dead letters", () => {
  const rule = [{ project: "default", count: 3, windowMs: HOUR }];
  const endpoints = [{ name: "app", retry: ONCE, breaker: NO_BREAKER }, { name: "ops" }];

  test("make a notice once so many came within the window, and no second one within it", async () => {
    await using run = await start({ endpoints, deadLetters: rule });
    run.receiver.always(APP, 500);
    await run.acceptMany(2);
    expect(types(run)).toEqual([]);
    await run.acceptMany(5);
    expect(types(run)).toEqual(["dead_letters.threshold"]);
    expect(notices(run)[0]?.data).toMatchObject({
      count: 3,
      windowMs: HOUR,
      endpoints: [{ name: "app", count: 3 }],
    });
    await run.advance(HOUR + 1);
    await run.acceptMany(2);
    expect(types(run)).toHaveLength(1);
    await run.acceptMany(1);
    expect(types(run)).toHaveLength(2);
  });

  test("that come slower than the window make none", async () => {
    await using run = await start({ endpoints, deadLetters: rule });
    run.receiver.always(APP, 500);
    for (let n = 0; n < 6; n += 1) {
      await run.acceptMany(1);
      await run.advance(31 * MINUTE);
    }
    expect(types(run)).toEqual([]);
  });
});

describe("An endpoint that does nothing but fail", () => {
  const endpoints = [
    { name: "app", retry: LONG, breaker: NO_BREAKER, pacing: { disableAfterMs: 5 * HOUR } },
    { name: "ops" },
  ];

  test("is disabled after the time that its definition says, and its deliveries are parked", async () => {
    await using run = await start({ endpoints });
    run.receiver.always(APP, 500);
    await run.acceptMany(1);
    await pass(run, 4);
    expect(run.endpoint().disabledAt).toBeNull();
    await pass(run, 1);
    expect(run.endpoint()).toMatchObject({ disabledReason: "nothing but failures for 5h" });
    expect(await run.states()).toEqual(["held", "succeeded"]);
    expect(types(run)).toEqual(["endpoint.disabled"]);
  });

  test("begins anew with every success, and after a resume", async () => {
    await using run = await start({ endpoints });
    run.receiver.always(APP, 500);
    await run.acceptMany(1);
    await pass(run, 4);
    run.receiver.next(APP, 200);
    await run.acceptMany(1);
    await pass(run, 4);
    expect(run.endpoint().disabledAt).toBeNull();
    await pass(run, 2);
    expect(run.endpoint().disabledAt).not.toBeNull();
    await run.engine.commands.resumeEndpoint(run.endpoint());
    await pass(run, 4);
    expect(run.endpoint().disabledAt).toBeNull();
  });

  test("is remembered over a restart", async () => {
    await withFolder(async (folder) => {
      const setup = { path: `${folder}/store.db`, endpoints };
      const first = await start(setup);
      first.receiver.always(APP, 500);
      await first.acceptMany(1);
      await pass(first, 3);
      await first.close();
      await using run = await start({ ...setup, clock: first.clock });
      run.receiver.always(APP, 500);
      await pass(run, 2);
      expect(run.endpoint().disabledAt).not.toBeNull();
    });
  });

  test.each([
    ["5 days when an API made it", {}, true],
    ["never when its definition says so", { pacing: { disableAfterMs: null } }, false],
  ])("is disabled after %s", async (_, change, isDisabled) => {
    await using run = await start({
      endpoints: [{ name: "app", retry: LONG, breaker: NO_BREAKER, ...change }],
      subscriptions: [],
    });
    run.receiver.always(APP, 500);
    await run.acceptMany(1);
    await pass(run, 5 * 24 + 1);
    expect(run.endpoint().disabledAt !== null).toBe(isDisabled);
  });

  test("is never disabled where the pressure rule does not say so", async () => {
    const { disableAfterMs: _disableAfterMs, ...pressure } = NATIVE_PROFILE.pressure;
    await using run = await start({
      profiles: [{ ...NATIVE_PROFILE, pressure }],
      endpoints: [{ name: "app", retry: LONG, breaker: NO_BREAKER }],
      subscriptions: [],
    });
    run.receiver.always(APP, 500);
    await run.acceptMany(1);
    await pass(run, 6 * 24);
    expect(run.endpoint().disabledAt).toBeNull();
  });
});
