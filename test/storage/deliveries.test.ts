import { expect, test } from "bun:test";
import {
  DELIVERY_STATES,
  type DeliveryPosition,
  type DeliveryState,
  hasQueueRow,
  NEXT_STATES,
  release,
  replay,
  settle,
  type Transition,
} from "../../src/domain/delivery.ts";
import type { ClaimInput, ClaimResult } from "../../src/storage/claims.ts";
import {
  LANE,
  NOW,
  newAttempt,
  newDelivery,
  newEvent,
  newPayload,
  storeDelivery,
} from "../support/factory.ts";
import { type BareStore, dump, openBareStore } from "../support/store.ts";

function claim(store: BareStore, change: Partial<ClaimInput> = {}): ClaimResult {
  const input = { lane: LANE, now: NOW, limit: 100, bytesMax: 1_000_000, ...change };
  return store.apply({ verb: "claim", input }) as ClaimResult;
}

function transition(store: BareStore, change: Transition): boolean {
  return store.apply({ verb: "transition", change }) as boolean;
}

function stateOf(store: BareStore, seq: number): unknown {
  return store.db.query<{ state: string }, [number]>("SELECT state FROM delivery WHERE seq = ?").get(seq)
    ?.state;
}

/** A change to any state with the fields that the state needs. */
function changeTo(to: DeliveryState, position: DeliveryPosition): Transition {
  return {
    ...release(position, "queued", NOW + 1),
    to,
    dueAt: hasQueueRow(to) ? NOW + 5 : null,
    attemptCount: Math.max(1, position.attemptCount),
  };
}

const PAIRS = DELIVERY_STATES.flatMap((from) => DELIVERY_STATES.map((to) => [from, to] as const));

test.each(PAIRS)("transition %s -> %s applies if and only if the table has it", (from, to) => {
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: from, lease: store.lease });
  const before = dump(store.db);
  const change = changeTo(to, position);
  if (!NEXT_STATES[from].includes(to)) {
    expect(() => transition(store, change)).toThrow(`${from} never becomes ${to}`);
    expect(dump(store.db)).toEqual(before);
    return;
  }
  expect(transition(store, change)).toBe(true);
  expect(stateOf(store, position.seq)).toBe(to);
  const queue = store.db.query("SELECT lane, due_at, lease FROM queue").all();
  const lane = to === "awaiting" ? 0 : LANE;
  expect(queue).toEqual(hasQueueRow(to) ? [{ lane, due_at: NOW + 5, lease: null }] : []);
});

test.each(
  PAIRS,
)("a change decided in state %s writes nothing when the delivery is %s by now", (decided, actual) => {
  const to = NEXT_STATES[decided].find((state) => state !== "sending");
  if (decided === actual || to === undefined) return;
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: actual, lease: store.lease });
  const before = dump(store.db);
  const stale: DeliveryPosition = {
    ...position,
    state: decided,
    dueAt: hasQueueRow(decided) ? NOW : null,
    lease: decided === "sending" ? store.lease : null,
  };
  expect(transition(store, { ...changeTo(to, stale), attempt: newAttempt() })).toBe(false);
  expect(dump(store.db)).toEqual(before);
});

test("a change under a lease that was lost writes nothing", () => {
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: "sending", lease: 7 });
  const before = dump(store.db);
  expect(transition(store, changeTo("succeeded", { ...position, lease: 8 }))).toBe(false);
  expect(transition(store, changeTo("succeeded", { ...position, lease: null }))).toBe(false);
  expect(transition(store, changeTo("succeeded", { ...position, dueAt: NOW + 1 }))).toBe(false);
  expect(dump(store.db)).toEqual(before);
});

test("claim takes what is due, oldest first, and marks it as sending under the lease", () => {
  const store = openBareStore();
  const later = storeDelivery(store.db, { state: "retrying", dueAt: NOW });
  const first = storeDelivery(store.db, { state: "queued", dueAt: NOW - 2 });
  const parked = storeDelivery(store.db, { state: "held", dueAt: NOW - 1 });
  storeDelivery(store.db, { state: "queued", dueAt: NOW + 1 });
  storeDelivery(store.db, { state: "queued", lane: 2 });
  const { claimed, nextDueAt } = claim(store);
  expect(claimed.map(({ position }) => position.seq)).toEqual([first.seq, parked.seq, later.seq]);
  expect(claimed[0]?.position).toMatchObject({ state: "sending", lease: store.lease, dueAt: NOW - 2 });
  expect(nextDueAt).toBe(NOW + 1);
  expect(stateOf(store, first.seq)).toBe("sending");
  expect(claim(store).claimed).toEqual([]);
});

test("claim stops at its limit and says when the next is due", () => {
  const store = openBareStore();
  for (let index = 0; index < 5; index += 1) storeDelivery(store.db, { state: "queued", dueAt: NOW - index });
  const { claimed, nextDueAt } = claim(store, { limit: 2 });
  expect(claimed.map(({ position }) => position.dueAt)).toEqual([NOW - 4, NOW - 3]);
  expect(nextDueAt).toBe(NOW - 2);
});

test("claim stops at its bytes but always takes the first", () => {
  const store = openBareStore();
  const deliveries = () => [newDelivery(), newDelivery(), newDelivery()];
  store.apply({ verb: "accept", event: newEvent({ body: new Uint8Array(100), deliveries: deliveries() }) });
  expect(claim(store, { bytesMax: 10 }).claimed).toHaveLength(1);
  expect(claim(store, { bytesMax: 200 }).claimed).toHaveLength(2);
});

test("an empty lane has no next due time", () => {
  expect(claim(openBareStore())).toEqual({ claimed: [], nextDueAt: null });
});

test("what is claimed carries all that sending it needs", () => {
  const store = openBareStore();
  const delivery = newDelivery({ spec: '{"a":1}' });
  const event = newEvent({ deliveries: [delivery] });
  store.apply({ verb: "accept", event });
  expect(claim(store).claimed[0]).toMatchObject({
    profile: "native",
    facts: { id: delivery.id, eventId: event.id, createdAt: NOW, scheduledAt: NOW, spec: '{"a":1}' },
    payload: { headers: { "content-type": "application/json" }, body: new Uint8Array(event.body) },
  });
});

test("an attempt and its consequences commit together", () => {
  const store = openBareStore();
  storeDelivery(store.db, { state: "queued" });
  const [taken] = claim(store).claimed;
  const attempt = newAttempt({ outcome: "failed", status: 503, failure: "status", error: "HTTP 503" });
  const outcome = {
    kind: "failed",
    failure: "status",
    status: 503,
    text: "HTTP 503",
    retryAfterMs: null,
  } as const;
  const decision = { kind: "retry", at: NOW + 9, policyState: "p" } as const;
  const followUps = [newDelivery({ lane: 5, payload: newPayload("child") })];
  const change = settle(
    taken?.position as DeliveryPosition,
    { outcome, attempt, decision, followUps },
    NOW + 1,
  );
  expect(transition(store, change)).toBe(true);
  expect(store.db.query("SELECT number, status, error FROM attempt").all()).toEqual([
    { number: 1, status: 503, error: "HTTP 503" },
  ]);
  expect(store.db.query("SELECT lane, due_at FROM queue ORDER BY lane").all()).toEqual([
    { lane: LANE, due_at: NOW + 9 },
    { lane: 5, due_at: NOW },
  ]);
  expect(
    store.db
      .query("SELECT attempt_count, policy_state, last_status, last_error FROM delivery WHERE seq = 1")
      .get(),
  ).toEqual({ attempt_count: 1, policy_state: "p", last_status: 503, last_error: "HTTP 503" });
});

test("a follow-up that cannot be stored takes the outcome with it", () => {
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: "sending", lease: store.lease });
  const before = dump(store.db);
  const attempt = newAttempt();
  const broken = [newDelivery({ payload: newPayload() }), newDelivery({ payload: null })];
  const settlement = { outcome: { kind: "succeeded", status: 200 }, attempt, decision: null } as const;
  expect(() => transition(store, settle(position, { ...settlement, followUps: broken }, NOW))).toThrow();
  expect(dump(store.db)).toEqual(before);
});

test("an awaiting delivery waits in the lane of deadlines and comes back to its own", () => {
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: "sending", lease: store.lease, lane: 9 });
  const outcome = { kind: "awaiting", status: 202, deadlineAt: NOW + 50 } as const;
  const attempt = newAttempt({ outcome: "awaiting", status: 202 });
  transition(store, settle(position, { outcome, attempt, decision: null, followUps: [] }, NOW));
  expect(store.db.query("SELECT lane, due_at, lease FROM queue").all()).toEqual([
    { lane: 0, due_at: NOW + 50, lease: null },
  ]);
  const waiting = { ...position, state: "awaiting", dueAt: NOW + 50, lease: null, attemptCount: 1 } as const;
  expect(transition(store, { ...changeTo("retrying", waiting), dueAt: NOW + 60 })).toBe(true);
  expect(store.db.query("SELECT lane, due_at FROM queue").all()).toEqual([{ lane: 9, due_at: NOW + 60 }]);
});

test("what ends an awaiting attempt finishes its row; a finished row never changes", () => {
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: "sending", lease: store.lease });
  const awaiting = { kind: "awaiting", status: 202, deadlineAt: NOW + 50 } as const;
  const first = newAttempt({ outcome: "awaiting", status: 202, startedAt: NOW });
  transition(
    store,
    settle(position, { outcome: awaiting, attempt: first, decision: null, followUps: [] }, NOW),
  );
  const row = () =>
    store.db.query("SELECT number, started_at, duration_ms, outcome, status FROM attempt").all();
  const waiting = { ...position, state: "awaiting", dueAt: NOW + 50, lease: null, attemptCount: 1 } as const;
  const done = newAttempt({ startedAt: NOW + 40, status: null });
  const succeeded = { kind: "succeeded", status: null } as const;
  const settlement = { outcome: succeeded, attempt: done, decision: null, followUps: [] };
  expect(transition(store, settle(waiting, settlement, NOW + 40))).toBe(true);
  const finished = { number: 1, started_at: NOW, duration_ms: 40, outcome: "succeeded", status: 202 };
  expect(row()).toEqual([finished]);

  const replayed = { ...waiting, state: "succeeded", dueAt: null } as const;
  transition(store, {
    ...(replay(replayed, NOW) as Transition),
    attempt: newAttempt({ startedAt: NOW + 99 }),
  });
  expect(row()).toEqual([finished]);
});

test("a finished delivery without a body is not replayed", () => {
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: "dead", hasPayload: false });
  expect(transition(store, replay(position, NOW) as Transition)).toBe(false);
  expect(stateOf(store, position.seq)).toBe("dead");
});

const ILLEGAL_ROWS = [
  ["an unknown state", "state = 'lost'"],
  ["queued without a due time", "due_at = NULL"],
  ["succeeded with a due time", "state = 'succeeded', finished_at = 1"],
  ["succeeded without an end", "state = 'succeeded', due_at = NULL"],
  ["queued with an end", "finished_at = 1"],
  ["retrying without an attempt", "state = 'retrying'"],
  ["awaiting without an attempt", "state = 'awaiting'"],
  ["dead without an attempt", "state = 'dead', due_at = NULL, finished_at = 1"],
  ["stored with a due time", "state = 'stored'"],
  ["a budget beyond the attempts", "budget_start = 1"],
  ["fewer attempts than none", "attempt_count = -1"],
  ["an id that is no UUID", "id = x'00'"],
] as const;

test.each(ILLEGAL_ROWS)("the schema refuses %s", (_, assignment) => {
  const store = openBareStore();
  storeDelivery(store.db, { state: "queued" });
  expect(() => store.db.run(`UPDATE delivery SET ${assignment}`)).toThrow(/constraint failed/);
});

test("a report on an awaited attempt leaves the status that the attempt was answered with", () => {
  const store = openBareStore();
  const position = storeDelivery(store.db, { state: "sending", lease: store.lease });
  const answered = newAttempt({ outcome: "awaiting", status: 202 });
  const awaited = settle(
    position,
    {
      outcome: { kind: "awaiting", status: 202, deadlineAt: NOW + 5 },
      attempt: answered,
      decision: null,
      followUps: [],
    },
    NOW,
  );
  expect(transition(store, awaited)).toBe(true);
  const awaiting = { ...position, state: "awaiting", dueAt: NOW + 5, lease: null, attemptCount: 1 } as const;
  const acknowledged = settle(
    awaiting,
    {
      outcome: { kind: "succeeded", status: null },
      attempt: newAttempt({ status: null }),
      decision: null,
      followUps: [],
    },
    NOW + 1,
  );
  expect(transition(store, acknowledged)).toBe(true);
  const row = store.db
    .query("SELECT state, last_status, last_error FROM delivery WHERE seq = ?")
    .get(position.seq);
  expect(row).toEqual({ state: "succeeded", last_status: 202, last_error: null });
});
