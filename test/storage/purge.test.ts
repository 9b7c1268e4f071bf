import { expect, test } from "bun:test";
import { DELIVERY_STATES, type DeliveryState, isFinal } from "../../src/domain/delivery.ts";
import { HOUR } from "../../src/domain/duration.ts";
import { NO_COUNTS } from "../../src/domain/rollup.ts";
import { createPurge, type PurgeKind, type PurgeResult, REJECTIONS_MAX } from "../../src/storage/purge.ts";
import { readRollups } from "../../src/storage/rollups.ts";
import { NOW, newAttempt, newDelivery, newEvent, newRejection, storeDelivery } from "../support/factory.ts";
import { type BareStore, dump, openBareStore } from "../support/store.ts";

/** Steps until a sweep is done; returns how many rows each deleted. */
function sweep(
  store: BareStore,
  kind: PurgeKind,
  change: { before?: number; limit?: number } = {},
): number[] {
  const deleted: number[] = [];
  let result: PurgeResult;
  do {
    result = store.apply({
      verb: "purge",
      input: { kind, before: NOW, limit: 100, ...change },
    }) as PurgeResult;
    deleted.push(result.deletedCount);
  } while (!result.isDone && deleted.length < 10_000);
  return deleted;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function count(store: BareStore, table: string): number {
  return store.db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? -1;
}

function statesLeft(store: BareStore): unknown[] {
  const rows = store.db.query<{ state: string }, []>("SELECT state FROM delivery ORDER BY seq").all();
  return rows.map(({ state }) => state);
}

const GONE_BY_KIND: readonly [PurgeKind, DeliveryState[]][] = [
  ["delivered", ["succeeded"]],
  ["dead", ["dead", "cancelled", "discarded"]],
];

test.each(GONE_BY_KIND)("%s deletes finished deliveries of its states and no others", (kind, states) => {
  const store = openBareStore();
  for (const state of DELIVERY_STATES) storeDelivery(store.db, { state, finishedAt: NOW });
  expect(total(sweep(store, kind))).toBe(states.length);
  expect(statesLeft(store)).toEqual(DELIVERY_STATES.filter((state) => !states.includes(state)));
});

test.each(
  GONE_BY_KIND,
)("%s leaves alone what finished later, and what is longer in the making", (kind, states) => {
  const store = openBareStore();
  for (const state of states) {
    storeDelivery(store.db, { state, finishedAt: NOW + 1, createdAt: NOW - 99 });
    storeDelivery(store.db, { state, finishedAt: NOW + 2, createdAt: NOW + 1 });
  }
  const before = dump(store.db);
  expect(total(sweep(store, kind))).toBe(0);
  expect(dump(store.db)).toEqual(before);
});

test("a step deletes at most its limit and a sweep deletes all", () => {
  const store = openBareStore();
  for (let index = 0; index < 25; index += 1) storeDelivery(store.db, { state: "succeeded" });
  for (let index = 0; index < 25; index += 1) storeDelivery(store.db, { state: "dead" });
  expect(sweep(store, "delivered", { limit: 10 })).toEqual([10, 10, 5, 0]);
  expect(total(sweep(store, "dead", { limit: 10 }))).toBe(25);
  expect(count(store, "delivery")).toBe(0);
});

test("a delivery takes its attempts and its own payload along", () => {
  const store = openBareStore();
  const { seq } = storeDelivery(store.db, { state: "succeeded", attemptCount: 1 });
  storeDelivery(store.db, { state: "queued" });
  const { number, startedAt, durationMs, outcome } = newAttempt();
  for (const owner of [seq, seq + 1]) {
    store.db
      .query(
        "INSERT INTO attempt (delivery_seq, number, started_at, duration_ms, outcome) VALUES (?, ?, ?, ?, ?)",
      )
      .run(owner, number, startedAt, durationMs, outcome);
  }
  sweep(store, "delivered");
  expect([count(store, "delivery"), count(store, "attempt"), count(store, "payload")]).toEqual([1, 1, 1]);
});

test("a sweep jumps over holes and finds what lies far behind them", () => {
  const store = openBareStore();
  storeDelivery(store.db, { state: "succeeded", seq: 5 });
  storeDelivery(store.db, { state: "queued", seq: 1_000_000 });
  storeDelivery(store.db, { state: "succeeded", seq: 50_000_000 });
  const steps = sweep(store, "delivered");
  expect(total(steps)).toBe(2);
  expect(steps.length).toBeLessThan(6);
});

test("the next sweep finds what became old meanwhile", () => {
  const store = openBareStore();
  storeDelivery(store.db, { state: "succeeded", finishedAt: NOW + 10 });
  expect(total(sweep(store, "delivered"))).toBe(0);
  expect(total(sweep(store, "delivered", { before: NOW + 10 }))).toBe(1);
});

test("an event stays as long as one of its deliveries, then goes with its payload", () => {
  const store = openBareStore();
  store.apply({ verb: "accept", event: newEvent({ deliveries: [newDelivery()] }) });
  store.apply({ verb: "accept", event: newEvent({ receivedAt: NOW + 1 }) });
  expect(total(sweep(store, "events"))).toBe(0);
  store.db.run("DELETE FROM queue");
  store.db.run("UPDATE delivery SET state = 'succeeded', due_at = NULL, finished_at = created_at");
  expect(total(sweep(store, "delivered"))).toBe(1);
  expect(count(store, "payload")).toBe(2);
  expect(total(sweep(store, "events"))).toBe(1);
  expect([count(store, "event"), count(store, "payload")]).toEqual([1, 1]);
});

test("old rejections go, and each source keeps at most its bound", () => {
  const store = openBareStore();
  const rejections = [newRejection({ receivedAt: NOW }), newRejection({ receivedAt: NOW + 1, sourceSeq: 2 })];
  for (const rejection of rejections) store.apply({ verb: "reject", rejection });
  store.db
    .query(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO rejection (id, project, source_seq, reason, detail, received_at, method, url, headers,
         body, is_body_cut)
       SELECT randomblob(16), 'default', 3, 'paused', '', ?, 'POST', '/', '{}', x'', 0 FROM n`,
    )
    .run(REJECTIONS_MAX + 25, NOW + 1);
  expect(total(sweep(store, "rejections", { limit: 10 }))).toBe(26);
  expect(count(store, "rejection")).toBe(REJECTIONS_MAX + 1);
  expect(store.db.query("SELECT min(seq) AS seq FROM rejection WHERE source_seq = 3").get()).toEqual({
    seq: 28,
  });
});

test("expired keys go in any order, living ones stay", () => {
  const store = openBareStore();
  const insert = store.db.query(
    "INSERT INTO dedupe (source_seq, key, event_id, expires_at) VALUES (?, ?, x'00', ?)",
  );
  for (let index = 0; index < 30; index += 1) insert.run(index % 3, `key ${index}`, NOW + (index % 2));
  expect(total(sweep(store, "dedupe", { limit: 7 }))).toBe(15);
  expect(store.db.query("SELECT DISTINCT expires_at FROM dedupe").all()).toEqual([{ expires_at: NOW + 1 }]);
  expect(total(sweep(store, "dedupe", { limit: 7, before: NOW + 1 }))).toBe(15);
});

test("rows of stopped processes go, the own one stays", () => {
  const store = openBareStore();
  store.db.run(
    "INSERT INTO process (seq, started_at, heartbeat_at, stopped_at, version) VALUES (-1, 0, 0, 5, '')",
  );
  store.db.run(
    "INSERT INTO process (seq, started_at, heartbeat_at, stopped_at, version) VALUES (-2, 0, 0, 5, '')",
  );
  expect(sweep(store, "processes", { before: 4 })).toEqual([0]);
  expect(sweep(store, "processes", { limit: 1, before: 5 })).toEqual([1, 1, 0]);
  expect(store.db.query("SELECT seq FROM process").all()).toEqual([{ seq: store.lease }]);
});

const BODY_KINDS: readonly [PurgeKind, DeliveryState[]][] = [
  ["bodies", ["succeeded", "cancelled", "discarded"]],
  ["dead_bodies", ["succeeded", "cancelled", "discarded", "dead"]],
];

test.each(BODY_KINDS)("%s takes bodies of finished deliveries, never of pending ones", (kind, states) => {
  const store = openBareStore();
  const seqs = DELIVERY_STATES.map((state) => storeDelivery(store.db, { state }).seq);
  expect(total(sweep(store, kind, { before: 0 }))).toBe(states.length);
  const left = store.db
    .query<{ seq: number }, []>("SELECT seq FROM payload")
    .all()
    .map(({ seq }) => seq);
  expect(left).toEqual(seqs.filter((_, index) => !states.includes(DELIVERY_STATES[index] as DeliveryState)));
  expect(count(store, "delivery")).toBe(DELIVERY_STATES.length);
});

test.each(
  DELIVERY_STATES,
)("an event's body stays while one of its deliveries is %s, unless that is final", (state) => {
  const store = openBareStore();
  store.apply({ verb: "accept", event: newEvent() });
  const eventSeq = 1_001;
  storeDelivery(store.db, { state: "succeeded", eventSeq, seq: 1_002 });
  storeDelivery(store.db, { state, eventSeq, seq: 1_003 });
  expect(total(sweep(store, "dead_bodies", { before: 0 }))).toBe(isFinal(state) ? 1 : 0);
});

test("bodies go oldest first, as many as asked", () => {
  const store = openBareStore();
  for (let index = 0; index < 5; index += 1) storeDelivery(store.db, { state: "succeeded" });
  store.apply({ verb: "purge", input: { kind: "bodies", before: 0, limit: 2 } });
  expect(store.db.query("SELECT seq FROM payload").all()).toEqual([{ seq: 3 }, { seq: 4 }, { seq: 5 }]);
});

test("free pages are given back in slices", () => {
  const store = openBareStore();
  const pages = () => store.db.query<{ page_count: number }, []>("PRAGMA page_count").get()?.page_count ?? 0;
  store.apply({ verb: "accept", event: newEvent({ body: new Uint8Array(1_000_000) }) });
  const full = pages();
  sweep(store, "events");
  const purge = createPurge(store.db, store.lease);
  expect(purge({ kind: "pages", before: 0, limit: 10 })).toEqual({ deletedCount: 10, isDone: false });
  expect(pages()).toBe(full - 10);
  sweep(store, "pages", { limit: 50 });
  expect(pages()).toBeLessThan(full - 100);
});

test("sums of minutes and of hours go at their own age, the younger ones stay", () => {
  const store = openBareStore();
  const delta = { ...NO_COUNTS, project: "default", lane: 1, created: 1 };
  const deltas = [0, HOUR, 2 * HOUR].map((at) => ({ ...delta, at }));
  store.apply({ verb: "addRollups", deltas });
  const purge = (kind: "rollup_minutes" | "rollup_hours", before: number, limit = 100) =>
    store.apply({ verb: "purge", input: { kind, before, limit } });
  expect(purge("rollup_minutes", HOUR, 2)).toEqual({ deletedCount: 2, isDone: false });
  expect(purge("rollup_minutes", HOUR)).toEqual({ deletedCount: 2, isDone: true });
  expect(purge("rollup_hours", 0)).toEqual({ deletedCount: 2, isDone: true });
  const filter = { project: "default", lane: 1, from: 0, to: 10 * HOUR } as const;
  expect(readRollups(store.db, { ...filter, bucket: "minute" })).toMatchObject([{ at: 2 * HOUR }]);
  expect(readRollups(store.db, { ...filter, bucket: "hour" })).toMatchObject([
    { at: HOUR },
    { at: 2 * HOUR },
  ]);
});
