import { expect, test } from "bun:test";
import type { Outcome } from "../../src/domain/attempt.ts";
import {
  cancel,
  confirm,
  DELIVERY_STATES,
  type Decision,
  type DeliveryPosition,
  type DeliveryState,
  discard,
  handOut,
  hasQueueRow,
  isFinal,
  NEXT_STATES,
  pullLane,
  release,
  replay,
  retryNow,
  settle,
  type Transition,
} from "../../src/domain/delivery.ts";
import { NOW, newAttempt, newDelivery } from "../support/factory.ts";

function position(change: Partial<DeliveryPosition> = {}): DeliveryPosition {
  const state = change.state ?? "sending";
  return {
    seq: 7,
    lane: 3,
    state,
    dueAt: hasQueueRow(state) ? NOW - 5 : null,
    lease: state === "sending" ? 2 : null,
    attemptCount: 4,
    budgetStart: 1,
    policyState: "kept",
    ...change,
  };
}

const FAILED = {
  kind: "failed",
  failure: "status",
  status: 500,
  text: "HTTP 500",
  retryAfterMs: null,
} as const;
const AWAITING = { kind: "awaiting", status: 202, deadlineAt: NOW + 60 } as const;
const SUCCEEDED = { kind: "succeeded", status: 200 } as const;

const SETTLEMENTS: readonly [string, Outcome, Decision | null, Partial<Transition>][] = [
  ["success", SUCCEEDED, null, { to: "succeeded", dueAt: null, policyState: null }],
  ["acceptance", AWAITING, null, { to: "awaiting", dueAt: NOW + 60, policyState: "kept" }],
  [
    "failure with a next time",
    FAILED,
    { kind: "retry", at: NOW + 9, policyState: "next" },
    { to: "retrying", dueAt: NOW + 9, policyState: "next" },
  ],
  ["failure without", FAILED, { kind: "dead" }, { to: "dead", dueAt: null, policyState: null }],
  ["failure nobody decided on", FAILED, null, { to: "dead", dueAt: null, policyState: null }],
];

test.each(SETTLEMENTS)("%s settles a delivery that is being sent", (_, outcome, decision, expected) => {
  const attempt = newAttempt({ number: 5 });
  const followUps = [newDelivery()];
  expect(settle(position(), { outcome, attempt, decision, followUps }, NOW)).toEqual({
    seq: 7,
    lane: 3,
    from: "sending",
    fromDueAt: NOW - 5,
    lease: 2,
    at: NOW,
    attempt,
    attemptCount: 5,
    budgetStart: 1,
    followUps,
    ...(expected as Pick<Transition, "to" | "dueAt" | "policyState">),
  });
});

test("an acknowledgement settles an awaiting delivery, which holds no lease", () => {
  const settlement = {
    outcome: SUCCEEDED,
    attempt: newAttempt({ number: 5 }),
    decision: null,
    followUps: [],
  };
  const change = settle(position({ state: "awaiting" }), settlement, NOW);
  expect([change.from, change.lease, change.to]).toEqual(["awaiting", null, "succeeded"]);
});

const VERBS: readonly [
  string,
  (at: DeliveryPosition) => Transition | null,
  Partial<Record<DeliveryState, DeliveryState>>,
][] = [
  [
    "cancel",
    (at) => cancel(at, NOW),
    { queued: "cancelled", retrying: "cancelled", held: "cancelled", awaiting: "cancelled" },
  ],
  [
    "discard",
    (at) => discard(at, NOW),
    { dead: "discarded", cancelled: "discarded", stored: "discarded", fetched: "discarded" },
  ],
  ["retryNow", (at) => retryNow(at, NOW), { queued: "queued", retrying: "retrying", held: "held" }],
  ["handOut", (at) => handOut(at, NOW), { stored: "fetched" }],
  ["confirm", (at) => confirm(at, NOW), { stored: "succeeded", fetched: "succeeded" }],
  ["replay", (at) => replay(at, NOW), { succeeded: "queued", dead: "queued", cancelled: "queued" }],
];

const MATRIX = VERBS.flatMap(([name, verb, allowed]) =>
  DELIVERY_STATES.map((state) => [name, state, allowed[state] ?? null, verb] as const),
);

test.each(MATRIX)("%s of a %s delivery leads to %p", (_, state, expected, verb) => {
  const change = verb(position({ state }));
  expect(change?.to ?? null).toBe(expected);
  if (change) expect(NEXT_STATES[state]).toContain(change.to);
});

test.each(
  MATRIX,
)("%s of a %s delivery changes no count and adds nothing", (_name, state, _expected, verb) => {
  const change = verb(position({ state }));
  if (!change) return;
  expect(change).toMatchObject({ attempt: null, attemptCount: 4, followUps: [], from: state, at: NOW });
  expect(change.dueAt).toBe(hasQueueRow(change.to) ? NOW : null);
});

test("what was fetched in pull mode is never replayed: there is nobody to send it to", () => {
  expect(replay(position({ state: "succeeded", lane: pullLane(3) }), NOW)).toBeNull();
});

test("a replay starts a fresh retry budget under the same number of attempts", () => {
  expect(replay(position({ state: "dead" }), NOW)).toMatchObject({
    attemptCount: 4,
    budgetStart: 4,
    policyState: null,
    dueAt: NOW,
  });
});

test("retryNow keeps budget and policy state", () => {
  expect(retryNow(position({ state: "retrying" }), NOW)).toMatchObject({
    budgetStart: 1,
    policyState: "kept",
  });
});

test("a released delivery keeps its place in line", () => {
  expect(release(position(), "queued", NOW)).toMatchObject({
    to: "queued",
    dueAt: NOW - 5,
    lease: 2,
    attempt: null,
  });
  expect(release(position(), "held", NOW)).toMatchObject({ to: "held", dueAt: NOW - 5 });
});

test("the table knows every state, and only known ones follow", () => {
  expect(Object.keys(NEXT_STATES).toSorted()).toEqual([...DELIVERY_STATES].toSorted());
  for (const next of Object.values(NEXT_STATES)) {
    for (const state of next) expect(DELIVERY_STATES).toContain(state);
  }
});

test.each(
  DELIVERY_STATES,
)("%s is final, in the queue, or waiting to be fetched, and only one of them", (state) => {
  const isPull = state === "stored" || state === "fetched";
  expect([isFinal(state), hasQueueRow(state), isPull].filter(Boolean)).toHaveLength(1);
});

test.each(DELIVERY_STATES)("%s can be reached from the states in which a delivery is born", (state) => {
  const reached = new Set<DeliveryState>(["queued", "sending", "held", "stored"]);
  for (const from of reached) for (const next of NEXT_STATES[from]) reached.add(next);
  expect(reached.has(state)).toBe(true);
});
