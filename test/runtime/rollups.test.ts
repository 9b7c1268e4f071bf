import { describe, expect, test } from "bun:test";
import { AppError } from "../../src/domain/errors.ts";
import type { RollupDelta } from "../../src/domain/rollup.ts";
import { receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";

const RANGE = { project: "default", bucket: "hour", from: 0, to: Number.MAX_SAFE_INTEGER } as const;

async function sums(test: TestEngine, lane = 0) {
  const [sum] = await test.store.readRollups({ ...RANGE, lane });
  return sum;
}

describe("What commits change is summed up", () => {
  test("a second later, in one write, per endpoint and for the project", async () => {
    await using test = await startEngine();
    await test.acceptMany(5);
    expect(await sums(test)).toBeUndefined();
    await test.advance(1_000);
    expect(await sums(test)).toMatchObject({ created: 5, succeeded: 5, attempts: 5, attemptsSucceeded: 5 });
    expect(await sums(test, 1)).toMatchObject({ created: 5, succeeded: 5 });
  });

  test("at a stop, so that a clean end loses nothing", async () => {
    await using test = await startEngine();
    await test.acceptMany(3);
    await test.engine.stop(0);
    expect(await sums(test)).toMatchObject({ created: 3, succeeded: 3 });
  });

  test("and an idle process writes nothing", async () => {
    await using test = await startEngine();
    const before = test.store.counts().items;
    await test.engine.rollups.flush();
    expect(test.store.counts().items).toBe(before);
  });

  test("once, when a store that failed takes them again", async () => {
    let isFailing = true;
    const given: (readonly RollupDelta[])[] = [];
    await using test = await startEngine({
      wrap: (store) => ({
        ...store,
        health: store.health,
        addRollups: async (deltas) => {
          if (isFailing) throw new AppError("storage_unavailable", "full");
          given.push(deltas);
        },
      }),
    });
    await test.accept();
    await test.engine.rollups.flush();
    isFailing = false;
    await test.advance(1_000);
    await test.advance(1_000);
    expect(given.flat()).toMatchObject([{ lane: 1, created: 1, succeeded: 1 }]);
  });

  test("a failed attempt that is tried again is no dead delivery", async () => {
    const receiver = receiverUrl("app");
    await using test = await startEngine();
    test.receiver.always(receiver, () => ({ status: 500 }));
    await test.accept();
    await test.engine.rollups.flush();
    expect(await sums(test)).toMatchObject({ attempts: 1, attemptsFailed: 1, retries: 0, dead: 0 });
  });
});
