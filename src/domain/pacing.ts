/**
 * How an endpoint wants its deliveries paced beyond concurrency and rate: their order, how it is treated
 * after an outage, and when it is given up. Everything may be left out; absent means what DEFAULT_PACING
 * says.
 */
import type { Decision } from "./delivery.ts";

export interface RateRule {
  readonly perSecond: number;
  readonly burst: number;
}

export const ORDERINGS = ["none", "key", "endpoint"] as const;

/** `key`: one at a time per ordering key of the event; `endpoint`: one at a time altogether. */
export type Ordering = (typeof ORDERINGS)[number];

/**
 * What becomes of a line whose head is given up. `block`: it waits until the dead letter is replayed or
 * discarded. `park`: the delivery is held until somebody retries it, the others go on. `skip`: it is a dead
 * letter, after so many failed attempts at the latest, and the others go on.
 */
export type Poison =
  | { readonly kind: "block" | "park" }
  | { readonly kind: "skip"; readonly after: number | null };

export interface Pacing {
  readonly ordering?: Ordering;
  readonly poison?: Poison;
  /** Attempts per ordering key. */
  readonly keyRate?: RateRule | null;
  /** Whether concurrency grows from one after an outage. */
  readonly slowStart?: boolean;
  /** How fast what has gathered goes out once the lane is open again; null: as fast as the rest allows. */
  readonly drainPerSecond?: number | null;
  /** Disabled after so long of nothing but failures; null: never; absent: as the pressure rule says. */
  readonly disableAfterMs?: number | null;
}

/** Returns what the poison policy makes of a decision about a delivery that stands in a line. */
export function poisoned(decision: Decision, poison: Poison, attempt: number): Decision {
  const isSpent = poison.kind === "skip" && poison.after !== null && attempt >= poison.after;
  if (decision.kind === "retry") return isSpent ? { kind: "dead" } : decision;
  if (poison.kind === "park") return { kind: "park" };
  return poison.kind === "block" ? { kind: "dead", blocksLine: true } : { kind: "dead" };
}

export const DEFAULT_PACING = {
  ordering: "none",
  poison: { kind: "block" },
  keyRate: null,
  slowStart: true,
  drainPerSecond: null,
} as const satisfies Pacing;

/** Characters of an ordering key. Of longer ones that a source reads, as many count. */
export const ORDERING_KEY_MAX = 256;

/** The line of all that an endpoint with an order of its own gets. No key is empty. */
const ENDPOINT_LINE = "";

/** Returns the line that a delivery of an event stands in; undefined: none. */
export function lineOf(
  pacing: Pacing | undefined,
  orderingKey: string | null | undefined,
): string | undefined {
  switch (pacing?.ordering) {
    case "endpoint":
      return ENDPOINT_LINE;
    case "key":
      return orderingKey ? orderingKey : undefined;
    default:
      return undefined;
  }
}
