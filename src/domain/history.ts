/**
 * The history of what one door sent or took in, as its clients page through it: the read side of deliveries
 * that travel under one profile. A place in it is an instant and a number, both immutable, so a cursor made
 * of them neither skips nor repeats what comes or goes meanwhile.
 */
import type { AttemptRecord } from "./attempt.ts";
import type { DeliveryState } from "./delivery.ts";
import type { Id } from "./id.ts";
import type { StateCounts } from "./reads.ts";
import type { Payload } from "./strategy.ts";

export interface HistoryPlace {
  readonly createdAt: number;
  readonly seq: number;
}

export interface HistoryFilter {
  readonly project: string;
  readonly profile: string;
  /** The endpoint's number; in pull mode the source's, negative. */
  readonly lane?: number;
  /** Any of them; absent: every state. */
  readonly states?: readonly DeliveryState[];
  /** since <= made < until. */
  readonly since?: number;
  readonly until?: number;
  /** Of the event that made it. */
  readonly eventType?: string;
  /** Where the page before ended. */
  readonly after?: HistoryPlace | null;
  readonly limit: number;
  readonly isOldestFirst?: boolean;
  /** Never on the thread that serves requests: one of very many pages. */
  readonly isInBackground?: boolean;
  /** Leaves out what was erased. */
  readonly isLivingOnly?: boolean;
}

export interface HistoryRow extends HistoryPlace {
  readonly id: Id;
  /** Of the event that made it, or null. */
  readonly eventId: Id | null;
  readonly eventType: string | null;
  readonly project: string;
  readonly lane: number;
  readonly profile: string;
  readonly state: DeliveryState;
  readonly attemptCount: number;
  readonly replayCount: number;
  readonly dueAt: number | null;
  readonly finishedAt: number | null;
  readonly fetchedAt: number | null;
  readonly deletedAt: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** When the latest attempt began and how long it took; null before the first. */
  readonly lastAttemptAt: number | null;
  readonly lastDurationMs: number | null;
  readonly firstAttemptAt: number | null;
  /** Of the event; null when there is none. */
  readonly sizeBytes: number | null;
  /** JSON of the dialect that made it. */
  readonly spec: string | null;
}

export interface HistoryEntry extends HistoryRow {
  /** Null when it is no longer kept. */
  readonly payload: Payload | null;
}

export interface HistoryPage {
  readonly rows: readonly HistoryRow[];
  readonly next: HistoryPlace | null;
}

interface HistoryLookup {
  readonly project: string;
  readonly profile: string;
  readonly id: Id;
}

export interface HistoryCounts {
  readonly total: number;
  /** By state; what succeeded is the rest of the total. */
  readonly unfinished: StateCounts;
}

export interface HistoryReads {
  listHistory(filter: HistoryFilter): Promise<HistoryPage>;
  /** By the delivery's id. Erased ones are found too. */
  historyEntry(lookup: HistoryLookup): Promise<HistoryEntry | null>;
  /** By the id of the event that made it. */
  historyOfEvent(lookup: HistoryLookup): Promise<HistoryEntry | null>;
  /** Of one lane. Reads as many index rows as it counts. */
  countHistory(of: { readonly profile: string; readonly lane: number }): Promise<HistoryCounts>;
  /** The newest 200, oldest first. */
  historyAttempts(seq: number): Promise<readonly AttemptRecord[]>;
}
