/** Lanes alone, with a store that is a list: what they lease, when they ask, and what they keep in memory. */
import { expect, test } from "bun:test";
import { NATIVE_PROFILE } from "../../src/domain/native-profile.ts";
import { createProfiles } from "../../src/domain/strategy.ts";
import { Breakers } from "../../src/runtime/breakers.ts";
import type { ClaimRequest, Hold } from "../../src/runtime/lane.ts";
import { Lanes } from "../../src/runtime/lanes.ts";
import { Slots } from "../../src/runtime/slots.ts";
import { newEndpoint } from "../support/factory.ts";
import { FakeClock } from "../support/fake-clock.ts";

const MEBIBYTE = 1_048_576;

interface Item {
  readonly bytes: number;
}

function endpoint(lane: number, change: Partial<ReturnType<typeof newEndpoint>> = {}) {
  const runTime = { pausedAt: null, disabledAt: null, disabledReason: null, createdAt: 0, updatedAt: 0 };
  return { ...newEndpoint(change), ...runTime, lane, deletedAt: null };
}

class Bench {
  readonly clock = new FakeClock();
  readonly slots = new Slots(1_024);
  readonly backlog: Item[] = [];
  readonly started: Hold[] = [];
  readonly givenBack: Item[] = [];
  readonly claims: ClaimRequest[] = [];
  isFailing = false;
  readonly lanes: Lanes<Item>;

  constructor() {
    this.lanes = new Lanes<Item>({
      clock: this.clock,
      store: { claim: (request) => this.#claim(request) },
      slots: this.slots,
      breakers: new Breakers({ profiles: createProfiles([NATIVE_PROFILE]), onChange: () => {} }),
      start: (_item, hold) => void this.started.push(hold),
      giveBack: (item) => void this.givenBack.push(item),
      sizeOf: (item) => item.bytes,
    });
  }

  fill(count: number, bytes: number): void {
    for (let n = 0; n < count; n += 1) this.backlog.push({ bytes });
  }

  /** Ends attempts that were started, as many as there are. */
  release(): void {
    for (const hold of this.started.splice(0)) this.lanes.release(hold, true);
  }

  async #claim(request: ClaimRequest) {
    this.claims.push(request);
    await Promise.resolve();
    if (this.isFailing) throw new Error("the store is down");
    const claimed: Item[] = [];
    let bytes = 0;
    while (claimed.length < request.limit && this.backlog[0]) {
      bytes += this.backlog[0].bytes;
      if (claimed.length > 0 && bytes > request.bytesMax) break;
      claimed.push(...this.backlog.splice(0, 1));
    }
    return { claimed, nextDueAt: this.backlog.length > 0 ? request.now : null };
  }
}

const turn = () => new Promise(setImmediate);

/** Makes the lane a fast one. */
async function prove(bench: Bench, lane: number): Promise<void> {
  bench.fill(1, 1);
  bench.lanes.noteDue(lane, bench.clock.now());
  await turn();
  bench.release();
  await turn();
}

test("a lane that has not answered yet leases no more than it can start", async () => {
  const bench = new Bench();
  bench.lanes.upsert(endpoint(1, { concurrency: 4 }));
  bench.lanes.start([]);
  bench.fill(100, 1);
  bench.lanes.noteDue(1, bench.clock.now());
  await turn();
  expect(bench.started).toHaveLength(4);
  expect(bench.backlog).toHaveLength(96);
  expect(bench.lanes.windowBytes).toBe(0);
});

test("a fast lane leases ahead of its slots, and a slow one no longer", async () => {
  const bench = new Bench();
  bench.lanes.upsert(endpoint(1, { concurrency: 4 }));
  bench.lanes.start([]);
  await prove(bench, 1);
  bench.fill(1_000, 1);
  bench.lanes.noteDue(1, bench.clock.now());
  await turn();
  expect(bench.started).toHaveLength(4);
  expect(bench.lanes.windowBytes).toBeGreaterThan(100);
  bench.clock.advance(2_000);
  const before = bench.backlog.length;
  bench.lanes.noteDue(1, bench.clock.now());
  await turn();
  expect(bench.backlog).toHaveLength(before);
});

test("windows of all lanes together stay within their bound, and one claim beyond", async () => {
  const bench = new Bench();
  const lanes = Array.from({ length: 20 }, (_, n) => n + 1);
  for (const lane of lanes) bench.lanes.upsert(endpoint(lane, { concurrency: 1 }));
  bench.lanes.start([]);
  for (const lane of lanes) await prove(bench, lane);
  bench.fill(2_000, MEBIBYTE);
  for (const lane of lanes) {
    bench.lanes.noteDue(lane, bench.clock.now());
    await turn();
    await turn();
  }
  expect(bench.started).toHaveLength(20);
  expect(bench.lanes.windowBytes).toBeGreaterThan(60 * MEBIBYTE);
  expect(bench.lanes.windowBytes).toBeLessThanOrEqual(72 * MEBIBYTE);
  await bench.lanes.stop();
  expect(bench.lanes.windowBytes).toBe(0);
});

test("one claim brings no more bytes than its bound, but always one delivery", async () => {
  const bench = new Bench();
  bench.lanes.upsert(endpoint(1, { concurrency: 8 }));
  bench.lanes.start([]);
  bench.fill(8, 16 * MEBIBYTE);
  bench.lanes.noteDue(1, bench.clock.now());
  await turn();
  expect(bench.started).toHaveLength(8);
  expect(bench.claims).toHaveLength(8);
});

test("a claim that fails is tried again after a rest", async () => {
  const bench = new Bench();
  bench.lanes.upsert(endpoint(1));
  bench.lanes.start([]);
  bench.fill(1, 1);
  bench.isFailing = true;
  bench.lanes.noteDue(1, bench.clock.now());
  await turn();
  expect(bench.claims).toHaveLength(1);
  bench.isFailing = false;
  bench.clock.advance(1_000);
  await turn();
  expect(bench.started).toHaveLength(1);
});

test("what becomes due while a claim is on its way is not forgotten", async () => {
  const bench = new Bench();
  bench.lanes.upsert(endpoint(1, { concurrency: 100 }));
  bench.lanes.start([]);
  const { clock } = bench;
  bench.lanes.noteDue(1, clock.now());
  bench.lanes.noteDue(1, clock.now() + 5_000);
  await turn();
  bench.fill(1, 1);
  clock.advance(5_000);
  await turn();
  expect(bench.started).toHaveLength(1);
});

test("a claim that comes back after the stop is given back", async () => {
  const bench = new Bench();
  bench.lanes.upsert(endpoint(1));
  bench.lanes.start([]);
  bench.fill(1, 1);
  bench.lanes.noteDue(1, bench.clock.now());
  await bench.lanes.stop();
  expect(bench.started).toHaveLength(0);
  expect(bench.givenBack).toHaveLength(1);
});

test("a place that is abandoned wakes what waited behind it", async () => {
  const bench = new Bench();
  const target = endpoint(1, { concurrency: 1 });
  bench.lanes.upsert(target);
  bench.lanes.start([]);
  await prove(bench, 1);
  const now = bench.clock.now();
  // The second one uses up the bound of all windows, so that the backlog has to wait for a slot.
  const places = [10, 64 * MEBIBYTE].map((bytes) => {
    const reservation = bench.lanes.reserve(target, now, bytes);
    if (reservation.state !== "sending") throw new Error(reservation.state);
    return reservation.place;
  });
  const [first, second] = places;
  bench.fill(1, 1);
  bench.lanes.noteDue(1, now);
  for (const place of [first, second]) if (place) bench.lanes.abandon(place);
  await turn();
  expect(bench.started).toHaveLength(1);
  bench.release();
  expect(bench.slots.used).toBe(0);
  expect(bench.lanes.windowBytes).toBe(0);
});
