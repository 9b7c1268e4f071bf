import { expect, test } from "bun:test";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import { AppError } from "../../src/domain/errors.ts";
import type { ScheduleDefinition } from "../../src/domain/schedule-definition.ts";
import type { Store } from "../../src/storage/contract.ts";
import {
  declareEndpoint,
  declareSchedule,
  receiverUrl,
  startEngine,
  type TestEngine,
} from "../support/engine.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { withFolder } from "../support/store.ts";

const APP = receiverUrl("app");
const START = Date.UTC(2026, 0, 1);
const iso = (at: number) => new Date(at).toISOString();

/** Occurrences that were delivered for, oldest delivery first, as minutes after the start. */
async function minutes(run: TestEngine): Promise<number[]> {
  return (await run.deliveries()).map(({ scheduledAt }) => (scheduledAt - START) / MINUTE);
}

async function schedule(run: TestEngine, name = "beat") {
  const found = await run.store.scheduleNamed("default", name);
  if (!found) throw new Error(`no schedule ${name}`);
  return found;
}

/** A store that has used up a budget of 1,000 bytes, or nothing of it. */
function withFullDisk(store: Store, isFull: () => boolean): Store {
  return new Proxy(store, {
    get: (target, name) => (name === "usedBytes" ? () => (isFull() ? 2_000 : 0) : Reflect.get(target, name)),
  });
}

const beat = (change: Partial<ScheduleDefinition> = {}) => ({ name: "beat", ...change });

test("cron, every and at each run on time, once per occurrence, and say which", async () => {
  await using run = await startEngine({
    schedules: [
      beat({ name: "cron", timing: { cron: "*/2 * * * *" } }),
      beat({ name: "every", timing: { every: "90s" } }),
      beat({ name: "at", timing: { at: "2026-01-01T00:01:00Z" } }),
    ],
  });
  await run.advanceStepwise(4 * MINUTE);
  const seen = run.receiver.sent.map(({ headers }) => [
    headers.get("postern-schedule"),
    headers.get("postern-occurrence"),
  ]);
  const at = (ms: number) => iso(START + ms);
  expect(seen.sort()).toEqual([
    ["at", at(MINUTE)],
    ["cron", at(2 * MINUTE)],
    ["cron", at(4 * MINUTE)],
    ["every", at(90 * SECOND)],
    ["every", at(180 * SECOND)],
  ]);
  const sentAt = (await run.deliveries()).map(({ createdAt, scheduledAt }) => createdAt - scheduledAt);
  expect(sentAt).toEqual([0, 0, 0, 0, 0]);
  expect(await schedule(run, "at")).toMatchObject({ nextRunAt: null, runCount: 1, skippedCount: 0 });
  expect(await schedule(run, "every")).toMatchObject({
    nextRunAt: START + 270 * SECOND,
    lastRunAt: START + 180 * SECOND,
    runCount: 2,
  });
});

test("what a run sends is what was declared, as its own delivery with its own id", async () => {
  await using run = await startEngine({ schedules: [beat()] });
  await run.advance(MINUTE);
  const [sent] = run.receiver.sent;
  const [delivery] = await run.deliveries();
  expect(sent?.text).toBe('{"kind":"beat"}');
  expect(sent?.headers.get("content-type")).toBe("application/json");
  expect(sent?.headers.get("webhook-id")).toBe(`dlv_${delivery?.id}`);
  expect(delivery).toMatchObject({ schedule: "beat", state: "succeeded", eventId: null });
});

test("at a full disk budget runs wait, and what is late when there is room again is missed", async () => {
  let isFull = true;
  await using run = await startEngine({
    schedules: [beat({ missed: { kind: "once" } }), beat({ name: "strict", missed: { kind: "skip" } })],
    engine: { diskBytesMax: 1_000 },
    wrap: (store) => withFullDisk(store, () => isFull),
  });
  await run.advanceStepwise(5 * MINUTE);
  expect(await run.deliveries()).toEqual([]);
  expect(await schedule(run)).toMatchObject({ nextRunAt: START + MINUTE, runCount: 0, skippedCount: 0 });
  const refused = run.engine.schedules.runNow(await schedule(run)).catch(({ code }: AppError) => code);
  expect(await refused).toBe("overloaded");
  isFull = false;
  await run.advanceStepwise(20 * SECOND);
  expect((await run.deliveries()).map((one) => one.schedule)).toEqual(["beat", "strict"]);
  expect(await schedule(run)).toMatchObject({ runCount: 1, skippedCount: 4 });
  // The one of this minute is not late yet.
  expect(await schedule(run, "strict")).toMatchObject({ runCount: 1, skippedCount: 4 });
});

test("a failed run is retried like any delivery", async () => {
  await using run = await startEngine({ schedules: [beat({ timing: { at: "2026-01-01T00:01:00Z" } })] });
  run.receiver.next(APP, 500, 200);
  await run.advance(MINUTE);
  expect(await run.states()).toEqual(["retrying"]);
  await run.advanceToDue();
  expect(await run.states()).toEqual(["succeeded"]);
});

test("a restart goes on where the process stopped, with nothing lost and nothing doubled", async () => {
  await withFolder(async (folder) => {
    const clock = new FakeClock();
    const setup = { path: `${folder}/store.db`, clock, schedules: [beat()] };
    const first = await startEngine(setup);
    await first.advanceStepwise(2 * MINUTE);
    await first.close();
    clock.advance(30 * SECOND);
    await using second = await startEngine(setup);
    await second.advanceStepwise(MINUTE);
    expect(await minutes(second)).toEqual([1, 2, 3]);
  });
});

test("a run that came due while the process was down is still due when the file is as before", async () => {
  await withFolder(async (folder) => {
    const clock = new FakeClock();
    const setup = { path: `${folder}/store.db`, clock, schedules: [beat({ timing: { every: "1h" } })] };
    await (await startEngine(setup)).close();
    clock.advance(HOUR + 30 * MINUTE);
    await using run = await startEngine(setup);
    expect(await minutes(run)).toEqual([60]);
    expect(await schedule(run)).toMatchObject({ runCount: 1, skippedCount: 0 });
  });
});

test("a step that cannot be stored is decided again, and then applied once", async () => {
  let isFailing = true;
  const wrap = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) =>
        name === "fireSchedule" && isFailing
          ? () => Promise.reject(new AppError("storage_unavailable", "full"))
          : Reflect.get(target, name),
    });
  await using run = await startEngine({ wrap, schedules: [beat({ timing: { every: "1m" } })] });
  await run.advance(MINUTE);
  expect(await minutes(run)).toEqual([]);
  isFailing = false;
  await run.advance(SECOND);
  expect(await minutes(run)).toEqual([1]);
  expect(run.engine.slots.used).toBe(0);
  await run.advance(MINUTE - SECOND);
  expect(await minutes(run)).toEqual([1, 2]);
});

test("a process that dies before its step is stored leaves the run to the next one", async () => {
  await withFolder(async (folder) => {
    const clock = new FakeClock();
    const never = (store: Store): Store =>
      new Proxy(store, {
        get: (target, name) =>
          name === "fireSchedule"
            ? () => Promise.reject(new AppError("shutting_down", "gone"))
            : Reflect.get(target, name),
      });
    const setup = { path: `${folder}/store.db`, clock, schedules: [beat()] };
    const first = await startEngine({ ...setup, wrap: never });
    await first.advance(MINUTE);
    await first.close();
    await using second = await startEngine(setup);
    expect(await minutes(second)).toEqual([1]);
  });
});

const OUTAGE = 10 * MINUTE + 30 * SECOND;

test.each([
  ["skip", { kind: "skip" }, [], 10],
  ["once", { kind: "once" }, [1], 9],
  ["all, but at most three", { kind: "all", max: 3, ageMaxMs: DAY }, [8, 9, 10], 7],
  ["all that are young enough", { kind: "all", max: 100, ageMaxMs: 2 * MINUTE }, [9, 10], 8],
] as const)("after an outage: %s", async (_name, missed, expected, skipped) => {
  await withFolder(async (folder) => {
    const clock = new FakeClock();
    const setup = { path: `${folder}/store.db`, clock, schedules: [beat({ missed })] };
    await (await startEngine(setup)).close();
    clock.advance(OUTAGE);
    await using run = await startEngine(setup);
    expect(await minutes(run)).toEqual([...expected]);
    const { skippedCount, lastSkip } = await schedule(run);
    expect([skippedCount, lastSkip?.reason]).toEqual([skipped, "missed"]);
    // One a second, so that no storm follows an outage.
    expect(run.receiver.sent.length).toBe(Math.min(1, expected.length));
    await run.advanceStepwise(5 * SECOND);
    expect(run.receiver.sent.length).toBe(expected.length);
    await run.advanceStepwise(30 * SECOND);
    expect((await minutes(run)).at(-1)).toBe(11);
    const line = run.logged.find(({ event }) => event === "schedule.skipped");
    expect(line?.fields).toMatchObject({ schedule: "beat", reason: "missed", count: skipped });
  });
});

/** Runs whose deliveries stay under way until the receiver answers. */
async function startHanging(definition: Partial<ScheduleDefinition>) {
  const run = await startEngine({
    endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [HOUR], jitter: 0 } }],
    schedules: [beat(definition)],
  });
  run.receiver.next(APP, 500, 500, 500, 500);
  return run;
}

test("overlap skip gives up runs while one is not done, counts them, and goes on afterwards", async () => {
  await using run = await startHanging({ overlap: "skip" });
  await run.advanceStepwise(3 * MINUTE);
  expect(await minutes(run)).toEqual([1]);
  expect(await schedule(run)).toMatchObject({
    runCount: 1,
    skippedCount: 2,
    lastSkip: { at: START + 3 * MINUTE, reason: "overlap" },
  });
  await run.engine.commands.cancel("default", (await run.delivery()).id);
  await run.advanceStepwise(MINUTE);
  expect(await minutes(run)).toEqual([1, 4]);
});

test("overlap queue starts a run when the one before it is done, over a restart too", async () => {
  await withFolder(async (folder) => {
    const clock = new FakeClock();
    const setup = {
      path: `${folder}/store.db`,
      clock,
      endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [HOUR], jitter: 0 } }],
      schedules: [beat({ overlap: "queue" })],
    } as const;
    const first = await startEngine(setup);
    first.receiver.next(APP, 500, 500);
    await first.advanceStepwise(3 * MINUTE);
    expect(await minutes(first)).toEqual([1]);
    await first.engine.commands.cancel("default", (await first.delivery()).id);
    await first.settle();
    expect(await minutes(first)).toEqual([1, 2]);
    await first.close();
    await using second = await startEngine(setup);
    const open = (await second.deliveries()).find(({ state }) => state === "retrying");
    await second.engine.commands.cancel("default", open?.id ?? "");
    await second.settle();
    expect(await minutes(second)).toEqual([1, 2, 3]);
    expect(await second.states()).toEqual(["cancelled", "cancelled", "succeeded"]);
    expect(await schedule(second)).toMatchObject({ runCount: 3, skippedCount: 0 });
  });
});

test("overlap allow starts as many as its limit, and the rest wait", async () => {
  await using run = await startHanging({ overlap: "allow", activeMax: 2 });
  await run.advanceStepwise(4 * MINUTE);
  expect(await minutes(run)).toEqual([1, 2]);
  await run.engine.commands.cancel("default", (await run.delivery()).id);
  await run.settle();
  expect(await minutes(run)).toEqual([1, 2, 3]);
});

test("a paused schedule does not run, and goes on from now when it is resumed", async () => {
  await using run = await startEngine({ schedules: [beat()] });
  await run.engine.schedules.pause(await schedule(run));
  await run.advanceStepwise(5 * MINUTE + 30 * SECOND);
  expect(await minutes(run)).toEqual([]);
  await run.declare({ schedules: [beat({ timing: { every: "2m" } })] });
  expect(await schedule(run)).toMatchObject({ nextRunAt: null, pausedAt: START });
  await run.declare({ schedules: [beat()] });
  const resumed = await run.engine.schedules.resume(await schedule(run));
  expect(resumed.skippedCount).toBe(0);
  await run.advanceStepwise(2 * MINUTE);
  expect((await minutes(run)).length).toBe(2);
  expect(Math.min(...(await minutes(run)))).toBeGreaterThan(5.5);
});

test("pausing gives up what waits, in the open", async () => {
  await using run = await startHanging({ overlap: "queue" });
  await run.advanceStepwise(3 * MINUTE);
  const paused = await run.engine.schedules.pause(await schedule(run));
  expect(paused).toMatchObject({ skippedCount: 2, lastSkip: { reason: "paused" } });
});

test("a clock that is set back neither doubles nor loses a run", async () => {
  await using run = await startEngine({ schedules: [beat()] });
  await run.advanceStepwise(3 * MINUTE);
  run.clock.step(-2 * MINUTE - 30 * SECOND);
  await run.advanceStepwise(4 * MINUTE);
  expect(await minutes(run)).toEqual([1, 2, 3, 4]);
});

test("a clock that leaps forward is an outage like any other", async () => {
  await using run = await startEngine({ schedules: [beat({ missed: { kind: "once" } })] });
  run.clock.step(5 * HOUR + 1);
  await run.advanceStepwise(MINUTE);
  expect(await minutes(run)).toEqual([1, 301]);
  expect(await schedule(run)).toMatchObject({ runCount: 2, skippedCount: 299 });
});

test.each([
  ["the gap", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]],
  ["the fold", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]],
])("half past two in Berlin runs once in %s, at the first valid instant", async (_name, from, expected) => {
  const timing = { cron: "30 2 * * *", timezone: "Europe/Berlin" };
  await using run = await startEngine({
    clock: new FakeClock(Date.parse(from)),
    schedules: [beat({ timing })],
  });
  for (const _run of expected) {
    const { nextDueAt } = await schedule(run);
    await run.advance((nextDueAt ?? 0) - run.clock.now());
  }
  expect((await run.deliveries()).map(({ scheduledAt }) => iso(scheduledAt))).toEqual(expected);
});

test("jitter puts a run off by less than its window, and it still names the planned instant", async () => {
  const timing = { every: "10m", jitter: "5m" };
  await using run = await startEngine({ schedules: [beat({ timing })] });
  const { nextRunAt, nextDueAt } = await schedule(run);
  const lateMs = (nextDueAt ?? 0) - (nextRunAt ?? 0);
  expect(nextRunAt).toBe(START + 10 * MINUTE);
  expect(lateMs).toBeGreaterThan(0);
  expect(lateMs).toBeLessThan(5 * MINUTE);
  await run.advanceStepwise(10 * MINUTE + lateMs - 1);
  expect(await minutes(run)).toEqual([]);
  await run.advance(1);
  expect(await minutes(run)).toEqual([10]);
});

test("a changed time counts from now, a changed body keeps the run that is due", async () => {
  await using run = await startEngine({ schedules: [beat({ timing: { every: "10m" } })] });
  await run.advance(5 * MINUTE);
  await run.declare({
    schedules: [beat({ timing: { every: "10m" }, content: { headers: {}, body: "new" } })],
  });
  expect(await schedule(run)).toMatchObject({ nextRunAt: START + 10 * MINUTE, content: { body: "new" } });
  await run.declare({ schedules: [beat({ timing: { every: "20m" } })] });
  expect(await schedule(run)).toMatchObject({ nextRunAt: START + 25 * MINUTE });
  await run.declare({ schedules: [] });
  await run.advanceStepwise(HOUR);
  expect(await minutes(run)).toEqual([]);
});

test("a run without its endpoint is given up in the open", async () => {
  await using run = await startEngine({ schedules: [beat({ endpoint: "gone" })] });
  await run.advance(MINUTE);
  expect(await schedule(run)).toMatchObject({
    runCount: 0,
    skippedCount: 1,
    lastSkip: { reason: "no_endpoint" },
  });
});

test("runs that waited for their endpoint start as soon as it is there again", async () => {
  await using run = await startHanging({ overlap: "queue" });
  await run.advanceStepwise(3 * MINUTE);
  const schedules = [beat({ overlap: "queue" as const })];
  await run.declare({ endpoints: [{ name: "other" }], schedules });
  await run.engine.commands.cancel("default", (await run.delivery()).id);
  await run.settle();
  expect(await minutes(run)).toEqual([1]);
  await run.declare({ schedules });
  await run.settle();
  expect((await minutes(run)).slice(0, 2)).toEqual([1, 2]);
});

test("and as soon as somebody makes it while the engine runs", async () => {
  await using run = await startEngine();
  const { objects, schedules, commands } = run.engine;
  const retry = { kind: "ladder", delaysMs: [HOUR], jitter: 0 } as const;
  const made = await objects.createEndpoint("native", declareEndpoint({ name: "late", retry }));
  run.receiver.next(receiverUrl("late"), 500);
  await schedules.create(declareSchedule({ ...beat(), overlap: "queue", endpoint: "late" }));
  await run.advanceStepwise(2 * MINUTE);
  await objects.retireEndpoint(made.id);
  await commands.cancel("default", (await run.delivery()).id);
  await run.settle();
  expect(await minutes(run)).toEqual([1]);
  await objects.createEndpoint("native", declareEndpoint({ name: "late" }));
  await run.settle();
  expect(await minutes(run)).toEqual([1, 2]);
});

test("a delivery that ends is no reason to look at the schedules of all others that wait", async () => {
  const looked: number[] = [];
  const wrap = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) =>
        name === "scheduleOfSeq"
          ? (seq: number) => {
              looked.push(seq);
              return target.scheduleOfSeq(seq);
            }
          : Reflect.get(target, name),
    });
  const retry = { kind: "ladder", delaysMs: [HOUR], jitter: 0 } as const;
  const schedules = Array.from({ length: 20 }, (_, n) => beat({ name: `s${n}`, overlap: "queue" as const }));
  await using run = await startEngine({
    wrap,
    endpoints: [{ name: "app", retry, concurrency: 64 }],
    schedules,
  });
  run.receiver.always(APP, 500);
  await run.advanceStepwise(2 * MINUTE);
  const first = (await run.deliveries())[0];
  looked.length = 0;
  await run.engine.commands.cancel("default", first?.id ?? "");
  await run.settle();
  expect(looked).toEqual([(await schedule(run, first?.schedule ?? "")).seq]);
  expect(await run.deliveries()).toHaveLength(21);
});

test("a thousand schedules that are due at once all run, once", async () => {
  const schedules = Array.from({ length: 1_000 }, (_, n) =>
    beat({ name: `s${n}`, timing: { cron: "0 3 * * *", timezone: "Europe/Berlin" } }),
  );
  await using run = await startEngine({ schedules });
  await run.advanceStepwise(2 * HOUR);
  const deliveries = await run.deliveries();
  expect(deliveries.length).toBe(1_000);
  expect(new Set(deliveries.map((delivery) => delivery.schedule)).size).toBe(1_000);
  expect(new Set(deliveries.map(({ state }) => state))).toEqual(new Set(["succeeded"]));
});
