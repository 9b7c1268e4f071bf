import { describe, expect, test } from "bun:test";
import { HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import type { AppError } from "../../src/domain/errors.ts";
import type { Id } from "../../src/domain/id.ts";
import type { Pacing, Poison } from "../../src/domain/pacing.ts";
import type { RetryRule } from "../../src/domain/policy.ts";
import type { DeclaredEndpoint } from "../../src/runtime/reconcile.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { withFolder } from "../support/store.ts";

const APP = receiverUrl("app");
const RETRY: RetryRule = { kind: "ladder", delaysMs: [SECOND, SECOND], jitter: 0 };
const KEYED = { kind: "json", path: ["key"] } as const;

interface Change extends Partial<DeclaredEndpoint> {
  readonly setup?: EngineSetup;
}

function start(pacing: Pacing, { setup = {}, ...change }: Change = {}): Promise<TestEngine> {
  return startEngine({
    endpoints: [{ name: "app", retry: RETRY, breaker: { failures: 0, recoveryMs: 1 }, pacing, ...change }],
    sources: [{ orderingKey: KEYED }],
    ...setup,
  });
}

const BY_KEY: Pacing = { ordering: "key", slowStart: false };
const poisonedBy = (poison: Poison): Pacing => ({ ...BY_KEY, poison });

/** Accepts events such as "a1 b1 a2": key and number. Returns the ids of their deliveries. */
async function acceptAll(run: TestEngine, words: string): Promise<Map<string, Id>> {
  const ids = new Map<string, Id>();
  for (const word of words.split(" ")) {
    const key = word.startsWith("-") ? {} : { key: word[0] };
    const event = await run.accept({ body: JSON.stringify({ ...key, word }) });
    const delivery = (await run.deliveries()).find(({ eventId }) => eventId === event);
    ids.set(word, delivery?.id ?? "");
  }
  return ids;
}

const sentWords = (run: TestEngine) =>
  run.receiver.sent.map(({ text }) => (JSON.parse(text) as { word: string }).word).join(" ");

const idOf = (ids: Map<string, Id>, word: string): Id => ids.get(word) ?? "";

async function stateOf(run: TestEngine, ids: Map<string, Id>, word: string): Promise<string> {
  const { state, waitsFor } = await run.delivery(idOf(ids, word));
  return waitsFor === null ? state : `${state} for ${waitsFor}`;
}

/** Answers 500 to the words in `failing`, else 200. */
function failFor(run: TestEngine, failing: Set<string>): void {
  run.receiver.always(APP, ({ text }) =>
    failing.has((JSON.parse(text) as { word: string }).word) ? 500 : 200,
  );
}

describe("An endpoint ordered by key", () => {
  test("sends one delivery of a key at a time, as they were accepted, and other keys beside it", async () => {
    await using run = await start(BY_KEY);
    run.receiver.always(APP, "hang");
    await acceptAll(run, "a1 a2 b1 a3 b2");
    expect(sentWords(run)).toBe("a1 b1");
    run.receiver.letGo(200);
    await run.settle();
    expect(sentWords(run)).toBe("a1 b1 a2 b2");
    run.receiver.letGo(200);
    await run.settle();
    run.receiver.letGo(200);
    await run.settle();
    expect(sentWords(run)).toBe("a1 b1 a2 b2 a3");
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });

  test("keeps a key waiting for the retries of its first, and no other key", async () => {
    await using run = await start(BY_KEY);
    run.receiver.next(APP, 500);
    const ids = await acceptAll(run, "a1 a2 b1");
    expect(sentWords(run)).toBe("a1 b1");
    expect(await stateOf(run, ids, "a2")).toBe("queued for turn");
    await run.advance(SECOND);
    expect(sentWords(run)).toBe("a1 b1 a1 a2");
  });

  test("sends events without a key as if there were no order", async () => {
    await using run = await start(BY_KEY);
    run.receiver.always(APP, "hang");
    await acceptAll(run, "-1 -2 -3");
    expect(run.receiver.hangingCount).toBe(3);
  });

  test("does not let a delivery out of its turn, but cancels it", async () => {
    await using run = await start(BY_KEY);
    run.receiver.always(APP, "hang");
    const ids = await acceptAll(run, "a1 a2 a3");
    const { commands } = run.engine;
    const early = commands.retryNow("default", idOf(ids, "a2"));
    await expect(early).rejects.toMatchObject({ code: "invalid_state" } satisfies Partial<AppError>);
    const sooner = commands.reschedule("default", idOf(ids, "a2"), run.clock.now());
    await expect(sooner).rejects.toMatchObject({ code: "invalid_state" });
    await commands.cancel("default", idOf(ids, "a2"));
    run.receiver.always(APP, 200);
    run.receiver.letGo(200);
    await run.settle();
    expect(sentWords(run)).toBe("a1 a3");
  });

  test("goes on when the one in front is cancelled", async () => {
    await using run = await start(BY_KEY);
    run.receiver.next(APP, 500);
    const ids = await acceptAll(run, "a1 a2");
    await run.engine.commands.cancel("default", idOf(ids, "a1"));
    await run.settle();
    expect(sentWords(run)).toBe("a1 a2");
  });

  test("goes on where it was after a stop in the middle of an attempt", async () => {
    await withFolder(async (folder) => {
      const setup = { path: `${folder}/store.db` };
      const first = await start(BY_KEY, { setup });
      first.receiver.always(APP, "hang");
      await acceptAll(first, "a1 a2 b1 b2");
      await first.close();
      await using run = await start(BY_KEY, { setup: { ...setup, clock: first.clock } });
      expect(
        sentWords(run)
          .split(" ")
          .filter((word) => word.startsWith("a")),
      ).toEqual(["a1", "a2"]);
      expect(
        sentWords(run)
          .split(" ")
          .filter((word) => word.startsWith("b")),
      ).toEqual(["b1", "b2"]);
      expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
    });
  });

  test("keeps its order through a pause, a rest and an open breaker", async () => {
    const breaker = { failures: 1, recoveryMs: 30 * SECOND };
    await using run = await start(BY_KEY, { breaker });
    await run.engine.commands.pauseEndpoint(run.endpoint());
    await acceptAll(run, "a1 a2");
    expect(await run.states()).toEqual(["held", "held"]);
    run.receiver.next(APP, { status: 429, headers: { "retry-after": "20" } });
    await run.engine.commands.resumeEndpoint(run.endpoint());
    await run.settle();
    await acceptAll(run, "a3");
    await run.advanceStepwise(2 * MINUTE);
    expect(sentWords(run)).toBe("a1 a1 a2 a3");
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
  });

  test("ordered by key no longer, still lets those in line out one by one", async () => {
    await using run = await start(BY_KEY);
    run.receiver.always(APP, "hang");
    await acceptAll(run, "a1 a2 a3");
    await run.declare({
      endpoints: [{ name: "app", retry: RETRY, pacing: {} }],
      sources: [{ orderingKey: KEYED }],
    });
    await run.settle();
    expect(run.receiver.hangingCount).toBe(1);
    run.receiver.always(APP, 200);
    run.receiver.letGo(200);
    await run.settle();
    expect(sentWords(run)).toBe("a1 a2 a3");
  });

  test("holds what came while its source was paused in its turn, and until the resume", async () => {
    await using run = await start(BY_KEY, {
      setup: { sources: [{ orderingKey: KEYED, whilePaused: "accept" }] },
    });
    run.receiver.next(APP, 500);
    const ids = await acceptAll(run, "a1");
    await run.engine.commands.setSourcePaused(run.source(), true);
    for (const [word, id] of await acceptAll(run, "a2 a3")) ids.set(word, id);
    expect(await stateOf(run, ids, "a2")).toBe("held for turn");
    await run.advance(SECOND);
    expect(sentWords(run)).toBe("a1 a1");
    expect(await stateOf(run, ids, "a2")).toBe("held for resume");
    await run.engine.commands.setSourcePaused(run.source(), false);
    await run.settle();
    expect(sentWords(run)).toBe("a1 a1 a2 a3");
  });
});

test("an endpoint ordered altogether sends one at a time, whatever the keys", async () => {
  await using run = await start({ ordering: "endpoint" });
  run.receiver.next(APP, 500);
  await acceptAll(run, "a1 b1 -1");
  expect(sentWords(run)).toBe("a1");
  await run.advance(SECOND);
  expect(sentWords(run)).toBe("a1 a1 b1 -1");
});

describe("A delivery that its line gives up", () => {
  test("blocks it as a dead letter, until that is discarded", async () => {
    await using run = await start(BY_KEY);
    failFor(run, new Set(["a1"]));
    const ids = await acceptAll(run, "a1 a2 b1");
    await run.advanceStepwise(HOUR);
    expect(await stateOf(run, ids, "a1")).toBe("dead");
    expect(await stateOf(run, ids, "a2")).toBe("queued for turn");
    expect(await stateOf(run, ids, "b1")).toBe("succeeded");
    await run.engine.commands.discard("default", idOf(ids, "a1"));
    await run.settle();
    expect(await stateOf(run, ids, "a2")).toBe("succeeded");
  });

  test("blocks it until a replay of it has succeeded, and then goes first", async () => {
    await using run = await start(BY_KEY);
    failFor(run, new Set(["a1"]));
    const ids = await acceptAll(run, "a1 a2");
    await run.advanceStepwise(HOUR);
    failFor(run, new Set());
    run.receiver.sent.length = 0;
    await run.engine.commands.replay("default", idOf(ids, "a1"));
    await run.settle();
    expect(sentWords(run)).toBe("a1 a2");
  });

  test("is not purged while it blocks, however old, and keeps its body", async () => {
    await using run = await start(BY_KEY);
    failFor(run, new Set(["a1", "b1"]));
    const ids = await acceptAll(run, "a1 a2");
    await run.advanceStepwise(HOUR);
    for (const kind of ["dead", "dead_bodies"] as const) {
      const purge = () => run.store.purge({ kind, before: run.clock.now() + HOUR, limit: 100 });
      for (let step = await purge(); !step.isDone; step = await purge());
      expect(await run.delivery(idOf(ids, "a1"))).toMatchObject({ state: "dead", hasPayload: true });
    }
  });

  test("is held when its endpoint parks poison; the line goes on, and a retry sends it", async () => {
    await using run = await start(poisonedBy({ kind: "park" }));
    const failing = new Set(["a1"]);
    failFor(run, failing);
    const ids = await acceptAll(run, "a1 a2");
    await run.advanceStepwise(HOUR);
    expect(await stateOf(run, ids, "a1")).toBe("held for request");
    expect(await stateOf(run, ids, "a2")).toBe("succeeded");
    await run.engine.commands.pauseEndpoint(run.endpoint());
    await run.engine.commands.resumeEndpoint(run.endpoint());
    await run.settle();
    expect(await stateOf(run, ids, "a1")).toBe("held for request");
    await run.engine.commands.retryNow("default", idOf(ids, "a1"));
    await run.settle();
    expect(await stateOf(run, ids, "a1")).toBe("held for request");
    failing.clear();
    await run.engine.commands.retryNow("default", idOf(ids, "a1"));
    await run.settle();
    expect(await stateOf(run, ids, "a1")).toBe("succeeded");
  });

  test("is a dead letter after so many attempts when its endpoint skips; the line goes on", async () => {
    await using run = await start(poisonedBy({ kind: "skip", after: 2 }));
    failFor(run, new Set(["a1"]));
    const ids = await acceptAll(run, "a1 a2");
    await run.advance(SECOND);
    expect(sentWords(run)).toBe("a1 a1 a2");
    expect(await stateOf(run, ids, "a1")).toBe("dead");
  });

  test("is a dead letter when its retries are used up, when skipping has no number", async () => {
    await using run = await start(poisonedBy({ kind: "skip", after: null }));
    failFor(run, new Set(["a1"]));
    await acceptAll(run, "a1 a2");
    await run.advanceStepwise(HOUR);
    expect(sentWords(run)).toBe("a1 a1 a1 a2");
  });
});

describe("A replay into a line", () => {
  test("waits for the one whose turn it is and goes before all that came later", async () => {
    await using run = await start(poisonedBy({ kind: "skip", after: 1 }));
    const failing = new Set(["a1", "a2"]);
    failFor(run, failing);
    const ids = await acceptAll(run, "a1 a2");
    failing.clear();
    run.receiver.sent.length = 0;
    run.receiver.next(APP, "hang");
    for (const [word, id] of await acceptAll(run, "a3 a4")) ids.set(word, id);
    for (const word of ["a2", "a1"]) await run.engine.commands.replay("default", idOf(ids, word));
    await run.settle();
    expect(sentWords(run)).toBe("a3");
    expect(await stateOf(run, ids, "a1")).toBe("queued for turn");
    run.receiver.letGo(200);
    await run.settle();
    expect(sentWords(run)).toBe("a3 a1 a2 a4");
  });

  test("of one that succeeded is sent again in its place", async () => {
    await using run = await start(BY_KEY);
    const ids = await acceptAll(run, "a1");
    await run.engine.commands.replay("default", idOf(ids, "a1"));
    await run.settle();
    expect(sentWords(run)).toBe("a1 a1");
    expect(await stateOf(run, ids, "a1")).toBe("succeeded");
  });
});

describe("A rate per key", () => {
  test("spaces the attempts of each key by itself", async () => {
    await using run = await start({ ...BY_KEY, keyRate: { perSecond: 2, burst: 1 } });
    const from = run.clock.now();
    await acceptAll(run, "a1 a2 a3 b1 b2");
    await run.advanceStepwise(10 * SECOND);
    const at = (key: string) =>
      run.receiver.sent.flatMap(({ at, text }) => (text.includes(`"word":"${key}`) ? [at - from] : []));
    expect(at("a")).toEqual([0, 500, 1_000]);
    expect(at("b")).toEqual([0, 500]);
  });

  test("lets a burst go", async () => {
    await using run = await start({ ...BY_KEY, keyRate: { perSecond: 1, burst: 3 } });
    const from = run.clock.now();
    await acceptAll(run, "a1 a2 a3 a4 a5");
    await run.advanceStepwise(10 * SECOND);
    expect(run.receiver.sent.map(({ at }) => at - from)).toEqual([0, 0, 0, 1_000, 2_000]);
  });
});
