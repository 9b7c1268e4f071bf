/**
 * Dated deliveries: those that callers plan, list and take back by the instant that they are meant for. The
 * questions that a dialect may ask of the store about its own.
 */
import type { DeliveryState } from "./delivery.ts";
import type { Id } from "./id.ts";

export interface DatedRow {
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  readonly spec: string | null;
  readonly state: DeliveryState;
  readonly attemptCount: number;
  /** attemptCount when the present retry budget began. */
  readonly budgetStart: number;
  readonly createdAt: number;
  readonly scheduledAt: number;
  readonly dueAt: number | null;
  readonly finishedAt: number | null;
  readonly lastError: string | null;
  /** Of the newest attempt; null before the first. */
  readonly lastAttempt: { readonly startedAt: number; readonly durationMs: number } | null;
  /** Null when it is no longer kept. */
  readonly body: Uint8Array | null;
}

/**
 * Bounds are epoch milliseconds; `After` and `Before` are exclusive, `From` and `Until` as in a half-open
 * range.
 */
export interface DatedFilter {
  readonly project: string;
  readonly profile: string;
  readonly states?: readonly DeliveryState[];
  readonly scheduledAfter?: number;
  readonly scheduledBefore?: number;
  /** Inclusive. */
  readonly scheduledFrom?: number;
  readonly createdAfter?: number;
  readonly createdBefore?: number;
  /** The member `path` of the spec is this. */
  readonly path?: string;
  readonly sortBy: "scheduledAt" | "createdAt";
  readonly isDescending: boolean;
  readonly limit: number;
  readonly offset?: number;
  /** Where the page before ended. */
  readonly after?: { readonly at: number; readonly seq: number };
  /**
   * Adds all further rows with the last one's instant, so that a caller who goes on strictly after that
   * instant misses none. Bounded by TIES_MAX. For ascending lists by scheduledAt.
   */
  readonly withTies?: boolean;
}

export interface DatedPage {
  readonly rows: readonly DatedRow[];
  /** How many rows match, whatever the page; null when there are more than COUNT_MAX. */
  readonly totalCount: number | null;
  readonly hasMore: boolean;
  /** The row behind the page is planned for the same instant as its last one. */
  readonly isTied: boolean;
}

/** Nobody pages through more by hand, and counting must cost the same however many there are. */
export const COUNT_MAX = 1_000;
export const TIES_MAX = 10_000;

export interface DatedLookup {
  readonly project: string;
  readonly profile: string;
  readonly id: Id;
}

export interface DatedReads {
  listDated(filter: DatedFilter): Promise<DatedPage>;
  getDated(lookup: DatedLookup): Promise<DatedRow | null>;
}

/**
 * Takes a delivery out of every view: it is not sent again, and what an attempt in flight brings is dropped.
 */
export interface Removal extends DatedLookup {
  readonly now: number;
  /** Only from one of these states. */
  readonly states?: readonly DeliveryState[];
}

/** What one more delivery is charged to. */
export interface Charge {
  readonly name: string;
  /** When the present period began; use in an older one counts as none. */
  readonly periodAt: number;
  readonly usedMax: number;
}
