/**
 * The life of a delivery. A change of state is a value, the Transition, made by one of the named functions
 * below from (delivery, what happened, now) and applied by the store only if the row is still as it was when
 * the decision was made. Nothing else changes a state.
 *
 *   queued     waiting for its due time and a slot          <- accepted, replayed, rescued
 *   sending    leased by a process: on the wire, or about to be   <- claimed from queued, retrying, held
 *   awaiting   the receiver took it and owes an acknowledgement until dueAt; holds no lease, slot or socket
 *   retrying   failed, the policy named a next time
 *   held       parked: its lane is paused, disabled, or its breaker is open
 *   stored     pull mode: waits to be fetched;   fetched   handed out, not yet acknowledged
 *   succeeded | dead | cancelled | discarded     final; a replay leads back to queued, in pull mode to stored
 *                                                (discarded: never)
 *
 * A delivery has a queue row exactly while it is queued, sending, awaiting, retrying or held.
 */
import type { AttemptRecord, Outcome } from "./attempt.ts";
import type { Id } from "./id.ts";
import type { LogLine } from "./log-line.ts";

export const DELIVERY_STATES = [
  "queued",
  "sending",
  "awaiting",
  "retrying",
  "held",
  "stored",
  "fetched",
  "succeeded",
  "dead",
  "cancelled",
  "discarded",
] as const;

export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** The whole state machine. The store's CHECK and the test matrix follow this table. */
export const NEXT_STATES: Readonly<Record<DeliveryState, readonly DeliveryState[]>> = {
  queued: ["queued", "sending", "held", "cancelled"],
  sending: ["succeeded", "retrying", "dead", "awaiting", "held", "queued"],
  awaiting: ["succeeded", "retrying", "dead", "cancelled"],
  retrying: ["retrying", "sending", "held", "cancelled"],
  held: ["held", "queued", "sending", "cancelled"],
  stored: ["fetched", "succeeded", "dead", "discarded"],
  fetched: ["succeeded", "dead", "discarded"],
  succeeded: ["queued", "stored"],
  dead: ["queued", "stored", "discarded"],
  cancelled: ["queued", "discarded"],
  discarded: [],
};

const FINAL_STATES: ReadonlySet<DeliveryState> = new Set(["succeeded", "dead", "cancelled", "discarded"]);
const QUEUE_STATES: ReadonlySet<DeliveryState> = new Set([
  "queued",
  "sending",
  "awaiting",
  "retrying",
  "held",
]);

export function isFinal(state: DeliveryState): boolean {
  return FINAL_STATES.has(state);
}

export function hasQueueRow(state: DeliveryState): boolean {
  return QUEUE_STATES.has(state);
}

/**
 * The lane of deadlines: awaiting deliveries wait here, because they take no slot in their endpoint's lane.
 */
export const DEADLINE_LANE = 0;

/**
 * When a delivery is due that is held because its source is paused: the last instant that a Date can hold.
 * Resuming the source makes it due.
 */
export const DUE_ON_RESUME = 8_640_000_000_000_000;

/**
 * When a delivery is due that its line gave up and that waits until somebody asks for it (poison policy
 * `park`).
 */
export const DUE_WHEN_ASKED = DUE_ON_RESUME - 1;

/** When a delivery is due that waits for its turn in a line: the end of the one before it makes it due. */
export const DUE_IN_ORDER = DUE_ON_RESUME - 2;

export const WAITS = ["turn", "request", "resume"] as const;
export type Wait = (typeof WAITS)[number];

/** When a delivery is due that waits for something other than its time. */
export function dueOfWait(wait: Wait): number {
  if (wait === "turn") return DUE_IN_ORDER;
  return wait === "request" ? DUE_WHEN_ASKED : DUE_ON_RESUME;
}

/** What a delivery waits for that has no time of its own; null: for its time. */
export function waitsFor(dueAt: number | null): Wait | null {
  if (dueAt === null || dueAt < DUE_IN_ORDER) return null;
  if (dueAt === DUE_IN_ORDER) return "turn";
  return dueAt === DUE_WHEN_ASKED ? "request" : "resume";
}

/**
 * The lane of a source in pull mode, from its number in the store. Nothing is ever sent from it, and no
 * endpoint has a negative number.
 */
export function pullLane(sourceSeq: number): number {
  return -sourceSeq;
}

/** The part of a delivery that transitions read. `lane` is the endpoint's number in the store. */
export interface DeliveryPosition {
  readonly seq: number;
  readonly lane: number;
  readonly state: DeliveryState;
  /** When it is due; of an awaiting one, when the acknowledgement is due. Null without a queue row. */
  readonly dueAt: number | null;
  /** The process that holds it while it is sending. */
  readonly lease: number | null;
  readonly attemptCount: number;
  /** attemptCount when the present retry budget began: 0, or the count at the last replay. */
  readonly budgetStart: number;
  /** What the policy wants to remember between attempts. */
  readonly policyState: string | null;
  /** The line of its lane that it stands in, or stood in; absent: none. */
  readonly line?: string;
}

/** A delivery that does not exist yet. The store gives it its seq. */
export interface NewDelivery {
  readonly id: Id;
  readonly project: string;
  readonly lane: number;
  /** In pull mode the source's. */
  readonly endpointId: Id;
  readonly profile: string;
  /** `sending` when a slot was reserved before the insert, so that no second write is needed to claim it. */
  readonly state: "queued" | "sending" | "held" | "stored";
  readonly dueAt: number;
  /** JSON of the dialect that made it; opaque to the engine. */
  readonly spec: string | null;
  /** When it was planned for, if that is not when it is due. */
  readonly scheduledAt?: number;
  /** The number of the schedule whose run it is. */
  readonly scheduleSeq?: number;
  /**
   * The number of the delivery that it was made for. Follow-ups get that of the one whose outcome they are.
   */
  readonly parentSeq?: number;
  /** Its own payload; null when it shares the event's. */
  readonly payload: NewPayload | null;
  /** The line of its lane that it stands in. Such a delivery is never made as `sending`. */
  readonly line?: string;
}

export interface NewPayload {
  /** JSON object of header name to value. */
  readonly headers: string;
  readonly body: Uint8Array;
}

export interface Transition {
  readonly seq: number;
  readonly lane: number;
  readonly from: DeliveryState;
  readonly fromDueAt: number | null;
  readonly lease: number | null;
  readonly to: DeliveryState;
  readonly at: number;
  readonly dueAt: number | null;
  readonly attempt: AttemptRecord | null;
  /** Of the delivery, where an attempt decides: how long it took to arrive is summed up. */
  readonly createdAt?: number;
  readonly attemptCount: number;
  readonly budgetStart: number;
  readonly policyState: string | null;
  /** Deliveries that come into being with this change, in the same transaction. */
  readonly followUps: readonly NewDelivery[];
  readonly line?: string;
  /** `leave`: the next of its line is due. `join`: it goes next, after the one whose turn it is. */
  readonly lineStep?: "leave" | "join";
  /** What the receiver logged during the attempt. */
  readonly logs?: readonly LogLine[];
}

/** What the policy says about a failed attempt. */
export type Decision =
  | { readonly kind: "retry"; readonly at: number; readonly policyState: string | null }
  /** `blocksLine`: it stays in front of its line until somebody replays or discards it. */
  | { readonly kind: "dead"; readonly blocksLine?: boolean }
  /** Held until somebody asks for it; its line goes on. */
  | { readonly kind: "park" };

export interface Settlement {
  readonly outcome: Outcome;
  readonly attempt: AttemptRecord;
  /** Asked for a failed outcome only. */
  readonly decision: Decision | null;
  readonly followUps: readonly NewDelivery[];
  readonly logs?: readonly LogLine[];
  /** When the delivery came into being. */
  readonly createdAt?: number;
}

/** Returns the change that one attempt's outcome brings: succeeded, awaiting, retrying, dead or held. */
export function settle(delivery: DeliveryPosition, settlement: Settlement, now: number): Transition {
  const { outcome, attempt, decision, followUps, logs, createdAt } = settlement;
  const told = logs === undefined || logs.length === 0 ? {} : { logs };
  const aged = createdAt === undefined ? {} : { createdAt };
  const attempted = { attempt, attemptCount: attempt.number, ...aged };
  const base = { ...change(delivery, now), ...attempted, followUps, ...told };
  const leaving = inLine(delivery, "leave");
  if (outcome.kind === "succeeded") {
    return { ...base, to: "succeeded", dueAt: null, policyState: null, ...leaving };
  }
  if (outcome.kind === "awaiting") return { ...base, to: "awaiting", dueAt: outcome.deadlineAt };
  if (decision?.kind === "retry") {
    return { ...base, to: "retrying", dueAt: decision.at, policyState: decision.policyState };
  }
  if (decision?.kind === "park") {
    return { ...base, to: "held", dueAt: DUE_WHEN_ASKED, ...leaving };
  }
  const dead = { ...base, to: "dead", dueAt: null, policyState: null } as const;
  return decision?.blocksLine === true ? dead : { ...dead, ...leaving };
}

/**
 * Gives a leased delivery back untouched, with its place in line: its lane closed, or the process is
 * stopping.
 */
export function release(
  delivery: DeliveryPosition,
  to: "queued" | "retrying" | "held",
  now: number,
): Transition {
  return { ...change(delivery, now), to, dueAt: delivery.dueAt ?? now };
}

/** Null when the state does not allow it: an attempt in flight, or already final. */
export function cancel(delivery: DeliveryPosition, now: number): Transition | null {
  if (!allowed(delivery, "cancelled")) return null;
  return { ...change(delivery, now), to: "cancelled", dueAt: null, ...inLine(delivery, "leave") };
}

export function discard(delivery: DeliveryPosition, now: number): Transition | null {
  if (!allowed(delivery, "discarded")) return null;
  return { ...change(delivery, now), to: "discarded", dueAt: null, ...inLine(delivery, "leave") };
}

/**
 * Makes a waiting delivery due now. It stays in its state, so that its owner still sees a retry as a retry.
 * Null also for one that waits for its turn: a line keeps its order.
 */
export function retryNow(delivery: DeliveryPosition, now: number): Transition | null {
  const { state } = delivery;
  if (state !== "queued" && state !== "retrying" && state !== "held") return null;
  if (delivery.dueAt === DUE_IN_ORDER) return null;
  return { ...change(delivery, now), to: state, dueAt: now };
}

/**
 * Puts a waiting delivery off, or brings it forward. Null for all others, and for what waits for its source
 * to resume, which has no time of its own.
 */
export function reschedule(delivery: DeliveryPosition, dueAt: number, now: number): Transition | null {
  const change = delivery.dueAt === DUE_ON_RESUME ? null : retryNow(delivery, now);
  return change && { ...change, dueAt };
}

/** Pull mode: hands out what was stored. Null for what was handed out before. */
export function handOut(delivery: DeliveryPosition, now: number): Transition | null {
  return allowed(delivery, "fetched") ? { ...change(delivery, now), to: "fetched", dueAt: null } : null;
}

/** Pull mode: the consumer has it. It need not have been handed out before: a look without moving will do. */
export function confirm(delivery: DeliveryPosition, now: number): Transition | null {
  if (delivery.state !== "stored" && delivery.state !== "fetched") return null;
  return { ...change(delivery, now), to: "succeeded", dueAt: null };
}

/**
 * Sends a finished delivery again under the same id with a fresh retry budget. Null in pull mode, where there
 * is nobody to send it to. One of a line takes its old place in it, before all that came after it, and waits
 * for the one whose turn it is; a dead letter that blocks its line is that one.
 */
export function replay(delivery: DeliveryPosition, now: number): Transition | null {
  if (!isFinal(delivery.state) || !allowed(delivery, "queued") || delivery.lane < 0) return null;
  return {
    ...change(delivery, now),
    to: "queued",
    dueAt: now,
    budgetStart: delivery.attemptCount,
    policyState: null,
    ...inLine(delivery, "join"),
  };
}

/** Pull mode: what its consumer is done with waits for it again, under the same id. */
export function restore(delivery: DeliveryPosition, now: number): Transition | null {
  if (delivery.lane >= 0 || !allowed(delivery, "stored")) return null;
  return { ...change(delivery, now), to: "stored", dueAt: null, budgetStart: delivery.attemptCount };
}

function allowed(delivery: DeliveryPosition, to: DeliveryState): boolean {
  return NEXT_STATES[delivery.state].includes(to);
}

/** What a change tells the line of the delivery, if it stands in one. */
function inLine({ line }: DeliveryPosition, lineStep: "leave" | "join"): Pick<Transition, "lineStep"> {
  return line === undefined ? {} : { lineStep };
}

function change(delivery: DeliveryPosition, now: number) {
  return {
    seq: delivery.seq,
    lane: delivery.lane,
    from: delivery.state,
    fromDueAt: delivery.dueAt,
    lease: delivery.lease,
    at: now,
    attempt: null,
    attemptCount: delivery.attemptCount,
    budgetStart: delivery.budgetStart,
    policyState: delivery.policyState,
    followUps: [],
    ...(delivery.line === undefined ? {} : { line: delivery.line }),
  };
}
