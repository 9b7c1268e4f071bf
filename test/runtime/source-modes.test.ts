/** Pausing a source, pull mode, and what deduplication remembers. */
import { describe, expect, test } from "bun:test";
import { DUE_ON_RESUME } from "../../src/domain/delivery.ts";
import type { DedupeRule } from "../../src/domain/source.ts";
import { type EngineSetup, startEngine, type TestEngine } from "../support/engine.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { withFolder } from "../support/store.ts";

const HOUR = 3_600_000;

const pause = (run: TestEngine, isPaused: boolean) =>
  run.engine.commands.setSourcePaused(run.source(), isPaused);

/** Runs two engines, one after the other, on the same file and the same clock. */
async function overRestart(
  setup: EngineSetup,
  before: (run: TestEngine) => Promise<void>,
  after: (run: TestEngine) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const shared = { ...setup, path: `${folder}/postern.db`, clock: new FakeClock() };
    {
      await using run = await startEngine(shared);
      await before(run);
    }
    await using run = await startEngine(shared);
    await after(run);
  });
}

describe("A paused source", () => {
  test("refuses with 503 and the time to come back", async () => {
    await using run = await startEngine();
    await pause(run, true);
    expect(await run.receive()).toMatchObject({ reason: "paused", status: 503, retryAfterMs: 60_000 });
    await run.settle();
    const rejections = (await run.store.listRejections({ project: "default" })).data;
    expect(rejections).toMatchObject([{ reason: "paused" }]);
    await pause(run, false);
    expect(await run.receive()).toMatchObject({ kind: "accepted" });
  });

  describe("that accepts", () => {
    const setup: EngineSetup = { sources: [{ whilePaused: "accept" }] };

    test("stores, and holds the deliveries until it is resumed", async () => {
      await using run = await startEngine(setup);
      await pause(run, true);
      await run.acceptMany(3);
      await run.advance(24 * HOUR);
      expect(run.receiver.sent).toEqual([]);
      const held = { state: "held", dueAt: null, scheduledAt: run.clock.now() - 24 * HOUR };
      expect(await run.deliveries()).toMatchObject([held, held, held]);
      await pause(run, false);
      await run.settle();
      expect(await run.states()).toEqual(["succeeded", "succeeded", "succeeded"]);
      expect(run.engine.slots.used).toBe(0);
    });

    test("still verifies, and still knows duplicates", async () => {
      const dedupe: DedupeRule = { selectors: [[{ kind: "body" }]], windowMs: HOUR };
      await using run = await startEngine({ sources: [{ ...setup.sources?.[0], dedupe }] });
      await pause(run, true);
      await run.accept();
      expect(await run.receive({ method: "PUT" })).toMatchObject({ reason: "invalid_method" });
      expect(await run.receive()).toMatchObject({ isDuplicate: true });
      await pause(run, false);
      await run.settle();
      expect(run.receiver.sent).toHaveLength(1);
    });

    test("holds more than one step's worth", async () => {
      await using run = await startEngine(setup);
      await pause(run, true);
      await run.acceptMany(1_100);
      await pause(run, false);
      await run.settle();
      expect(run.receiver.sent).toHaveLength(1_100);
    });

    test("does not hold what came before, nor what other sources take", async () => {
      const sources = [{ ...setup.sources?.[0] }, { name: "two", whilePaused: "accept" }] as const;
      await using run = await startEngine({ sources });
      await pause(run, true);
      await run.engine.commands.setSourcePaused(run.source("two"), true);
      await run.accept();
      await run.accept({ source: "two", body: "two" });
      await run.engine.commands.setSourcePaused(run.source("two"), false);
      await run.settle();
      expect(run.receiver.sent.map(({ body }) => Buffer.from(body ?? []).toString())).toEqual(["two"]);
    });

    test("keeps holding when its endpoint is paused and resumed", async () => {
      await using run = await startEngine(setup);
      await pause(run, true);
      await run.accept();
      await run.engine.commands.pauseEndpoint(run.endpoint());
      await run.settle();
      await run.engine.commands.resumeEndpoint(run.endpoint());
      await run.settle();
      expect(await run.states()).toEqual(["held"]);
      await pause(run, false);
      await run.settle();
      expect(await run.states()).toEqual(["succeeded"]);
    });

    test("hands over to a paused endpoint, which goes on holding", async () => {
      await using run = await startEngine(setup);
      await pause(run, true);
      await run.accept();
      await run.engine.commands.pauseEndpoint(run.endpoint());
      await pause(run, false);
      await run.settle();
      expect(await run.states()).toEqual(["held"]);
      await run.engine.commands.resumeEndpoint(run.endpoint());
      await run.settle();
      expect(await run.states()).toEqual(["succeeded"]);
    });

    test("lets single deliveries be cancelled or sent now", async () => {
      await using run = await startEngine(setup);
      await pause(run, true);
      await run.acceptMany(2);
      const [first, second] = await run.deliveries();
      await run.engine.commands.cancel("default", first?.id ?? "");
      await run.engine.commands.retryNow("default", second?.id ?? "");
      await run.settle();
      expect(await run.states()).toEqual(["cancelled", "succeeded"]);
    });

    test("releases what was on its way in when it was resumed", async () => {
      await using run = await startEngine(setup);
      await pause(run, true);
      const coming = run.receive();
      const resumed = pause(run, false);
      expect(await coming).toMatchObject({ kind: "accepted" });
      await resumed;
      await run.settle();
      expect(await run.states()).toEqual(["succeeded"]);
    });

    test("releases what it held when it is taken out of the configuration", async () => {
      await using run = await startEngine(setup);
      await pause(run, true);
      await run.accept();
      await run.declare({ sources: [] });
      await run.settle();
      expect(await run.states()).toEqual(["succeeded"]);
    });

    test("holds over a restart", async () => {
      await overRestart(
        setup,
        async (run) => {
          await pause(run, true);
          await run.accept();
        },
        async (run) => {
          await run.advance(HOUR);
          expect(await run.states()).toEqual(["held"]);
          await pause(run, false);
          await run.settle();
          expect(await run.states()).toEqual(["succeeded"]);
        },
      );
    });

    test("is resumed by the next start when a process dies in between", async () => {
      await overRestart(
        setup,
        async (run) => {
          await pause(run, true);
          await run.accept();
          await run.store.setSourcePaused(run.source().id, null);
        },
        async (run) => expect(await run.states()).toEqual(["succeeded"]),
      );
    });
  });
});

describe("Pull mode", () => {
  const setup: EngineSetup = { sources: [{ mode: "pull", to: [] }] };
  const fetch = (run: TestEngine, input: Parameters<typeof run.engine.commands.fetchStored>[1]) =>
    run.engine.commands.fetchStored(run.source(), input);
  const texts = (items: Awaited<ReturnType<typeof fetch>>) =>
    items.map(({ payload }) => Buffer.from(payload.body).toString());

  test("stores one delivery per event and sends nothing", async () => {
    await using run = await startEngine(setup);
    await run.accept();
    await run.advance(24 * HOUR);
    expect(run.receiver.sent).toEqual([]);
    expect(await run.deliveries()).toMatchObject([{ state: "stored", lane: -run.source().seq, dueAt: null }]);
  });

  test("hands out the oldest first, each once, even to two who ask at the same time", async () => {
    await using run = await startEngine(setup);
    await run.acceptMany(5);
    const [left, right] = await Promise.all([fetch(run, { limit: 5 }), fetch(run, { limit: 5 })]);
    expect([...texts(left), ...texts(right)].toSorted()).toEqual([0, 1, 2, 3, 4].map((n) => `{"n":${n}}`));
    expect(await run.states()).toEqual(Array(5).fill("fetched"));
    expect(await fetch(run, { limit: 5 })).toEqual([]);
  });

  test("shows without marking, and again what was not acknowledged", async () => {
    await using run = await startEngine(setup);
    await run.acceptMany(3);
    expect(texts(await fetch(run, { limit: 2, isPeek: true }))).toEqual(['{"n":0}', '{"n":1}']);
    expect(await run.states()).toEqual(["stored", "stored", "stored"]);
    await fetch(run, { limit: 2 });
    expect(texts(await fetch(run, { limit: 9, state: "fetched" }))).toEqual(['{"n":0}', '{"n":1}']);
  });

  test("comes with what was received", async () => {
    await using run = await startEngine({
      sources: [{ ...setup.sources?.[0], eventType: { kind: "json", path: ["type"] } }],
    });
    const eventId = await run.accept({ body: '{"type":"a"}\n', headers: { "x-a": "1", cookie: "secret" } });
    const [item] = await fetch(run, { limit: 1 });
    expect(item).toMatchObject({ eventId, type: "a", receivedAt: run.clock.now() });
    expect(item?.payload.headers).toEqual({ "x-a": "1" });
    expect(Buffer.from(item?.payload.body ?? []).toString()).toBe('{"type":"a"}\n');
  });

  test("bounds a fetch by bytes, with at least one event in it", async () => {
    await using run = await startEngine(setup);
    for (let n = 0; n < 3; n += 1) await run.accept({ body: Buffer.alloc(5 * 1_048_576, `${n}`) });
    expect(await fetch(run, { limit: 3 })).toHaveLength(1);
    expect(await fetch(run, { limit: 3 })).toHaveLength(1);
  });

  test("ends with the acknowledgement, which counts once", async () => {
    await using run = await startEngine(setup);
    await run.acceptMany(2);
    const ids = (await fetch(run, { limit: 1 })).map(({ deliveryId }) => deliveryId);
    const unfetched = (await run.deliveries())[1]?.id ?? "";
    const { commands } = run.engine;
    expect(await commands.confirmFetched(run.source(), [...ids, unfetched])).toBe(2);
    expect(await commands.confirmFetched(run.source(), ids)).toBe(0);
    expect(await run.states()).toEqual(["succeeded", "succeeded"]);
    await expect(commands.replay("default", ids[0] ?? "")).rejects.toMatchObject({ code: "invalid_state" });
  });

  test("is nothing for a source that forwards, nor for the deliveries of another", async () => {
    await using run = await startEngine({
      sources: [...(setup.sources ?? []), { name: "two", to: ["app"] }],
    });
    const { commands } = run.engine;
    await run.accept({ source: "two" });
    const foreign = await run.delivery();
    await expect(commands.fetchStored(run.source("two"), { limit: 1 })).rejects.toMatchObject({
      code: "invalid_state",
    });
    await expect(commands.confirmFetched(run.source(), [foreign.id])).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("accepts while paused, when told so", async () => {
    await using run = await startEngine({ sources: [{ ...setup.sources?.[0], whilePaused: "accept" }] });
    await pause(run, true);
    await run.accept();
    expect(await fetch(run, { limit: 1 })).toHaveLength(1);
  });

  test("forgets events that nobody fetched when their time is over, and says so", async () => {
    const keepMs = { delivered: HOUR, dead: HOUR, events: HOUR, rejections: HOUR, metrics: HOUR, logs: HOUR };
    await using run = await startEngine({ ...setup, engine: { keepMs } });
    await run.acceptMany(2);
    await fetch(run, { limit: 1 });
    await run.advance(HOUR / 2);
    await run.accept();
    await run.advance(HOUR / 2);
    await run.engine.retention.sweep();
    expect(await run.states()).toEqual(["stored"]);
    expect((await run.store.listEvents({ project: "default" })).data).toHaveLength(1);
    expect(run.logged).toContainEqual({
      level: "warn",
      event: "retention.unfetched_dropped",
      fields: { count: 2 },
    });
  });

  test("keeps what waits over a restart", async () => {
    await overRestart(
      setup,
      async (run) => {
        await run.acceptMany(2);
        await fetch(run, { limit: 1 });
      },
      async (run) => {
        expect(texts(await fetch(run, { limit: 9, state: "fetched" }))).toEqual(['{"n":0}']);
        expect(texts(await fetch(run, { limit: 9 }))).toEqual(['{"n":1}']);
      },
    );
  });
});

describe("Deduplication", () => {
  const dedupe = (...selectors: DedupeRule["selectors"]): DedupeRule => ({ selectors, windowMs: HOUR });

  test.each([
    ["a query parameter", dedupe([{ kind: "query", name: "id" }]), "/in/in?id=1", "/in/in?id=2"],
    [
      "the first of a repeated one",
      dedupe([{ kind: "query", name: "id" }]),
      "/in/in?id=1&id=2",
      "/in/in?id=2",
    ],
  ])("by %s", async (_, rule, url, other) => {
    await using run = await startEngine({ sources: [{ dedupe: rule }] });
    expect(await run.receive({ url, body: "a" })).toMatchObject({ isDuplicate: false });
    expect(await run.receive({ url, body: "b" })).toMatchObject({ isDuplicate: true });
    expect(await run.receive({ url: other, body: "a" })).toMatchObject({ isDuplicate: false });
    for (let n = 0; n < 2; n += 1) {
      expect(await run.receive({ url: "/in/in" })).toMatchObject({ isDuplicate: false });
    }
  });

  test("by the whole body", async () => {
    await using run = await startEngine({ sources: [{ dedupe: dedupe([{ kind: "body" }]) }] });
    expect(await run.receive({ body: "a", headers: { "x-a": "1" } })).toMatchObject({ isDuplicate: false });
    expect(await run.receive({ body: "a", headers: { "x-a": "2" } })).toMatchObject({ isDuplicate: true });
    expect(await run.receive({ body: "a\n" })).toMatchObject({ isDuplicate: false });
    for (let n = 0; n < 2; n += 1)
      expect(await run.receive({ body: "" })).toMatchObject({ isDuplicate: false });
  });

  test("remembers over a restart, until its window ends", async () => {
    const setup: EngineSetup = { sources: [{ dedupe: dedupe([{ kind: "json", path: ["n"] }]) }] };
    await overRestart(
      setup,
      async (run) => void (await run.accept()),
      async (run) => {
        expect(await run.receive()).toMatchObject({ isDuplicate: true });
        await run.advance(HOUR);
        expect(await run.receive()).toMatchObject({ isDuplicate: false });
      },
    );
  });

  test("is not used up by a request that was refused", async () => {
    const verify = [{ scheme: "token", header: "x-token", secrets: [{ value: "right" }] }] as const;
    await using run = await startEngine({ sources: [{ verify, dedupe: dedupe([{ kind: "body" }]) }] });
    expect(await run.receive({ headers: { "x-token": "wrong" } })).toMatchObject({ kind: "refused" });
    expect(await run.receive({ headers: { "x-token": "right" } })).toMatchObject({ isDuplicate: false });
  });
});

test("The instant of what waits for a resume is the last that a Date can show", () => {
  expect(new Date(DUE_ON_RESUME).toISOString()).toBe("+275760-09-13T00:00:00.000Z");
  expect(new Date(DUE_ON_RESUME + 1).getTime()).toBeNaN();
});
