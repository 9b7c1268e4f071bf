import { expect, test } from "bun:test";
import fc from "fast-check";
import { TokenBucket } from "../../src/runtime/rate.ts";
import { isFast, newSlotUse, Slots, type SlotUse } from "../../src/runtime/slots.ts";
import { WakeHeap } from "../../src/runtime/wake-heap.ts";

function fastUse(slots: Slots): SlotUse {
  const use = newSlotUse();
  slots.giveBack(use, slots.take(use, 0), { isUsed: true, monotonicMs: 5 });
  return use;
}

/** Lets a lane take what it gets. */
function fill(slots: Slots, use: SlotUse, wanted: number): number {
  const count = slots.allowance(use, wanted, 10);
  for (let n = 0; n < count; n += 1) slots.take(use, 10);
  return count;
}

test("a new lane starts with a small share", () => {
  expect(fill(new Slots(1_024), newSlotUse(), 100)).toBe(12);
});

test("a fast lane may take half of everything, and two where nothing else is left", () => {
  const slots = new Slots(100);
  expect(fill(slots, fastUse(slots), 1_000)).toBe(50);
  expect(fill(slots, fastUse(slots), 1_000)).toBe(2);
});

test("a hundred fast lanes that all hang at once leave slots to the others, and more once late", () => {
  const slots = new Slots(1_024);
  const hanging = Array.from({ length: 100 }, () => fastUse(slots));
  const held = hanging.reduce((sum, use) => sum + fill(slots, use, 16), 0);
  expect(held).toBeLessThan(700);
  const healthy = fastUse(slots);
  expect(slots.allowance(healthy, 16, 500)).toBe(2);
  expect(slots.allowance(healthy, 16, 1_011)).toBe(16);
  expect(slots.allowance(healthy, 1_024, 1_011)).toBe(Math.ceil((1_024 - held) / 2));
  for (const use of hanging) expect(slots.allowance(use, 16, 1_011)).toBe(0);
});

test("620 new lanes that all hang get one slot each, and the last eighth stays for fast ones", () => {
  const slots = new Slots(1_024);
  const counts = Array.from({ length: 620 }, () => fill(slots, newSlotUse(), 16));
  expect(Math.min(...counts)).toBe(1);
  expect(slots.total - slots.used).toBeGreaterThanOrEqual(128);
  expect(fill(slots, fastUse(slots), 16)).toBe(2);
  // A second later those that hang are late, and no longer count against a fast one.
  expect(slots.allowance(fastUse(slots), 16, 1_010)).toBe(16);
});

test("a lane loses its good name while an attempt of it is out for longer than a second", () => {
  const slots = new Slots(10);
  const use = fastUse(slots);
  slots.take(use, 1_000);
  expect([isFast(use, 1_999), isFast(use, 2_000)]).toEqual([true, false]);
});

test("a slot that was never used says nothing about the lane", () => {
  const slots = new Slots(10);
  const use = newSlotUse();
  slots.giveBack(use, slots.take(use, 0), { isUsed: false, monotonicMs: 5 });
  expect([use.averageHoldMs, use.inFlight, slots.used]).toEqual([null, 0, 0]);
});

test("a slot given back twice is free once", () => {
  const slots = new Slots(10);
  const use = newSlotUse();
  const ticket = slots.take(use, 0);
  slots.take(use, 0);
  for (let n = 0; n < 2; n += 1) slots.giveBack(use, ticket, { isUsed: true, monotonicMs: 5 });
  expect([use.inFlight, slots.used]).toEqual([1, 1]);
});

test.each([1, 2, 3, 7, 8, 64])("with %p slots in all, no allowance exceeds what is free", (total) => {
  const slots = new Slots(total);
  for (let lane = 0; lane < total * 2; lane += 1) fill(slots, lane % 2 ? newSlotUse() : fastUse(slots), 3);
  expect(slots.used).toBeLessThanOrEqual(total);
});

test("waiting for the next token always ends, at any rate and after any history", () => {
  const rates = fc.double({ min: 0.001, max: 5_000, noNaN: true });
  const steps = fc.array(fc.integer({ min: -10_000, max: 100_000 }), { maxLength: 30 });
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 50 }), steps, (perSecond, burst, waits) => {
      let now = Date.UTC(2026, 0, 1);
      const bucket = new TokenBucket({ perSecond, burst }, now);
      for (const wait of waits) {
        now += wait;
        bucket.take(bucket.available(now));
        const nextAt = bucket.nextAt(now);
        expect(Number.isInteger(nextAt)).toBe(true);
        expect(nextAt).toBeGreaterThan(now);
        now = nextAt;
        expect(bucket.available(now)).toBeGreaterThanOrEqual(1);
      }
    }),
    { numRuns: 100, seed: 7 },
  );
});

test("a heap wakes everything once, in order, at the instant set last", () => {
  const item = fc.integer({ min: 0, max: 9 });
  const change = fc.record({ item, at: fc.option(fc.integer({ min: 0, max: 99 })) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const heap = new WakeHeap<number>();
      const expected = new Map<number, number>();
      for (const { item, at } of changes) {
        if (at === null) heap.clear(item);
        else heap.set(item, at);
        if (at === null) expected.delete(item);
        else expected.set(item, at);
      }
      const woken: number[] = [];
      for (let next = heap.nextAt(); next !== null; next = heap.nextAt()) {
        expect(heap.takeDue(next - 1)).toBeNull();
        const taken = heap.takeDue(next);
        if (taken === null) throw new Error("what is due was not there");
        expect(expected.get(taken)).toBe(next);
        expected.delete(taken);
        woken.push(next);
      }
      expect(woken).toEqual(woken.toSorted((a, b) => a - b));
      expect([expected.size, heap.size]).toEqual([0, 0]);
    }),
    { numRuns: 200, seed: 7 },
  );
});

test("an attempt that a connected listener has takes no slot, and still counts in its lane", () => {
  const slots = new Slots(8);
  const use = newSlotUse();
  const ticket = slots.take(use, 0);
  slots.handOver(use, ticket, 5);
  expect([slots.used, use.inFlight, isFast(use, 10_000)]).toEqual([0, 1, true]);
  slots.giveBack(use, ticket, { isUsed: true, monotonicMs: 10_000 });
  slots.giveBack(use, ticket, { isUsed: true, monotonicMs: 10_000 });
  expect([slots.used, use.inFlight, use.averageHoldMs]).toEqual([0, 0, 5]);
});
