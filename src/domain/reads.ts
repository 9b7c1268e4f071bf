/**
 * What the lists and details show, and what they can be asked: the read side of the store, as plain values.
 */
import type { AttemptRecord } from "./attempt.ts";
import type { Bulk, DeliveryMatch, MatchCountInput, MatchCounts } from "./bulk.ts";
import type { DeliveryState, Wait } from "./delivery.ts";
import type { Id } from "./id.ts";
import type { RejectionReason } from "./rejection.ts";
import type { RollupFilter, RollupRow } from "./rollup.ts";
import type { Payload } from "./strategy.ts";

export interface PageInput {
  /** From the page before; null or absent for the newest. */
  readonly cursor?: string | null;
  /** 1 to 500; 50 when absent. */
  readonly limit?: number;
}

export interface Page<Row> {
  readonly data: readonly Row[];
  readonly nextCursor: string | null;
}

/** Bounds on the instant at which the object came into being: since <= it < until. */
export interface TimeRange {
  readonly since?: number;
  readonly until?: number;
}

export interface EventFilter extends PageInput, TimeRange {
  readonly project: string;
  readonly sourceSeq?: number;
  readonly type?: string;
}

export interface DeliveryFilter extends PageInput, TimeRange {
  readonly project: string;
  readonly state?: DeliveryState;
  /** The endpoint's number. */
  readonly lane?: number;
  readonly sourceSeq?: number;
  readonly eventId?: Id;
  readonly scheduleSeq?: number;
}

/** What a search looks through: everything of the match that has the text, if one is given. */
export interface DeliverySearch extends PageInput {
  readonly match: DeliveryMatch;
  /** Part of the body, of an error, or of an answer, in any case (of ASCII letters). */
  readonly text?: string;
}

export interface EventSearch extends EventFilter {
  /** Part of the body, in any case (of ASCII letters). */
  readonly text: string;
}

export interface RejectionFilter extends PageInput, TimeRange {
  readonly project: string;
  readonly sourceSeq?: number;
  readonly reason?: RejectionReason;
}

export interface BulkFilter extends PageInput {
  readonly project: string;
}

/** One object of one project; an id of another project is not found. */
export interface Lookup {
  readonly project: string;
  readonly id: Id;
}

export interface EventRow {
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  readonly sourceSeq: number | null;
  /** What the caller of the API calls it; null for what came to a source. */
  readonly externalId: string | null;
  readonly type: string | null;
  readonly tenant: string | null;
  readonly receivedAt: number;
  readonly remoteAddress: string | null;
  readonly sizeBytes: number;
}

export interface EventDetail extends EventRow {
  /** Null when the disk budget took it. */
  readonly payload: Payload | null;
  /** The oldest 200. */
  readonly deliveries: readonly DeliveryRow[];
}

export interface DeliveryRow {
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  readonly eventId: Id | null;
  readonly sourceSeq: number | null;
  /** The name of the schedule whose run it is. */
  readonly schedule: string | null;
  readonly lane: number;
  readonly profile: string;
  readonly state: DeliveryState;
  readonly attemptCount: number;
  readonly createdAt: number;
  readonly scheduledAt: number;
  /** Null also for what has no time of its own. */
  readonly dueAt: number | null;
  readonly waitsFor: Wait | null;
  /** Of its line; empty in the line of a whole endpoint; null: it stands in none. */
  readonly orderingKey: string | null;
  readonly finishedAt: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
}

/** With the type of its event. */
export interface NamedDelivery extends DeliveryRow {
  readonly type: string | null;
}

export interface DeliveryDetail extends DeliveryRow {
  readonly spec: string | null;
  readonly hasPayload: boolean;
  /** The newest 200, oldest first. */
  readonly attempts: readonly AttemptRecord[];
}

export interface RejectionRow {
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  readonly sourceSeq: number;
  readonly reason: RejectionReason;
  readonly detail: string;
  /** JSON, or null. */
  readonly diagnosis: string | null;
  readonly receivedAt: number;
  readonly method: string;
  /** Path and query, without the sender's credentials. */
  readonly url: string;
  readonly remoteAddress: string | null;
  /** Null while it is refused. */
  readonly admission: { readonly at: number; readonly eventId: Id; readonly isForced: boolean } | null;
}

export interface RejectionDetail extends RejectionRow {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly isBodyCut: boolean;
}

export interface Backlog {
  /** Exact unless `isMore`. */
  readonly count: number;
  readonly isMore: boolean;
  /** Of what has waited longest: when it was due, or is due. */
  readonly oldestDueAt: number | null;
}

/** Deliveries by state; states without any are absent. */
export type StateCounts = Readonly<Partial<Record<DeliveryState, number>>>;

/**
 * Newest first. They reject with invalid_request for a bad cursor or limit, and overloaded when too many
 * wait.
 */
export interface ListReads {
  listEvents(filter: EventFilter): Promise<Page<EventRow>>;
  getEvent(lookup: Lookup): Promise<EventDetail | null>;
  listDeliveries(filter: DeliveryFilter): Promise<Page<DeliveryRow>>;
  getDelivery(lookup: Lookup): Promise<DeliveryDetail | null>;
  listRejections(filter: RejectionFilter): Promise<Page<RejectionRow>>;
  getRejection(lookup: Lookup): Promise<RejectionDetail | null>;
  /** Everything unfinished and every final state but succeeded. Reads as many rows as it counts. */
  countDeliveries(): Promise<StateCounts>;
  /**
   * Looks through one stretch of the store, newest first. Finds fewer than asked for, or none, and has a next
   * cursor nevertheless when there is more to look through.
   */
  searchDeliveries(search: DeliverySearch): Promise<Page<DeliveryRow>>;
  searchEvents(search: EventSearch): Promise<Page<EventRow>>;
  /** Those of at most 200 numbers that still exist, in any order. */
  deliveriesOfSeqs(seqs: readonly number[]): Promise<readonly NamedDelivery[]>;
  /** Counts one stretch; the caller goes on until `next` is null. */
  countMatches(input: MatchCountInput): Promise<MatchCounts>;
  listBulks(filter: BulkFilter): Promise<Page<Bulk>>;
  getBulk(lookup: Lookup): Promise<Bulk | null>;
  /** The sums of one endpoint or of a whole project, oldest first. */
  readRollups(filter: RollupFilter): Promise<readonly RollupRow[]>;
  /** What waits in a lane, counted up to a bound. */
  countBacklog(lane: number): Promise<Backlog>;
}
