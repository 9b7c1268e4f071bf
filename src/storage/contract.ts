/**
 * What the rest of the program may ask of a store. Whole verbs, all asynchronous, values in and values out:
 * no SQL and no SQLite type appears here, so that a second implementation is possible. Writing verbs resolve
 * after their transaction is on disk and reject with an AppError: overloaded, storage_unavailable or
 * shutting_down.
 */
import type { ApiKey, Project, ProjectObject } from "../domain/access.ts";
import type { Bulk, BulkState, BulkStep, BulkStepInput, CopiedDelivery, NewBulk } from "../domain/bulk.ts";
import type { CallbackConfig, CallbackConfigDefinition, CallbackReads } from "../domain/callback.ts";
import type { ChangeListener } from "../domain/change.ts";
import type { DatedReads, Removal } from "../domain/dated.ts";
import type { DeliveryPosition, NewDelivery, NewPayload, Transition } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Accepted, NewEvent } from "../domain/event.ts";
import type { FunctionReads } from "../domain/execution.ts";
import type { ExportVerbs } from "../domain/export.ts";
import type { FunctionHost } from "../domain/function.ts";
import type { HistoryReads } from "../domain/history.ts";
import type { Id } from "../domain/id.ts";
import type { ListReads, Lookup, Page, PageInput } from "../domain/reads.ts";
import type { NewRejection } from "../domain/rejection.ts";
import type { RollupDelta } from "../domain/rollup.ts";
import type {
  DueSchedule,
  QueuedRelease,
  Schedule,
  ScheduleStep,
  SkipCounts,
} from "../domain/schedule-definition.ts";
import type { EraseResult, NewSend, SendResult } from "../domain/sending.ts";
import type { Source } from "../domain/source.ts";
import type { DeliveryFacts } from "../domain/strategy.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { ChargedDelivery, ChargeResult } from "./allowances.ts";
import type { ClaimInput, ClaimResult } from "./claims.ts";
import type { FailingSince } from "./failing.ts";
import type { ResealCursor, ResealStep } from "./key-rotation.ts";
import type { PullInput, PullItem } from "./pull.ts";
import type { PurgeInput, PurgeResult } from "./purge.ts";
import type { ReleaseInput, ReleaseResult } from "./releases.ts";
import type { SchedulePause, ScheduleWrite } from "./schedules.ts";
import type { WriterHealth } from "./writer.ts";

/** The part of a Clock that the store needs; runtime/clock.ts fits. */
export interface StoreClock {
  readonly kind: "system" | "virtual";
  wallNow(): number;
  setWallTimer(delayMs: number, fire: () => void): { cancel(): void };
}

export interface StoreOptions {
  /** A file, or ":memory:" (tests): no lock then, one connection, and no read thread. */
  readonly path: string;
  readonly durability: "fsync" | "relaxed";
  /** 32 bytes. */
  readonly masterKey: Uint8Array;
  /** The one before it: what is sealed under it is sealed anew. */
  readonly previousKey?: Uint8Array | undefined;
  /** One that a rotation was changing to when the last process ended. */
  readonly stagedKey?: Uint8Array | undefined;
  readonly clock: StoreClock;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Of the program; kept with the process row. */
  readonly version: string;
  /** Runs `fire` when the current turn of the event loop is over; setImmediate by default. */
  readonly defer?: (fire: () => void) => void;
  readonly onHealth?: (health: WriterHealth) => void;
}

/** A definition without its number and without what happened to it since. */
export type EndpointDefinition = Omit<
  Endpoint,
  "lane" | keyof RunTimeState | "disabledAt" | "disabledReason"
>;
export type SourceDefinition = Omit<Source, "seq" | keyof RunTimeState>;
type RunTimeState = Pick<Endpoint, "pausedAt" | "createdAt" | "updatedAt" | "deletedAt">;
export type SubscriptionDefinition = Omit<Subscription, "seq" | Exclude<keyof RunTimeState, "pausedAt">>;
export type ProjectDefinition = Pick<Project, "name" | "door">;
export type ApiKeyDefinition = Omit<ApiKey, "createdAt" | "deletedAt">;

/** Changes to what is defined that may be made together. */
export type DefinitionChange =
  | { readonly verb: "putEndpoint"; readonly definition: EndpointDefinition; readonly now: number }
  | { readonly verb: "retireEndpoint"; readonly id: Id; readonly now: number }
  | {
      readonly verb: "setEndpointDisabled";
      readonly id: Id;
      readonly disabled: { readonly at: number; readonly reason: string } | null;
    }
  | { readonly verb: "putSchedule"; readonly write: ScheduleWrite }
  | { readonly verb: "retireSchedule"; readonly id: Id; readonly now: number }
  | { readonly verb: "setSchedulePaused"; readonly pause: SchedulePause }
  | { readonly verb: "putFunctionHost"; readonly host: FunctionHost };

/** Everything declared or made, the retired included (deletedAt, retiredAt), secrets readable. */
export interface Definitions {
  readonly projects: readonly Project[];
  readonly apiKeys: readonly ApiKey[];
  readonly endpoints: readonly Endpoint[];
  readonly sources: readonly Source[];
  readonly subscriptions: readonly Subscription[];
}

/** A delivery as decisions about it need it. */
export interface Located {
  readonly position: DeliveryPosition;
  readonly profile: string;
  readonly facts: DeliveryFacts;
  /** False when the disk budget took the body: it cannot be sent again. */
  readonly hasPayload: boolean;
}

export interface LaneHead {
  readonly lane: number;
  readonly nextDueAt: number;
}

interface ParkCursor {
  readonly dueAt: number;
  readonly seq: number;
}

export interface ParkInput {
  readonly lane: number;
  /** `held`: queued and retrying ones become held; `queued`: held ones become what they were. */
  readonly to: "held" | "queued";
  /** Only those due at or before this instant; Number.MAX_SAFE_INTEGER for all. */
  readonly dueBy: number;
  /** Rows looked at in this step. */
  readonly limit: number;
  /** Where the previous step ended; null at first. */
  readonly after: ParkCursor | null;
}

export interface ParkResult {
  readonly movedCount: number;
  /** Null when the lane was walked to its end. */
  readonly next: ParkCursor | null;
}

/** Cheap numbers for metrics and readiness; nothing here reads a table. */
interface StoreCounts {
  readonly commits: number;
  readonly items: number;
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly usedBytes: number;
}

/** Schedules are read where they are, never all at once: there may be very many. */
export interface ScheduleVerbs {
  /** Inserts, or updates the schedule of the same id. Rejects with `conflict` when the name is taken. */
  putSchedule(write: ScheduleWrite): Promise<Schedule>;
  /**
   * Stores the runs of one look at a schedule and moves it on, in one transaction. Returns the numbers of the
   * deliveries; null when the schedule has changed since it was looked at, and nothing was written.
   */
  fireSchedule(step: ScheduleStep): Promise<readonly number[] | null>;
  /** Stores runs that waited. Rejects with `conflict` when one of them waits no longer. */
  releaseRuns(release: QueuedRelease): Promise<readonly number[] | null>;
  /** Stores a run that nobody planned; null when the schedule is no longer there. */
  runSchedule(release: QueuedRelease): Promise<readonly number[] | null>;
  /** Pausing gives up what waits. Null when there is no such schedule. */
  setSchedulePaused(pause: SchedulePause): Promise<Schedule | null>;
  retireSchedule(id: Id, now: number): Promise<Schedule | null>;
  /** The longest due first. */
  dueSchedules(now: number, limit: number): Promise<readonly DueSchedule[]>;
  nextScheduleDueAt(): Promise<number | null>;
  scheduleOfSeq(seq: number): Promise<DueSchedule | null>;
  /** The number of the schedule that a delivery is a run of; null when it is of none, or gone. */
  scheduleOfDelivery(seq: number): Promise<number | null>;
  /** Retired ones are found by id, too. */
  scheduleById(id: Id): Promise<Schedule | null>;
  scheduleNamed(project: string, name: string): Promise<Schedule | null>;
  /** The retired ones included. */
  schedulesOfDoor(door: string): Promise<readonly Schedule[]>;
  /** Newest first. */
  listSchedules(filter: PageInput & { readonly project: string }): Promise<Page<Schedule>>;
  scheduleSkips(seq: number): Promise<SkipCounts>;
  /** The schedules of which runs wait for a place, by number. */
  schedulesWithWaiting(): Promise<readonly number[]>;
  /** Occurrences of a schedule that wait, oldest first. */
  waitingRuns(seq: number, limit: number): Promise<readonly number[]>;
}

/** Who is told of which events, and what came of it. */
export interface CallbackVerbs extends CallbackReads {
  /** Inserts, or updates the config of the same id. */
  putCallbackConfig(definition: CallbackConfigDefinition, now: number): Promise<CallbackConfig>;
  retireCallbackConfig(id: Id, now: number): Promise<CallbackConfig | null>;
  /** The living ones, in the order in which they were made. */
  loadCallbackConfigs(): Promise<readonly CallbackConfig[]>;
}

/** Changing the master key while the store is in use; key-rotation.ts has the steps. */
export interface KeyRotationVerbs {
  /** True from beginKeyRotation() to finishKeyRotation(), restarts in between included. */
  readonly isKeyRotating: boolean;
  /** Whether that is the key that new values are sealed under. */
  hasMasterKey(key: Uint8Array): boolean;
  /** From now on new values are sealed under this key; those before open as well. */
  beginKeyRotation(key: Uint8Array): Promise<void>;
  reseal(cursor: ResealCursor, limit: number): Promise<ResealStep>;
  /** Forgets the old key. Call it only after a whole walk that had nothing to seal anew. */
  finishKeyRotation(): Promise<void>;
}

export interface Store
  extends FunctionReads,
    ListReads,
    HistoryReads,
    ExportVerbs,
    DatedReads,
    ScheduleVerbs,
    CallbackVerbs,
    KeyRotationVerbs {
  /** The number of this process: the lease that its deliveries carry. */
  readonly lease: number;
  /** The newest id in the file: the floor for an id factory. */
  readonly newestId: Id | null;
  /** What tokens (callbacks, tickets, downloads) are signed with; the same for the life of the file. */
  readonly tokenKey: Uint8Array;
  readonly durability: "fsync" | "relaxed";
  readonly health: WriterHealth;
  counts(): StoreCounts;
  /** Pages in use plus the write-ahead log: what max_disk is compared with. */
  usedBytes(): number;

  /** Stores an event with its dedupe key and deliveries, or answers with the first event of the same key. */
  accept(event: NewEvent): Promise<Accepted>;
  /** Stores a delivery that no event made; returns its seq. */
  createDelivery(delivery: NewDelivery & { readonly payload: NewPayload }, now: number): Promise<number>;
  /** Stores a delivery that a client asked for, or answers with the one that its key names. */
  send(send: NewSend): Promise<SendResult>;
  /** Takes a delivery's body away and ends it; its row stays in the history. */
  erase(input: { readonly id: Id; readonly project: string; readonly now: number }): Promise<EraseResult>;
  /** As above, unless the allowance that it is charged to is used up. */
  createCharged(charged: ChargedDelivery): Promise<ChargeResult>;
  /**
   * Takes a delivery out of every view; false when there is none such. What is in flight is not sent again.
   */
  removeDelivery(removal: Removal): Promise<boolean>;
  /** Leases due deliveries of one lane, oldest first. */
  claim(input: ClaimInput): Promise<ClaimResult>;
  /**
   * Applies a change if the delivery is still as it was; false: somebody else was faster, or a replay has no
   * body left to send, and nothing was written. Changes to leased deliveries and changes with an attempt are
   * never refused: they wait until the file can be written again.
   */
  transition(change: Transition): Promise<boolean>;
  reject(rejection: NewRejection): Promise<void>;
  parkLane(input: ParkInput): Promise<ParkResult>;
  /** Makes due what was held for sources that are not paused, or no longer there. */
  releaseHeld(input: ReleaseInput): Promise<ReleaseResult>;
  heartbeat(now: number): Promise<void>;
  purge(input: PurgeInput): Promise<PurgeResult>;
  createBulk(bulk: NewBulk, now: number): Promise<Bulk>;
  /**
   * Changes the next deliveries of a bulk operation and moves it on, in one transaction. Null when it does
   * not run, or does not stand where the caller believes.
   */
  stepBulk(input: BulkStepInput): Promise<BulkStep | null>;
  /** Null: there is none of that id, or it is over. */
  setBulkState(lookup: Lookup, state: BulkState, now: number): Promise<Bulk | null>;
  /** Those that are not over. */
  openBulks(): Promise<readonly Bulk[]>;
  /** Stores a delivery again under another id; null when there is none, or its body is gone. */
  copyDelivery(lookup: Lookup, newId: Id, now: number): Promise<CopiedDelivery | null>;
  /** Adds counts to the sums of their minutes and hours. */
  addRollups(deltas: readonly RollupDelta[]): Promise<void>;
  /** Tells of every commit from now on, right after it, in order. For the life of the store. */
  onChanges(listener: ChangeListener): void;

  /**
   * Inserts, or updates the definition of the same id and keeps its run-time state; a retired one comes back.
   */
  putEndpoint(definition: EndpointDefinition, now: number): Promise<Endpoint>;
  putSource(definition: SourceDefinition, now: number): Promise<Source>;
  putSubscription(definition: SubscriptionDefinition, now: number): Promise<Subscription>;
  putProject(definition: ProjectDefinition, now: number): Promise<Project>;
  /** As above; the identity of a key is its hash. */
  putApiKey(definition: ApiKeyDefinition, now: number): Promise<ApiKey>;
  /** These answer with the object as it now is; null when there is none with that id. */
  setEndpointPaused(id: Id, pausedAt: number | null): Promise<Endpoint | null>;
  setEndpointDisabled(id: Id, disabled: { at: number; reason: string } | null): Promise<Endpoint | null>;
  /** Since when an endpoint has done nothing but fail; null: it no longer does. */
  setFailingSince(lane: number, since: number | null): Promise<void>;
  failingSince(): Promise<readonly FailingSince[]>;
  setSourcePaused(id: Id, pausedAt: number | null): Promise<Source | null>;
  retireEndpoint(id: Id, now: number): Promise<Endpoint | null>;
  retireSource(id: Id, now: number): Promise<Source | null>;
  retireSubscription(id: Id, now: number): Promise<Subscription | null>;
  retireProject(name: string, now: number): Promise<Project | null>;
  retireApiKey(id: Id, now: number): Promise<ApiKey | null>;
  loadDefinitions(): Promise<Definitions>;
  /** Schedules and callback configs in service, the first few. */
  projectObjects(project: string): Promise<readonly ProjectObject[]>;
  putFunctionHost(host: FunctionHost): Promise<FunctionHost>;
  noteKeyUse(id: Id, usedAt: number): Promise<void>;
  loadKeyUses(): Promise<readonly { readonly id: Id; readonly usedAt: number }[]>;
  removeFunctionHost(project: string): Promise<boolean>;
  loadFunctionHosts(): Promise<readonly FunctionHost[]>;
  /** All of these changes or none; the results in their order. Rejects like the change that failed. */
  together(changes: readonly DefinitionChange[]): Promise<readonly unknown[]>;

  /** Awaiting deliveries whose acknowledgement is overdue, the longest overdue first. */
  dueDeadlines(input: { readonly now: number; readonly limit: number }): Promise<readonly Located[]>;
  deliveryPosition(id: Id): Promise<Located | null>;
  /**
   * Every lane with something that has no lease, and when it is next due. Lane 0 is the lane of deadlines.
   */
  laneHeads(): Promise<readonly LaneHead[]>;
  /** What a source in pull mode has waiting, oldest first. */
  pull(input: PullInput): Promise<readonly PullItem[]>;

  /** Writes what was submitted, then lets go of the file. A second call waits for the first. */
  close(): Promise<void>;
}
