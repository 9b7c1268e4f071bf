import { expect, test } from "bun:test";
import { SECOND } from "../../src/domain/duration.ts";
import { showId } from "../../src/domain/id.ts";
import { STANDARD_RETRY } from "../../src/domain/policy.ts";
import { receiverUrl, startEngine } from "../support/engine.ts";

const APP = receiverUrl("app");

test("an accepted event is delivered once", async () => {
  await using run = await startEngine();
  const id = await run.accept({ body: "hello" });
  expect(run.receiver.sent.map(({ url, text }) => [url, text])).toEqual([[APP, "hello"]]);
  expect(run.receiver.sent[0]?.headers.get("webhook-id")).toBe(showId("event", id));
  expect(await run.states()).toEqual(["succeeded"]);
});

test("the attempt is recorded with its status, its time and the answer's first bytes", async () => {
  await using run = await startEngine();
  run.receiver.next(APP, { status: 201, body: "thanks", afterMs: 40 });
  await run.accept();
  await run.advance(40);
  const { attempts, attemptCount, lastStatus, finishedAt } = await run.delivery();
  expect({ attemptCount, lastStatus, finishedAt }).toEqual({
    attemptCount: 1,
    lastStatus: 201,
    finishedAt: run.clock.now(),
  });
  expect(attempts).toMatchObject([
    { number: 1, startedAt: run.clock.now() - 40, durationMs: 40, outcome: "succeeded", status: 201 },
  ]);
  expect(Buffer.from(attempts[0]?.excerpt ?? []).toString()).toBe("thanks");
});

test("an event goes to every endpoint of its source", async () => {
  await using run = await startEngine({ endpoints: [{ name: "a" }, { name: "b" }, { name: "c" }] });
  run.receiver.always(receiverUrl("b"), 500);
  await run.accept();
  expect(run.receiver.sent.map((sent) => sent.url).toSorted()).toEqual(["a", "b", "c"].map(receiverUrl));
  expect(await run.states()).toEqual(["succeeded", "retrying", "succeeded"]);
});

test("a binary body arrives byte for byte", async () => {
  await using run = await startEngine();
  const body = Uint8Array.from({ length: 256 }, (_, n) => n);
  run.receiver.next(APP, 500);
  await run.accept({ body, headers: { "content-type": "application/octet-stream" } });
  await run.advanceToDue();
  // The first time from memory, the second time from the store.
  expect(run.receiver.sent.map((sent) => Buffer.from(sent.body))).toEqual([
    Buffer.from(body),
    Buffer.from(body),
  ]);
});

test("the standard ladder is climbed to its end, and what is left is a dead letter", async () => {
  await using run = await startEngine({
    endpoints: [{ name: "app", breaker: { failures: 0, recoveryMs: 1 } }],
  });
  run.receiver.always(APP, 500);
  await run.accept();
  const waits: number[] = [];
  for (let delivery = await run.delivery(); delivery.dueAt !== null; delivery = await run.delivery()) {
    waits.push(delivery.dueAt - run.clock.now());
    await run.advanceToDue();
  }
  const steps = STANDARD_RETRY.kind === "ladder" ? STANDARD_RETRY.delaysMs : [];
  expect(waits).toHaveLength(steps.length);
  for (const [index, step] of steps.entries()) {
    expect(waits[index]).toBeGreaterThanOrEqual(step);
    expect(waits[index]).toBeLessThanOrEqual(step * 1.2);
  }
  const { state, attempts, lastError } = await run.delivery();
  expect({ state, lastError }).toEqual({ state: "dead", lastError: "HTTP 500" });
  expect(attempts.map((attempt) => attempt.number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(run.receiver.sent).toHaveLength(10);
});

test("every attempt carries the same id and a timestamp of its own", async () => {
  await using run = await startEngine();
  run.receiver.next(APP, 500);
  await run.accept();
  await run.advanceToDue();
  const [first, second] = run.receiver.sent;
  expect(second?.headers.get("webhook-id")).toBe(first?.headers.get("webhook-id") as string);
  const seconds = (sent = first) => Number(sent?.headers.get("webhook-timestamp"));
  expect(seconds(second) - seconds(first)).toBe(Math.floor(run.clock.now() / SECOND) - seconds(first));
  expect(seconds(second)).toBeGreaterThan(seconds(first));
});

test.each([429, 503])("Retry-After on %p is a minimum", async (status) => {
  await using run = await startEngine();
  run.receiver.next(APP, { status, headers: { "retry-after": "3600" } });
  await run.accept();
  const { dueAt } = await run.delivery();
  expect(dueAt).toBe(run.clock.now() + 3_600 * SECOND);
});

test.each([
  ["no connection", "connect", "transport"],
  ["a name that does not resolve", "dns", "transport"],
  ["a broken answer", "protocol", "transport"],
  ["a reset", "reset", "transport"],
  ["a time out", "timeout", "timeout"],
  ["an address that is not allowed", "blocked", "blocked"],
] as const)("%s is a failed attempt that is retried", async (_, failure, kind) => {
  await using run = await startEngine();
  run.receiver.next(APP, { failure });
  await run.accept();
  const { state, attempts } = await run.delivery();
  expect(state).toBe("retrying");
  expect(attempts).toMatchObject([{ outcome: "failed", status: null, failure: kind }]);
});

test("a receiver that hangs fails when the endpoint's time out has passed", async () => {
  await using run = await startEngine({ endpoints: [{ name: "app", timeoutMs: 15_000 }] });
  run.receiver.next(APP, "hang");
  await run.accept();
  await run.advance(14_999);
  expect(await run.states()).toEqual(["sending"]);
  await run.advance(1);
  expect(await run.delivery()).toMatchObject({ state: "retrying", attempts: [{ failure: "timeout" }] });
});

test("a redirect is a failure and is not followed", async () => {
  await using run = await startEngine();
  run.receiver.next(APP, { status: 302, headers: { location: "http://elsewhere.test/" } });
  await run.accept();
  expect(run.receiver.sent).toHaveLength(1);
  expect(await run.delivery()).toMatchObject({ state: "retrying", lastError: "HTTP 302" });
});

test("an attempt writes one log line", async () => {
  await using run = await startEngine();
  run.receiver.next(APP, 500);
  await run.accept();
  const lines = run.logged.filter((line) => line.event === "delivery.attempted");
  expect(lines).toMatchObject([
    { level: "info", fields: { endpoint: "app", attempt: 1, state: "retrying", status: 500 } },
  ]);
});

test("a request that HTTP cannot carry fails visibly and does not speak against the target", async () => {
  await using run = await startEngine({
    endpoints: [
      { name: "app", headers: { "x-note": "caf\u0113" }, breaker: { failures: 1, recoveryMs: 1_000 } },
    ],
  });
  await run.accept();
  const { state, lastError } = await run.delivery();
  expect(state).toBe("retrying");
  expect(lastError).toStartWith("the request could not be made");
  expect(run.engine.breakers.state(run.endpoint()).kind).toBe("closed");
  expect(run.receiver.sent).toEqual([]);
});

test("a sender that breaks its promise and throws costs its lane no slot", async () => {
  await using run = await startEngine({ endpoints: [{ name: "app", concurrency: 1 }] });
  run.receiver.next(APP, 200);
  const { send } = run.receiver;
  run.receiver.send = () => Promise.reject(new Error("a mistake"));
  await run.accept();
  run.receiver.send = send;
  await run.accept();
  expect(await run.states()).toEqual(["sending", "succeeded"]);
  expect(run.engine.slots.used).toBe(0);
});

test("an endpoint of a dialect that is gone waits without disturbing others", async () => {
  await using run = await startEngine({ endpoints: [{ name: "gone", profile: "gone" }, { name: "app" }] });
  run.receiver.always(APP, 500);
  for (let n = 0; n < 11; n += 1) await run.accept();
  expect(run.engine.breakers.state(run.endpoint()).kind).toBe("open");
  run.receiver.always(APP, 200);
  await run.advanceStepwise(45 * SECOND);
  const lanes = await run.deliveries();
  const states = (name: string) =>
    new Set(lanes.filter((one) => one.lane === run.endpoint(name).lane).map((one) => one.state));
  expect([...states("app")]).toEqual(["succeeded"]);
  expect(states("gone").has("succeeded")).toBe(false);
});
