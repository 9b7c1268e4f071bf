import { describe, expect, test } from "bun:test";
import type { Id } from "../../src/domain/id.ts";
import { receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";

const APP = receiverUrl("app");
/** Two attempts, ten seconds apart. */
const TWICE = {
  retry: { kind: "ladder", delaysMs: [10_000], jitter: 0 },
  breaker: { failures: 0, recoveryMs: 1 },
} as const;

function start(): Promise<TestEngine> {
  return startEngine({ endpoints: [{ name: "app", ...TWICE }] });
}

/** One delivery in the wanted state. */
async function bring(
  run: TestEngine,
  state: "retrying" | "sending" | "succeeded" | "dead" | "held",
): Promise<Id> {
  if (state === "held") await run.engine.commands.pauseEndpoint(run.endpoint());
  if (state === "sending") run.receiver.next(APP, "hang");
  if (state === "retrying") run.receiver.next(APP, 500);
  if (state === "dead") run.receiver.next(APP, 500, 500);
  await run.accept();
  if (state === "dead") await run.advanceToDue();
  const delivery = await run.delivery();
  expect(delivery.state).toBe(state);
  return delivery.id;
}

describe("Cancelling", () => {
  test.each(["retrying", "held"] as const)("ends a delivery that is %s", async (state) => {
    await using run = await start();
    const id = await bring(run, state);
    await run.engine.commands.cancel("default", id);
    await run.advance(10_000);
    expect(await run.delivery()).toMatchObject({ state: "cancelled", finishedAt: run.clock.now() - 10_000 });
    expect(run.receiver.sent.length).toBeLessThan(2);
  });
});

describe("Retrying now", () => {
  test("sends a waiting delivery at once, and counts as the attempt that it waited for", async () => {
    await using run = await start();
    const id = await bring(run, "retrying");
    run.receiver.next(APP, 500);
    await run.engine.commands.retryNow("default", id);
    await run.settle();
    expect(await run.delivery()).toMatchObject({ state: "dead", attemptCount: 2 });
  });

  test("leaves a parked delivery parked, due at once when its lane opens", async () => {
    await using run = await start();
    const id = await bring(run, "held");
    await run.engine.commands.retryNow("default", id);
    await run.settle();
    expect(await run.states()).toEqual(["held"]);
    await run.engine.commands.resumeEndpoint(run.endpoint());
    await run.settle();
    expect(await run.states()).toEqual(["succeeded"]);
  });
});

describe("A replay", () => {
  test("has a fresh budget, and the attempt numbers go on", async () => {
    await using run = await start();
    const id = await bring(run, "dead");
    run.receiver.next(APP, 500, 500);
    await run.engine.commands.replay("default", id);
    await run.settle();
    expect(await run.states()).toEqual(["retrying"]);
    await run.advanceToDue();
    const { state, attempts } = await run.delivery();
    expect(state).toBe("dead");
    expect(attempts.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  });

  test("keeps the id that the receiver sees", async () => {
    await using run = await start();
    const id = await bring(run, "succeeded");
    await run.engine.commands.replay("default", id);
    await run.settle();
    const [first, second] = run.receiver.sent.map(({ headers }) => headers.get("webhook-id"));
    expect(second).toBe(first as string);
  });

  test("of a delivery whose body is gone is refused as gone", async () => {
    await using run = await start();
    const id = await bring(run, "succeeded");
    await run.store.purge({ kind: "bodies", before: 0, limit: 100 });
    await expect(run.engine.commands.replay("default", id)).rejects.toMatchObject({ code: "gone" });
  });

  test("of a discarded delivery is refused", async () => {
    await using run = await start();
    const id = await bring(run, "dead");
    await run.engine.commands.discard("default", id);
    expect(await run.states()).toEqual(["discarded"]);
    await expect(run.engine.commands.replay("default", id)).rejects.toMatchObject({ code: "invalid_state" });
  });
});

test.each([
  ["cancel", "sending"],
  ["cancel", "succeeded"],
  ["cancel", "dead"],
  ["retryNow", "sending"],
  ["retryNow", "succeeded"],
  ["replay", "retrying"],
  ["replay", "sending"],
  ["discard", "succeeded"],
  ["discard", "retrying"],
] as const)("%s of a delivery that is %s is refused and changes nothing", async (verb, state) => {
  await using run = await start();
  const id = await bring(run, state);
  const refused = run.engine.commands[verb]("default", id);
  await expect(refused).rejects.toMatchObject({ code: "invalid_state", details: { state } });
  await run.settle();
  expect(await run.states()).toEqual([state]);
});

test("a delivery of another project is not found", async () => {
  await using run = await start();
  const id = await bring(run, "retrying");
  await expect(run.engine.commands.cancel("other", id)).rejects.toMatchObject({ code: "not_found" });
});

test("of two commands at once one wins and the other is told", async () => {
  await using run = await start();
  const id = await bring(run, "retrying");
  const { commands } = run.engine;
  const results = await Promise.allSettled([commands.cancel("default", id), commands.cancel("default", id)]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect(await run.states()).toEqual(["cancelled"]);
});

test("a paused source refuses, keeps the refusal, and takes requests again when it is opened", async () => {
  await using run = await start();
  await run.engine.commands.setSourcePaused(run.source(), true);
  expect(await run.receive()).toMatchObject({ kind: "refused", reason: "paused", status: 503 });
  await run.settle();
  expect((await run.store.listRejections({ project: "default" })).data).toMatchObject([{ reason: "paused" }]);
  await run.engine.commands.setSourcePaused(run.source(), false);
  await run.accept();
  expect(await run.states()).toEqual(["succeeded"]);
});
