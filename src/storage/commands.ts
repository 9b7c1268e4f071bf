/**
 * Everything that can be written, as values, and the table that applies them inside the writer's transaction.
 */
import type { Database } from "bun:sqlite";
import type { BulkState, BulkStepInput, NewBulk } from "../domain/bulk.ts";
import type { CallbackConfigDefinition } from "../domain/callback.ts";
import type { Removal } from "../domain/dated.ts";
import type { NewDelivery, Transition } from "../domain/delivery.ts";
import type { NewEvent } from "../domain/event.ts";
import type { ExportRecord } from "../domain/export.ts";
import type { FunctionHost } from "../domain/function.ts";
import type { Id } from "../domain/id.ts";
import type { Lookup } from "../domain/reads.ts";
import type { NewRejection } from "../domain/rejection.ts";
import type { QueuedRelease, ScheduleStep } from "../domain/schedule-definition.ts";
import type { NewSend } from "../domain/sending.ts";
import { type ChargedDelivery, createAllowances } from "./allowances.ts";
import { BulkWrites } from "./bulks.ts";
import { createCallbackWrites } from "./callbacks.ts";
import { type ClaimInput, createClaim } from "./claims.ts";
import type {
  ApiKeyDefinition,
  DefinitionChange,
  EndpointDefinition,
  ParkInput,
  ProjectDefinition,
  SourceDefinition,
  SubscriptionDefinition,
} from "./contract.ts";
import { createDeliveryInserter, type DeliveryInserter } from "./deliveries.ts";
import { createEndpointWrites } from "./endpoints.ts";
import { createEventWrites } from "./events.ts";
import { createExportWrites } from "./exports.ts";
import { createFailingWrites } from "./failing.ts";
import { createFunctionHostWrites } from "./function-hosts.ts";
import { Journal } from "./journal.ts";
import { createKeyRotation, type MasterSealing, type ResealCursor } from "./key-rotation.ts";
import { createKeyUseWrites } from "./key-uses.ts";
import { createKeyWrites } from "./keys.ts";
import { createLines, type Lines } from "./lines.ts";
import { createParking } from "./parking.ts";
import { createProcessWrites } from "./processes.ts";
import { createPurge, type PurgeInput } from "./purge.ts";
import { createRejectionWrites } from "./rejections.ts";
import { createReleases, type ReleaseInput } from "./releases.ts";
import { createRemovals } from "./removals.ts";
import { createRollupWrites, type RollupDelta } from "./rollups.ts";
import { createRunWrites } from "./schedule-runs.ts";
import { createScheduleWrites, type SchedulePause, type ScheduleWrite } from "./schedules.ts";
import { createSendWrites } from "./sends.ts";
import { createSourceWrites } from "./sources.ts";
import { createSubscriptionWrites } from "./subscriptions.ts";
import { createTransition } from "./transitions.ts";

export type Command =
  | { readonly verb: "accept"; readonly event: NewEvent }
  | { readonly verb: "createDelivery"; readonly delivery: NewDelivery; readonly now: number }
  | { readonly verb: "send"; readonly send: NewSend }
  | { readonly verb: "putExport"; readonly record: ExportRecord }
  | { readonly verb: "addExportPart"; readonly id: Id; readonly number: number; readonly text: string }
  | { readonly verb: "removeExport"; readonly id: Id }
  | { readonly verb: "erase"; readonly id: Id; readonly project: string; readonly now: number }
  | { readonly verb: "createCharged"; readonly charged: ChargedDelivery }
  | { readonly verb: "removeDelivery"; readonly removal: Removal }
  | { readonly verb: "claim"; readonly input: ClaimInput }
  | { readonly verb: "transition"; readonly change: Transition }
  | { readonly verb: "reject"; readonly rejection: NewRejection }
  | { readonly verb: "parkLane"; readonly input: ParkInput }
  | { readonly verb: "releaseHeld"; readonly input: ReleaseInput }
  | { readonly verb: "heartbeat"; readonly now: number }
  | { readonly verb: "purge"; readonly input: PurgeInput }
  | { readonly verb: "createBulk"; readonly bulk: NewBulk; readonly now: number }
  | { readonly verb: "stepBulk"; readonly input: BulkStepInput }
  | {
      readonly verb: "setBulkState";
      readonly lookup: Lookup;
      readonly state: BulkState;
      readonly now: number;
    }
  | {
      readonly verb: "copyDelivery";
      readonly lookup: Lookup;
      readonly newId: Id;
      readonly now: number;
    }
  | { readonly verb: "addRollups"; readonly deltas: readonly RollupDelta[] }
  | { readonly verb: "putEndpoint"; readonly definition: EndpointDefinition; readonly now: number }
  | { readonly verb: "putSource"; readonly definition: SourceDefinition; readonly now: number }
  | { readonly verb: "putSubscription"; readonly definition: SubscriptionDefinition; readonly now: number }
  | { readonly verb: "putProject"; readonly definition: ProjectDefinition; readonly now: number }
  | { readonly verb: "putApiKey"; readonly definition: ApiKeyDefinition; readonly now: number }
  | {
      readonly verb: "putCallbackConfig";
      readonly definition: CallbackConfigDefinition;
      readonly now: number;
    }
  | { readonly verb: "retireCallbackConfig"; readonly id: Id; readonly now: number }
  | { readonly verb: "putSchedule"; readonly write: ScheduleWrite }
  | { readonly verb: "fireSchedule"; readonly step: ScheduleStep }
  | { readonly verb: "releaseRuns"; readonly release: QueuedRelease }
  | { readonly verb: "runSchedule"; readonly release: QueuedRelease }
  | { readonly verb: "setSchedulePaused"; readonly pause: SchedulePause }
  | { readonly verb: "retireSchedule"; readonly id: Id; readonly now: number }
  | { readonly verb: "setEndpointPaused"; readonly id: Id; readonly pausedAt: number | null }
  | { readonly verb: "setEndpointDisabled"; readonly id: Id; readonly disabled: Disabled | null }
  | { readonly verb: "setFailingSince"; readonly lane: number; readonly since: number | null }
  | { readonly verb: "setSourcePaused"; readonly id: Id; readonly pausedAt: number | null }
  | { readonly verb: "retireEndpoint"; readonly id: Id; readonly now: number }
  | { readonly verb: "retireSource"; readonly id: Id; readonly now: number }
  | { readonly verb: "retireSubscription"; readonly id: Id; readonly now: number }
  | { readonly verb: "retireProject"; readonly name: string; readonly now: number }
  | { readonly verb: "retireApiKey"; readonly id: Id; readonly now: number }
  | { readonly verb: "putFunctionHost"; readonly host: FunctionHost }
  | { readonly verb: "noteKeyUse"; readonly id: Id; readonly usedAt: number }
  | { readonly verb: "removeFunctionHost"; readonly project: string }
  | { readonly verb: "together"; readonly changes: readonly DefinitionChange[] }
  | RotationCommand;

export type RotationCommand =
  | { readonly verb: "noteKeyRotation"; readonly check: Uint8Array }
  | { readonly verb: "reseal"; readonly cursor: ResealCursor; readonly limit: number }
  | { readonly verb: "settleKeyRotation"; readonly check: Uint8Array };

interface Disabled {
  readonly at: number;
  readonly reason: string;
}

type CommandTable = {
  readonly [Verb in Command["verb"]]: (command: Extract<Command, { verb: Verb }>) => unknown;
};

export interface CommandContext {
  readonly db: Database;
  readonly sealing: MasterSealing;
  readonly lease: number;
  /** The largest seq in use. */
  readonly lastSeq: number;
  /** Where changes are noted; nobody is told of them when absent. */
  readonly journal?: Journal;
}

/** Prepares every statement once and returns what the writer applies its commands with. */
export function createApply(context: CommandContext): (command: Command) => unknown {
  const { db, sealing, lease, journal = new Journal() } = context;
  // Numbers of a transaction that was rolled back are never used again, so a gap means nothing.
  let seq = context.lastSeq;
  const nextSeq = () => ++seq;
  const lines = createLines(db);
  const insertDelivery = createDeliveryInserter(db, { nextSeq, lease, lines, journal });
  const table: CommandTable = {
    ...deliveryVerbs({ db, lease, nextSeq, lines, insertDelivery, journal }),
    ...objectVerbs(db, sealing),
    ...scheduleVerbs(db, insertDelivery),
    ...callbackVerbs(db, sealing),
    ...createKeyRotation(db, sealing),
    ...functionVerbs(db, sealing),
    // When one of them throws, the writer takes back all of them.
    together: ({ changes }) => changes.map(apply),
  };
  function apply(command: Command): unknown {
    // The verb picks the entry for its own command; the types cannot follow that.
    const applyOne = table[command.verb] as (command: Command) => unknown;
    return applyOne(command);
  }
  return apply;
}

interface DeliveryParts {
  readonly db: Database;
  readonly lease: number;
  readonly nextSeq: () => number;
  readonly lines: Lines;
  readonly insertDelivery: DeliveryInserter;
  readonly journal: Journal;
}

function deliveryVerbs({ db, lease, nextSeq, lines, insertDelivery, journal }: DeliveryParts) {
  const events = createEventWrites(db, insertDelivery, nextSeq, journal);
  const claim = createClaim(db, lease);
  const move = createTransition(db, { insertDelivery, lines });
  const transition = (change: Transition) => {
    const applied = move(change);
    if (applied) journal.note({ kind: "moved", change: applied });
    return applied !== null;
  };
  const rejections = createRejectionWrites(db);
  const parking = createParking(db);
  const releases = createReleases(db);
  const processes = createProcessWrites(db, lease);
  const purge = createPurge(db, lease);
  const rollups = createRollupWrites(db);
  const createCharged = createAllowances(db, insertDelivery);
  const removeDelivery = createRemovals(db);
  const bulks = new BulkWrites(db, { transition, insertDelivery });
  return {
    accept: ({ event }) =>
      event.admission === undefined
        ? events.accept(event)
        : rejections.admit(event.admission, () => events.accept(event)),
    createDelivery: ({ delivery, now }) =>
      insertDelivery(delivery, { eventSeq: null, payloadSeq: null, createdAt: now }),
    ...createSendWrites(db, insertDelivery, journal),
    ...createExportWrites(db),
    createCharged: ({ charged }) => createCharged(charged),
    removeDelivery: ({ removal }) => removeDelivery(removal),
    claim: ({ input }) => claim(input),
    transition: ({ change }) => transition(change),
    reject: ({ rejection }) => rejections.reject(rejection),
    parkLane: ({ input }) => parking.parkLane(input),
    releaseHeld: ({ input }) => releases.releaseHeld(input),
    heartbeat: ({ now }) => processes.heartbeat(now),
    purge: ({ input }) => purge(input),
    addRollups: ({ deltas }) => rollups.addRollups(deltas),
    createBulk: ({ bulk, now }) => bulks.create(bulk, now),
    stepBulk: ({ input }) => bulks.step(input),
    setBulkState: ({ lookup, state, now }) => bulks.setState(lookup, state, now),
    copyDelivery: ({ lookup, newId, now }) => bulks.copyOf(lookup, newId, now),
  } satisfies Partial<CommandTable>;
}

function objectVerbs(db: Database, sealing: MasterSealing) {
  const endpoints = createEndpointWrites(db, sealing);
  const failing = createFailingWrites(db);
  const sources = createSourceWrites(db, sealing);
  const subscriptions = createSubscriptionWrites(db);
  const keys = createKeyWrites(db);
  return {
    putEndpoint: ({ definition, now }) => endpoints.putEndpoint(definition, now),
    putSource: ({ definition, now }) => sources.putSource(definition, now),
    putSubscription: ({ definition, now }) => subscriptions.putSubscription(definition, now),
    putProject: ({ definition, now }) => keys.putProject(definition, now),
    putApiKey: ({ definition, now }) => keys.putApiKey(definition, now),
    setEndpointPaused: ({ id, pausedAt }) => endpoints.setEndpointPaused(id, pausedAt),
    setEndpointDisabled: ({ id, disabled }) => endpoints.setEndpointDisabled(id, disabled),
    setFailingSince: ({ lane, since }) => failing.setFailingSince(lane, since),
    setSourcePaused: ({ id, pausedAt }) => sources.setSourcePaused(id, pausedAt),
    retireEndpoint: ({ id, now }) => endpoints.retireEndpoint(id, now),
    retireSource: ({ id, now }) => sources.retireSource(id, now),
    retireSubscription: ({ id, now }) => subscriptions.retireSubscription(id, now),
    retireProject: ({ name, now }) => keys.retireProject(name, now),
    retireApiKey: ({ id, now }) => keys.retireApiKey(id, now),
  } satisfies Partial<CommandTable>;
}

function functionVerbs(db: Database, sealing: MasterSealing) {
  const hosts = createFunctionHostWrites(db, sealing);
  const uses = createKeyUseWrites(db);
  return {
    putFunctionHost: ({ host }) => hosts.putFunctionHost(host),
    noteKeyUse: ({ id, usedAt }) => uses.noteKeyUse(id, usedAt),
    removeFunctionHost: ({ project }) => hosts.removeFunctionHost(project),
  } satisfies Partial<CommandTable>;
}

function scheduleVerbs(db: Database, insertDelivery: DeliveryInserter) {
  const schedules = createScheduleWrites(db);
  const runs = createRunWrites(db, insertDelivery);
  return {
    putSchedule: ({ write }) => schedules.putSchedule(write),
    fireSchedule: ({ step }) => runs.fireSchedule(step),
    releaseRuns: ({ release }) => runs.releaseRuns(release),
    runSchedule: ({ release }) => runs.runSchedule(release),
    setSchedulePaused: ({ pause }) => schedules.setSchedulePaused(pause),
    retireSchedule: ({ id, now }) => schedules.retireSchedule(id, now),
  } satisfies Partial<CommandTable>;
}

function callbackVerbs(db: Database, sealing: MasterSealing) {
  const callbacks = createCallbackWrites(db, sealing);
  return {
    putCallbackConfig: ({ definition, now }) => callbacks.putCallbackConfig(definition, now),
    retireCallbackConfig: ({ id, now }) => callbacks.retireCallbackConfig(id, now),
  } satisfies Partial<CommandTable>;
}
