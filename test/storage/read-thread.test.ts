import { expect, test } from "bun:test";
import { join } from "node:path";
import type { AppError } from "../../src/domain/errors.ts";
import type { Page } from "../../src/domain/reads.ts";
import type { Query } from "../../src/storage/queries.ts";
import { ReadThread, type ReadThreadOptions } from "../../src/storage/read-thread.ts";
import { newEvent } from "../support/factory.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { openTestStore, withFolder } from "../support/store.ts";

const SEARCH: Query = { name: "listEvents", input: { project: "default", type: "b" } };

function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "resolved",
    (error: AppError) => error.code,
  );
}

/** Runs a test with a thread on a store that holds one event of type "a" and one of type "b". */
function withThread(
  change: Partial<ReadThreadOptions>,
  run: (thread: ReadThread, clock: FakeClock) => Promise<void>,
): Promise<void> {
  return withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    await Promise.all(["a", "b"].map((type) => store.accept(newEvent({ type }))));
    const clock = new FakeClock();
    const thread = new ReadThread({ path, clock, ...change });
    await run(thread, clock);
    thread.close();
    await store.close();
  });
}

test("an open store answers searches from the thread, with what was just written", () =>
  withFolder(async (folder) => {
    const store = openTestStore({ path: join(folder, "a.db") });
    const event = newEvent({ type: "b" });
    await Promise.all([store.accept(newEvent({ type: "a" })), store.accept(event)]);
    const page = await store.listEvents({ project: "default", type: "b" });
    expect(page.data.map(({ id }) => id)).toEqual([event.id]);
    expect(await store.countDeliveries()).toEqual({});
    await store.close();
    expect(await codeOf(store.listEvents({ project: "default", type: "b" }))).toBe("shutting_down");
  }));

test("answers find their questions", () =>
  withThread({}, async (thread) => {
    const types = ["a", "b", "c", "b"];
    const pages = await Promise.all(
      types.map((type) =>
        thread.run<Page<unknown>>({ name: "listEvents", input: { project: "default", type } }),
      ),
    );
    expect(pages.map(({ data }) => data.length)).toEqual([1, 1, 0, 1]);
  }));

test("past its bound it refuses with overloaded", () =>
  withThread({ waitingMax: 1 }, async (thread) => {
    const first = thread.run(SEARCH);
    expect(await codeOf(thread.run(SEARCH))).toBe("overloaded");
    await first;
    expect(await codeOf(thread.run(SEARCH))).toBe("resolved");
  }));

test("a query that takes too long is given up, and the next one gets a new thread", () =>
  withThread({ timeoutMs: 1_000 }, async (thread, clock) => {
    const slow = codeOf(thread.run(SEARCH));
    clock.advance(1_000);
    expect(await slow).toBe("internal_error");
    expect(await codeOf(thread.run(SEARCH))).toBe("resolved");
    expect(clock.nextTimerAt()).toBeNull();
  }));

test("a query that fails fails alone", () =>
  withThread({}, async (thread) => {
    const broken = thread.run({ name: "listEvents", input: { project: "default", limit: -5 } });
    const [failure, fine] = await Promise.all([codeOf(broken), codeOf(thread.run(SEARCH))]);
    expect([failure, fine]).toEqual(["internal_error", "resolved"]);
  }));

test("a store that cannot be opened fails the query, not the process", () =>
  withThread({ path: "/nonexistent/a.db" }, async (thread) => {
    expect(await codeOf(thread.run(SEARCH))).toBe("internal_error");
  }));

test("close rejects what waits and everything after", () =>
  withThread({}, async (thread) => {
    const waiting = codeOf(thread.run(SEARCH));
    thread.close();
    expect(await waiting).toBe("shutting_down");
    expect(await codeOf(thread.run(SEARCH))).toBe("shutting_down");
  }));
