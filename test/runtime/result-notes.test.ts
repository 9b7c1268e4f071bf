import { describe, expect, test } from "bun:test";
import { showId } from "../../src/domain/id.ts";
import { specWithResult } from "../../src/domain/result-note.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { withFolder } from "../support/store.ts";

const APP = receiverUrl("app");
const AUDIT = receiverUrl("audit");
const ONE_TRY = { kind: "ladder", delaysMs: [], jitter: 0 } as const;
const SETUP: EngineSetup = {
  endpoints: [
    { name: "app", retry: ONE_TRY, resultTo: "audit" },
    { name: "audit", resultTo: "app" },
  ],
  sources: [{ to: ["app"] }],
};

const notes = (run: TestEngine) => run.receiver.to(AUDIT).map(({ text }) => JSON.parse(text) as object);

describe("Whoever is named is told how a delivery ended", () => {
  test("when it succeeded", async () => {
    await using run = await startEngine(SETUP);
    const eventId = await run.accept();
    const [first] = await run.deliveries();
    expect(notes(run)).toEqual([
      {
        type: "delivery.succeeded",
        deliveryId: showId("delivery", first?.id ?? ""),
        eventId: showId("event", eventId),
        endpoint: "app",
        attempts: 1,
        status: 200,
        error: null,
        createdAt: new Date(run.clock.now()).toISOString(),
        finishedAt: new Date(run.clock.now()).toISOString(),
      },
    ]);
  });

  test("when it was given up", async () => {
    await using run = await startEngine(SETUP);
    run.receiver.next(APP, 503);
    await run.accept();
    expect(notes(run)).toMatchObject([
      { type: "delivery.dead", status: 503, error: "HTTP 503", attempts: 1 },
    ]);
  });

  test("when it was cancelled, but not when what was cancelled is discarded", async () => {
    await using run = await startEngine(SETUP);
    await run.engine.commands.pauseEndpoint(run.endpoint("app"));
    await run.accept();
    const [held] = await run.deliveries();
    await run.engine.commands.cancel("default", held?.id ?? "");
    await run.engine.commands.discard("default", held?.id ?? "");
    await run.settle();
    expect(notes(run)).toMatchObject([{ type: "delivery.cancelled", attempts: 0 }]);
  });

  test("not while it is still tried, and once for each end", async () => {
    const retry = { kind: "ladder", delaysMs: [1_000], jitter: 0 } as const;
    await using run = await startEngine({
      ...SETUP,
      endpoints: [{ name: "app", retry, resultTo: "audit" }, { name: "audit" }],
    });
    run.receiver.next(APP, 500, 500);
    await run.accept();
    expect(notes(run)).toEqual([]);
    await run.advance(1_000);
    expect(notes(run)).toHaveLength(1);
    const [first] = await run.deliveries();
    await run.engine.commands.replay("default", first?.id ?? "");
    await run.settle();
    expect(notes(run)).toMatchObject([
      { type: "delivery.dead" },
      { type: "delivery.succeeded", attempts: 3 },
    ]);
  });

  test("and is asked again until it has taken the note, while nobody is told of that", async () => {
    await using run = await startEngine(SETUP);
    run.receiver.next(AUDIT, 500);
    await run.accept();
    await run.advance(10_000);
    expect(notes(run)).toHaveLength(2);
    expect(run.receiver.to(APP)).toHaveLength(1);
    expect(await run.states()).toEqual(["succeeded", "succeeded"]);
  });

  test("by one delivery alone, in place of its endpoint's own word", async () => {
    await using run = await startEngine({
      ...SETUP,
      endpoints: [{ name: "app" }, { name: "audit" }],
    });
    const payload = { headers: "{}", body: Buffer.from("{}") };
    const draft = { payload, dueAt: run.clock.now() };
    await run.engine.timers.create(run.endpoint("app"), draft);
    await run.engine.timers.create(run.endpoint("app"), { ...draft, spec: specWithResult("audit") });
    await run.settle();
    expect(notes(run)).toMatchObject([{ type: "delivery.succeeded", eventId: null }]);
  });
});

test("A bulk cancel tells of each end, a bulk discard and a purge of none", async () => {
  await using run = await startEngine({
    ...SETUP,
    endpoints: [...(SETUP.endpoints ?? []), { name: "quiet" }],
  });
  for (const name of ["app", "quiet"]) await run.engine.commands.pauseEndpoint(run.endpoint(name));
  await run.acceptMany(3);
  await run.engine.timers.create(run.endpoint("quiet"), {
    payload: { headers: "{}", body: Buffer.from("{}") },
    dueAt: run.clock.now(),
    spec: specWithResult("audit"),
  });
  const bulk = { project: "default", isAsNew: false, rate: null } as const;
  await run.engine.bulks.create({
    ...bulk,
    action: "cancel",
    match: { project: "default", states: ["held"] },
  });
  await run.settle();
  const told = notes(run) as { type: string; endpoint: string; deliveryId: string }[];
  expect(told.map(({ type, endpoint }) => `${endpoint} ${type}`).sort()).toEqual([
    "app delivery.cancelled",
    "app delivery.cancelled",
    "app delivery.cancelled",
    "quiet delivery.cancelled",
  ]);
  expect(new Set(told.map(({ deliveryId }) => deliveryId)).size).toBe(4);
  const cancelled = { project: "default", states: ["cancelled" as const] };
  await run.engine.bulks.create({ ...bulk, action: "discard", match: cancelled });
  await run.settle();
  for (let step = 0; step < 3; step += 1) {
    await run.store.purge({ kind: "dead", before: run.clock.now() + 1, limit: 100 });
  }
  await run.settle();
  expect(await run.states()).toEqual(Array(4).fill("succeeded"));
  expect(notes(run)).toHaveLength(4);
});

test("A note commits with the end that it tells of, and goes out after a restart", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/postern.db`;
    {
      await using run = await startEngine({ ...SETUP, path });
      run.receiver.next(AUDIT, "hang");
      await run.accept();
      expect((await run.deliveries()).map(({ state }) => state)).toEqual(["succeeded", "sending"]);
    }
    await using again = await startEngine({ ...SETUP, path });
    expect(notes(again)).toMatchObject([{ type: "delivery.succeeded" }]);
    expect(await again.states()).toEqual(["succeeded", "succeeded"]);
  });
});

test("A name that is gone ends nothing: it is logged, and the delivery is done", async () => {
  await using run = await startEngine({ ...SETUP, endpoints: [{ name: "app", resultTo: "nobody" }] });
  await run.accept();
  expect(await run.states()).toEqual(["succeeded"]);
  expect(run.logged.filter(({ event }) => event === "result.nobody_told")).toHaveLength(1);
});
