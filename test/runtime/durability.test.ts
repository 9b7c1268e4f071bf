import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SECOND } from "../../src/domain/duration.ts";
import { AppError } from "../../src/domain/errors.ts";
import type { Store } from "../../src/storage/contract.ts";
import { receiverUrl, startEngine } from "../support/engine.ts";
import { withFolder } from "../support/store.ts";

const APP = receiverUrl("app");

/**
 * Behaves as the writer does while its file cannot be written: refuses what can be refused, keeps the rest.
 */
class Disk {
  #store: Store | null = null;
  #kept: (() => void)[] = [];
  #isBroken = false;

  readonly wrap = (store: Store): Store => {
    this.#store = store;
    const refuse = <Verb extends "accept" | "claim" | "parkLane" | "purge" | "heartbeat">(verb: Verb) =>
      ((...input: Parameters<Store[Verb]>) =>
        this.#isBroken
          ? Promise.reject(new AppError("storage_unavailable", "broken"))
          : (store[verb] as (...all: unknown[]) => unknown)(...input)) as Store[Verb];
    return new Proxy(store, {
      get: (target, name) => {
        if (name === "health") return this.#isBroken ? { isHealthy: false, reason: "broken" } : target.health;
        if (name === "transition") return this.#transition;
        if (name === "accept" || name === "claim" || name === "parkLane") return refuse(name);
        if (name === "purge" || name === "heartbeat") return refuse(name);
        return Reflect.get(target, name);
      },
    });
  };

  break(): void {
    this.#isBroken = true;
  }

  mend(): void {
    this.#isBroken = false;
    for (const write of this.#kept.splice(0)) write();
  }

  readonly #transition: Store["transition"] = async (change) => {
    if (this.#isBroken) await new Promise<void>((resolve) => this.#kept.push(resolve));
    return (this.#store as Store).transition(change);
  };
}

describe("While the store cannot be written", () => {
  test("a producer is refused with storage_unavailable, and nothing is promised", async () => {
    const disk = new Disk();
    await using run = await startEngine({ wrap: disk.wrap });
    disk.break();
    await expect(run.receive()).rejects.toMatchObject({ code: "storage_unavailable" });
    await run.settle();
    disk.mend();
    expect(run.receiver.sent).toEqual([]);
    expect(run.engine.slots.used).toBe(0);
    await run.accept();
    expect(await run.states()).toEqual(["succeeded"]);
  });

  test("no attempt is started", async () => {
    const disk = new Disk();
    await using run = await startEngine({ wrap: disk.wrap });
    run.receiver.next(APP, 500);
    await run.accept();
    disk.break();
    await run.advanceToDue();
    await run.advanceStepwise(20 * SECOND);
    expect(run.receiver.sent).toHaveLength(1);
    disk.mend();
    await run.advanceStepwise(2 * SECOND);
    expect(await run.delivery()).toMatchObject({ state: "succeeded", attemptCount: 2 });
  });

  test("deliveries leased already are not sent, and not lost", async () => {
    const disk = new Disk();
    await using run = await startEngine({ wrap: disk.wrap, endpoints: [{ name: "app", concurrency: 1 }] });
    await run.accept();
    run.receiver.next(APP, "hang");
    await run.acceptMany(10);
    disk.break();
    run.receiver.letGo(200);
    await run.settle();
    expect(run.receiver.sent).toHaveLength(2);
    disk.mend();
    await run.advanceStepwise(5 * SECOND);
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
    expect(run.receiver.sent).toHaveLength(11);
  });

  test("outcomes of attempts that were out are kept and written afterwards", async () => {
    const disk = new Disk();
    await using run = await startEngine({ wrap: disk.wrap });
    run.receiver.always(APP, "hang");
    await run.acceptMany(3);
    disk.break();
    run.receiver.letGo(200);
    await run.settle();
    expect(await run.states()).toEqual(["sending", "sending", "sending"]);
    disk.mend();
    await run.settle();
    expect(await run.states()).toEqual(["succeeded", "succeeded", "succeeded"]);
    expect(run.receiver.sent).toHaveLength(3);
  });

  test("a stop does not wait for ever", async () => {
    const disk = new Disk();
    const run = await startEngine({ wrap: disk.wrap });
    run.receiver.always(APP, "hang");
    await run.accept();
    disk.break();
    run.receiver.letGo(200);
    await run.settle();
    const stopped = run.engine.stop(10 * SECOND);
    await run.advance(10 * SECOND);
    await run.advance(1 * SECOND);
    await stopped;
    disk.mend();
    await run.settle();
    await run.store.close();
  });
});

describe("A stop", () => {
  test("waits for attempts that are out", async () => {
    const run = await startEngine();
    run.receiver.next(APP, { status: 200, afterMs: 2 * SECOND });
    await run.accept();
    const stopped = run.engine.stop(10 * SECOND);
    await run.advance(2 * SECOND);
    await stopped;
    expect(await run.states()).toEqual(["succeeded"]);
    await run.store.close();
  });

  test("gives back after its limit what still hangs, and that attempt does not count", async () => {
    const run = await startEngine();
    run.receiver.next(APP, 500, "hang");
    await run.accept();
    await run.advanceToDue();
    await run.accept();
    const stopped = run.engine.stop(5 * SECOND);
    await run.advance(5 * SECOND);
    await stopped;
    expect(await run.deliveries()).toMatchObject([
      { state: "retrying", attemptCount: 1 },
      { state: "succeeded", attemptCount: 1 },
    ]);
    await run.store.close();
  });

  test("starts nothing more", async () => {
    const run = await startEngine({ endpoints: [{ name: "app", concurrency: 1 }] });
    run.receiver.next(APP, "hang");
    await run.acceptMany(3);
    const stopped = run.engine.stop(SECOND);
    run.receiver.letGo(200);
    await run.settle();
    await stopped;
    await run.receive();
    expect(run.receiver.sent).toHaveLength(1);
    expect((await run.states()).toSorted()).toEqual(["queued", "queued", "queued", "succeeded"]);
    await run.store.close();
  });
});

describe("After a restart", () => {
  test("what waited is sent, and what was out is sent again", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const before = await startEngine({ path });
      before.receiver.next(APP, 500, "hang");
      await before.accept();
      await before.accept();
      const { clock } = before;
      // Killed: the file is copied as it is, with a lease in it.
      const copy = `${path}.copy`;
      for (const part of ["", "-wal"]) await Bun.write(copy + part, Bun.file(path + part));
      await before.close();
      await using after = await startEngine({ path: copy, clock });
      expect(await after.states()).toEqual(["retrying", "succeeded"]);
      expect((await after.deliveries())[1]).toMatchObject({ attemptCount: 1 });
      await after.advanceToDue();
      expect(await after.states()).toEqual(["succeeded", "succeeded"]);
    });
  });

  test("a paused endpoint stays paused", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const before = await startEngine({ path });
      await before.engine.commands.pauseEndpoint(before.endpoint());
      await before.accept();
      await before.close();
      await using after = await startEngine({ path });
      expect(after.receiver.sent).toEqual([]);
      await after.engine.commands.resumeEndpoint(after.endpoint());
      await after.settle();
      expect(await after.states()).toEqual(["succeeded"]);
    });
  });

  test("a duplicate is still known", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const selectors = [[{ kind: "json", path: ["n"] }]] as const;
      const setup = { path, sources: [{ dedupe: { selectors, windowMs: 60_000 } }] };
      const before = await startEngine(setup);
      const id = await before.accept();
      await before.close();
      await using after = await startEngine(setup);
      expect(await after.receive()).toMatchObject({ isDuplicate: true, id });
      expect(await after.states()).toEqual(["succeeded"]);
    });
  });
});

describe("A clock that is set", () => {
  test.each([-3_600, -86_400, 3_600, 86_400])("by %p seconds loses and doubles nothing", async (seconds) => {
    await using run = await startEngine();
    run.receiver.next(APP, 500);
    await run.accept();
    await run.accept();
    run.clock.step(seconds * SECOND);
    await run.accept();
    await run.advanceStepwise(0);
    await run.advance(2 * 86_400 * SECOND);
    expect(await run.states()).toEqual(["succeeded", "succeeded", "succeeded"]);
    expect(run.receiver.sent).toHaveLength(4);
  });

  test("back does not hold up what comes in", async () => {
    await using run = await startEngine();
    await run.accept();
    run.clock.step(-3_600 * SECOND);
    await run.accept();
    expect(await run.states()).toEqual(["succeeded", "succeeded"]);
  });
});
