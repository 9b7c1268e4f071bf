import { expect, test } from "bun:test";
import { Feed } from "../../src/runtime/feed.ts";
import { NOW, newDelivery } from "../support/factory.ts";
import { FakeClock } from "../support/fake-clock.ts";

function created(seq: number) {
  return { kind: "created", seq, delivery: newDelivery(), createdAt: NOW } as const;
}

test("a watcher that falls behind is told how much it missed, and goes on with what is kept", () => {
  const feed = new Feed({ clock: new FakeClock(), lease: 1, entriesMax: 4 });
  const watcher = feed.watch("default", null);
  feed.note(Array.from({ length: 9 }, (_, n) => created(n + 1)));
  const step = watcher.take(100);
  expect(step.missed).toBe(5);
  expect(step.entries.map(({ number }) => number)).toEqual([6, 7, 8, 9]);
  feed.note([created(10)]);
  expect(watcher.take(100)).toMatchObject({ missed: 0, entries: [{ number: 10 }] });
});

test("a watcher that reads in steps misses nothing and sees nothing twice", () => {
  const feed = new Feed({ clock: new FakeClock(), lease: 1 });
  const watcher = feed.watch("default", null);
  feed.note(Array.from({ length: 7 }, (_, n) => created(n + 1)));
  const steps = [watcher.take(3), watcher.take(3), watcher.take(3), watcher.take(3)];
  expect(steps.map(({ entries }) => entries.map(({ number }) => number))).toEqual([
    [1, 2, 3],
    [4, 5, 6],
    [7],
    [],
  ]);
  expect(watcher.cursor).toBe("1.7");
});
