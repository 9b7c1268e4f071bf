/**
 * Repairs of many deliveries at once: which deliveries, what is done to each, and how far it has come. Doing
 * it is in runtime/bulks.ts and storage/bulks.ts.
 */
import {
  cancel,
  type DeliveryPosition,
  type DeliveryState,
  discard,
  replay,
  retryNow,
  type Transition,
  type Wait,
} from "./delivery.ts";
import type { Id } from "./id.ts";

export const BULK_ACTIONS = ["retry", "cancel", "discard", "replay"] as const;

export type BulkAction = (typeof BULK_ACTIONS)[number];

/** The states that an action knows how to leave; without a wish, the default ones are meant. */
export const BULK_STATES: Readonly<
  Record<
    BulkAction,
    { readonly allowed: readonly DeliveryState[]; readonly default: readonly DeliveryState[] }
  >
> = {
  retry: { allowed: ["queued", "retrying", "held"], default: ["retrying", "held"] },
  cancel: {
    allowed: ["queued", "retrying", "held", "awaiting"],
    default: ["queued", "retrying", "held", "awaiting"],
  },
  discard: { allowed: ["dead", "cancelled", "stored", "fetched"], default: ["dead"] },
  replay: { allowed: ["dead", "cancelled", "succeeded"], default: ["dead"] },
};

/** Every member that is present must hold. Plain JSON: it is kept with the operation. */
export interface DeliveryMatch {
  readonly project: string;
  readonly states: readonly DeliveryState[];
  /** The endpoint's number. */
  readonly lane?: number;
  readonly sourceSeq?: number;
  /** The event's: exact, or a prefix that ends in "*". */
  readonly type?: string;
  readonly tenant?: string;
  /** since <= created < until. */
  readonly since?: number;
  readonly until?: number;
  /** Part of the newest attempt's error, in any case. */
  readonly error?: string;
  /** HTTP status of the newest attempt. */
  readonly status?: number;
  /** Only what waits for this and not for its time. */
  readonly waitsFor?: Wait;
}

export type BulkState = "running" | "paused" | "done" | "cancelled";

export interface Bulk {
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  readonly action: BulkAction;
  /** A replay as copies with ids of their own. */
  readonly isAsNew: boolean;
  readonly match: DeliveryMatch;
  /** Deliveries per second; null: as fast as they are taken. */
  readonly rate: number | null;
  readonly state: BulkState;
  /** The newest delivery that it may touch; what came later is none of its business. */
  readonly lastSeq: number;
  /** The newest delivery that it has looked at. */
  readonly cursor: number;
  readonly changedCount: number;
  /** What matched and could not be changed: an attempt was under way, or its body is gone. */
  readonly skippedCount: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly finishedAt: number | null;
}

export type NewBulk = Pick<Bulk, "id" | "project" | "action" | "isAsNew" | "match" | "rate">;

export interface BulkStepInput {
  readonly seq: number;
  /** Where the caller believes it stands: a step from elsewhere does nothing. */
  readonly cursor: number;
  readonly now: number;
  /** Deliveries changed or skipped in this step. */
  readonly itemsMax: number;
  /** For the deliveries that it makes (copies, notes on a cancelled one's end): as many as itemsMax. */
  readonly ids: readonly Id[];
}

export interface CopiedDelivery {
  readonly seq: number;
  readonly lane: number;
}

export interface BulkStep {
  readonly bulk: Bulk;
  /** What is due now because of it, in its order; without what waits for its turn in a line. */
  readonly due: readonly CopiedDelivery[];
  /** Lanes in which something is due now. */
  readonly lanes: readonly number[];
  /** Whether deliveries have ended. */
  readonly hasEnded: boolean;
}

/** How many deliveries match, within one stretch of the store. */
export interface MatchCountInput {
  readonly match: DeliveryMatch;
  readonly after: number;
  readonly now: number;
}

export interface MatchGroup {
  readonly lane: number;
  readonly type: string | null;
  /** Index into AGE_BOUNDS_MS; its length for what is older than all. */
  readonly age: number;
  readonly count: number;
}

export interface MatchCounts {
  readonly groups: readonly MatchGroup[];
  /** Where the next stretch begins; null at the end. */
  readonly next: number | null;
}

const HOUR_MS = 3_600_000;

/** How a preview groups ages: up to an hour, a day, a week, and older. */
export const AGE_BOUNDS_MS = [HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS] as const;

/** Null when the delivery's state does not allow it. */
export function decideBulk(action: BulkAction, position: DeliveryPosition, now: number): Transition | null {
  switch (action) {
    case "retry":
      return retryNow(position, now);
    case "cancel":
      return cancel(position, now);
    case "discard":
      return discard(position, now);
    case "replay":
      return replay(position, now);
    default:
      return action satisfies never;
  }
}
