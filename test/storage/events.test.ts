import { expect, test } from "bun:test";
import type { Accepted, NewEvent } from "../../src/domain/event.ts";
import { NOW, newDelivery, newEvent, newPayload } from "../support/factory.ts";
import { type BareStore, openBareStore } from "../support/store.ts";

function accept(store: BareStore, event: NewEvent): Accepted {
  return store.apply({ verb: "accept", event }) as Accepted;
}

function count(store: BareStore, table: string): number {
  return store.db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? -1;
}

const WINDOW_MS = 60_000;

function keyed(key: string, change: Partial<NewEvent> = {}): NewEvent {
  const receivedAt = change.receivedAt ?? NOW;
  return newEvent({ dedupe: { key, expiresAt: receivedAt + WINDOW_MS }, ...change });
}

test("an event is stored with its bytes and with every delivery it fans out to", () => {
  const store = openBareStore();
  const deliveries = [newDelivery({ lane: 1 }), newDelivery({ lane: 2, state: "held" })];
  const body = new Uint8Array([0, 255, 10, 13]);
  const accepted = accept(store, newEvent({ body, deliveries }));
  expect(accepted).toMatchObject({ isDuplicate: false, seqs: [1_002, 1_003] });
  expect(store.db.query("SELECT body FROM payload").all()).toEqual([{ body }]);
  expect(store.db.query("SELECT lane, delivery_seq, lease FROM queue").all()).toEqual([
    { lane: 1, delivery_seq: 1_002, lease: null },
    { lane: 2, delivery_seq: 1_003, lease: null },
  ]);
  expect(store.db.query("SELECT DISTINCT event_seq, payload_seq FROM delivery").all()).toEqual([
    { event_seq: 1_001, payload_seq: 1_001 },
  ]);
});

test("a delivery for which a slot was reserved is born leased", () => {
  const store = openBareStore();
  accept(store, newEvent({ deliveries: [newDelivery({ state: "sending" })] }));
  expect(store.db.query("SELECT lease FROM queue").all()).toEqual([{ lease: store.lease }]);
});

test("a stored delivery (pull mode) has no queue row", () => {
  const store = openBareStore();
  accept(store, newEvent({ deliveries: [newDelivery({ state: "stored" })] }));
  expect(count(store, "queue")).toBe(0);
  expect(store.db.query("SELECT due_at FROM delivery").all()).toEqual([{ due_at: null }]);
});

test("a delivery may bring its own payload", () => {
  const store = openBareStore();
  accept(store, newEvent({ deliveries: [newDelivery({ payload: newPayload("own") })] }));
  expect(
    store.db.query("SELECT seq, CAST(body AS TEXT) AS body FROM payload ORDER BY seq DESC LIMIT 1").get(),
  ).toEqual({
    seq: 1_002,
    body: "own",
  });
});

test("a duplicate within the window gets the first id and writes nothing", () => {
  const store = openBareStore();
  const first = keyed("k");
  accept(store, first);
  const again = keyed("k", { receivedAt: NOW + WINDOW_MS - 1, deliveries: [newDelivery()] });
  expect(accept(store, again)).toEqual({ isDuplicate: true, id: first.id });
  expect([count(store, "event"), count(store, "payload"), count(store, "delivery")]).toEqual([1, 1, 0]);
});

test("after the window the next event takes the key over", () => {
  const store = openBareStore();
  accept(store, keyed("k"));
  const next = keyed("k", { receivedAt: NOW + WINDOW_MS });
  expect(accept(store, next)).toMatchObject({ isDuplicate: false, id: next.id });
  expect(accept(store, keyed("k", { receivedAt: NOW + WINDOW_MS + 1 }))).toEqual({
    isDuplicate: true,
    id: next.id,
  });
  expect(count(store, "dedupe")).toBe(1);
});

test("keys of different sources do not meet", () => {
  const store = openBareStore();
  accept(store, keyed("k", { sourceSeq: 1 }));
  expect(accept(store, keyed("k", { sourceSeq: 2 })).isDuplicate).toBe(false);
});

test("a duplicate is still known after its event was purged", () => {
  const store = openBareStore();
  const first = keyed("k");
  accept(store, first);
  store.db.run("DELETE FROM event");
  expect(accept(store, keyed("k"))).toEqual({ isDuplicate: true, id: first.id });
});

test("events without a key are never duplicates", () => {
  const store = openBareStore();
  expect([newEvent(), newEvent()].map((event) => accept(store, event).isDuplicate)).toEqual([false, false]);
});

test("an event whose delivery breaks a rule is not stored at all", () => {
  const store = openBareStore();
  const delivery = newDelivery();
  accept(store, newEvent({ deliveries: [delivery] }));
  const clash = keyed("k", { deliveries: [newDelivery(), newDelivery({ id: delivery.id })] });
  expect(() => accept(store, clash)).toThrow();
  expect([count(store, "event"), count(store, "delivery"), count(store, "dedupe")]).toEqual([1, 1, 0]);
});

test("a delivery without an event needs a payload", () => {
  const store = openBareStore();
  expect(() => store.apply({ verb: "createDelivery", delivery: newDelivery(), now: NOW })).toThrow();
  const delivery = newDelivery({ payload: newPayload("own") });
  expect(store.apply({ verb: "createDelivery", delivery, now: NOW })).toBe(1_001);
});
