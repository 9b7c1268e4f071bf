/** What the services need of storage: small interfaces, declared here and fulfilled in app.ts. */
import type { CallbackConfig, CallbackConfigDefinition, CallbackReads } from "../domain/callback.ts";
import type { DeliveryPosition, NewDelivery, NewPayload, Transition } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Accepted, NewEvent } from "../domain/event.ts";
import type { FunctionHost } from "../domain/function.ts";
import type { Id } from "../domain/id.ts";
import type { Lookup, Page, PageInput } from "../domain/reads.ts";
import type {
  DueSchedule,
  NextRun,
  QueuedRelease,
  Schedule,
  ScheduleDefinition,
  ScheduleStep,
  SkipCounts,
} from "../domain/schedule-definition.ts";
import type { DeliveryFacts, Payload } from "../domain/strategy.ts";

/** A leased delivery with everything that sending it needs. */
export interface Claimed {
  readonly position: DeliveryPosition;
  readonly profile: string;
  readonly facts: DeliveryFacts;
  readonly payload: Payload;
}

/** A delivery as decisions about it need it. */
export interface Located {
  readonly position: DeliveryPosition;
  readonly profile: string;
  readonly facts: DeliveryFacts;
  /** False when its body is gone: it cannot be sent again. */
  readonly hasPayload: boolean;
}

export interface CallbackStore extends CallbackReads {
  putCallbackConfig(definition: CallbackConfigDefinition, now: number): Promise<CallbackConfig>;
  retireCallbackConfig(id: Id, now: number): Promise<CallbackConfig | null>;
  loadCallbackConfigs(): Promise<readonly CallbackConfig[]>;
}

export interface AcceptStore {
  accept(event: NewEvent): Promise<Accepted>;
  createDelivery(delivery: NewDelivery & { readonly payload: NewPayload }, now: number): Promise<number>;
}

export interface TransitionStore {
  transition(change: Transition): Promise<boolean>;
}

export interface CopyStore {
  /** Stores a delivery again under another id; null when there is none, or its body is gone. */
  copyDelivery(
    lookup: Lookup,
    newId: Id,
    now: number,
  ): Promise<{ readonly seq: number; readonly lane: number } | null>;
}

export interface LocateStore {
  deliveryPosition(id: Id): Promise<Located | null>;
}

export interface ScheduleStore {
  fireSchedule(step: ScheduleStep): Promise<readonly number[] | null>;
  releaseRuns(release: QueuedRelease): Promise<readonly number[] | null>;
  dueSchedules(now: number, limit: number): Promise<readonly DueSchedule[]>;
  nextScheduleDueAt(): Promise<number | null>;
  scheduleOfSeq(seq: number): Promise<DueSchedule | null>;
  scheduleOfDelivery(seq: number): Promise<number | null>;
  schedulesWithWaiting(): Promise<readonly number[]>;
  waitingRuns(seq: number, limit: number): Promise<readonly number[]>;
}

export interface ScheduleWrite {
  readonly id: Id;
  readonly door: string;
  readonly definition: ScheduleDefinition;
  readonly timing: (NextRun & { readonly anchorAt: number }) | null;
  readonly now: number;
}

export interface ScheduleObjectStore {
  putSchedule(write: ScheduleWrite): Promise<Schedule>;
  runSchedule(release: QueuedRelease): Promise<readonly number[] | null>;
  setSchedulePaused(
    pause: NextRun & { readonly id: Id; readonly at: number | null; readonly now: number },
  ): Promise<Schedule | null>;
  retireSchedule(id: Id, now: number): Promise<Schedule | null>;
  scheduleById(id: Id): Promise<Schedule | null>;
  scheduleNamed(project: string, name: string): Promise<Schedule | null>;
  scheduleSkips(seq: number): Promise<SkipCounts>;
  schedulesOfDoor(door: string): Promise<readonly Schedule[]>;
  listSchedules(filter: PageInput & { readonly project: string }): Promise<Page<Schedule>>;
}

export interface DeadlineStore {
  dueDeadlines(input: { readonly now: number; readonly limit: number }): Promise<readonly Located[]>;
}

export interface EndpointStateStore {
  setEndpointPaused(id: Id, pausedAt: number | null): Promise<Endpoint | null>;
  setEndpointDisabled(id: Id, disabled: { at: number; reason: string } | null): Promise<Endpoint | null>;
}

export interface ParkStore {
  /** Moves a bounded number of waiting deliveries of a lane into or out of `held`. */
  parkLane(input: {
    readonly lane: number;
    readonly to: "held" | "queued";
    readonly dueBy: number;
    readonly limit: number;
    readonly after: { readonly dueAt: number; readonly seq: number } | null;
  }): Promise<{
    readonly movedCount: number;
    readonly next: { readonly dueAt: number; readonly seq: number } | null;
  }>;
}

/** What a source in pull mode has waiting. */
export interface PullItem {
  readonly position: DeliveryPosition;
  readonly deliveryId: Id;
  readonly eventId: Id;
  readonly type: string | null;
  readonly receivedAt: number;
  readonly payload: Payload;
}

export interface PullStore {
  pull(input: {
    readonly lane: number;
    readonly state: "stored" | "fetched";
    readonly limit: number;
    /** Stop after this many body bytes; the first one always comes. */
    readonly bytesMax: number;
  }): Promise<readonly PullItem[]>;
}

/** An endpoint as it is written: no number and no run-time state. */
export type EndpointWrite = Omit<
  Endpoint,
  "lane" | "pausedAt" | "disabledAt" | "disabledReason" | "createdAt" | "updatedAt" | "deletedAt"
>;

interface SchedulePause extends NextRun {
  readonly id: Id;
  readonly at: number | null;
  readonly now: number;
}

/** One step of a change to functions; the steps of one change are applied together. */
export type FunctionChange =
  | { readonly verb: "putEndpoint"; readonly definition: EndpointWrite; readonly now: number }
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

export interface FunctionStore {
  together(changes: readonly FunctionChange[]): Promise<readonly unknown[]>;
  loadFunctionHosts(): Promise<readonly FunctionHost[]>;
  removeFunctionHost(project: string): Promise<boolean>;
  scheduleById(id: Id): Promise<Schedule | null>;
}
