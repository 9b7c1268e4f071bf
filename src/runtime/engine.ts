/**
 * The engine: every service of runtime/, wired to each other and to one store. What it is given decides
 * everything else: a store, a sender, a clock, profiles. app.ts gives it the real ones, tests give it what
 * they want to control.
 */
import type { GoneObject } from "../domain/access.ts";
import type { ChangeListener } from "../domain/change.ts";
import type { NewDelivery, NewPayload } from "../domain/delivery.ts";
import { DEADLINE_LANE } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { createIdFactory, type Id } from "../domain/id.ts";
import type { DeliveryDetail, Lookup, RejectionDetail } from "../domain/reads.ts";
import type { NewRejection } from "../domain/rejection.ts";
import type { Source } from "../domain/source.ts";
import type { Profile } from "../domain/strategy.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { type Admit, createAdmit } from "./admit.ts";
import type { Settling } from "./advance.ts";
import { Breakers } from "./breakers.ts";
import { type BulkStore, Bulks } from "./bulks.ts";
import { afterTurn, type Clock } from "./clock.ts";
import { Commands } from "./commands.ts";
import { Dated, type DatedStore } from "./dated.ts";
import { Deadlines } from "./deadlines.ts";
import { Directory } from "./directory.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Egress } from "./egress.ts";
import { type EndpointDraft, EndpointWrites } from "./endpoints.ts";
import { FailingEndpoints, type FailingOptions } from "./failing.ts";
import { Feed } from "./feed.ts";
import { Functions } from "./functions.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Ingest } from "./ingest.ts";
import { Intake } from "./intake.ts";
import type { ClaimStore } from "./lane.ts";
import { Lanes } from "./lanes.ts";
import { Listeners } from "./listeners.ts";
import type { Log } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { Notices } from "./notices.ts";
import { type ObjectStore, Objects } from "./objects.ts";
import { createOutgoing } from "./outgoing.ts";
import { Parking } from "./parking.ts";
import type {
  AcceptStore,
  Claimed,
  CopyStore,
  DeadlineStore,
  EndpointStateStore,
  FunctionStore,
  LocateStore,
  ParkStore,
  PullStore,
  ScheduleObjectStore,
  ScheduleStore,
  TransitionStore,
} from "./ports.ts";
import type { Probe } from "./probe.ts";
import { Publisher } from "./publisher.ts";
import type { Random } from "./random.ts";
import { type Declarations, type ReconcileResult, type ReconcileStore, reconcile } from "./reconcile.ts";
import { Refusals } from "./refusals.ts";
import { type ReleaseStore, Releases } from "./releases.ts";
import { ResultEndpoints } from "./result-endpoints.ts";
import { createResultNotes } from "./result-notes.ts";
import { type PurgeStore, Retention, type RetentionOptions } from "./retention.ts";
import { type RollupStore, Rollups } from "./rollups.ts";
import { Scheduler } from "./scheduler.ts";
import { Schedules } from "./schedules.ts";
import type { Sender } from "./sender.ts";
import { Sends, type SendsOptions } from "./sends.ts";
import { Settler } from "./settler.ts";
import { Slots } from "./slots.ts";
import { SourceWrites } from "./sources.ts";
import { createTargetCheck } from "./target-check.ts";
import { Timers } from "./timers.ts";

type FailingStore = FailingOptions["store"];

export interface EngineStore
  extends AcceptStore,
    ClaimStore<Claimed>,
    DatedStore,
    DeadlineStore,
    FailingStore,
    EndpointStateStore,
    FunctionStore,
    LocateStore,
    ObjectStore,
    ParkStore,
    PurgeStore,
    PullStore,
    ReconcileStore,
    ReleaseStore,
    RollupStore,
    BulkStore,
    CopyStore,
    ScheduleObjectStore,
    ScheduleStore,
    TransitionStore {
  readonly send: SendsOptions["store"]["send"];
  readonly erase: SendsOptions["store"]["erase"];
  readonly lease: number;
  readonly newestId: Id | null;
  /** What tokens are signed with. */
  readonly tokenKey: Uint8Array;
  getDelivery(lookup: Lookup): Promise<DeliveryDetail | null>;
  readonly health: { readonly isHealthy: boolean };
  reject(rejection: NewRejection): Promise<void>;
  getRejection(lookup: Lookup): Promise<RejectionDetail | null>;
  heartbeat(now: number): Promise<void>;
  onChanges(listener: ChangeListener): void;
  counts(): { readonly waiting: number };
  setSourcePaused(id: Id, pausedAt: number | null): Promise<Source | null>;
  laneHeads(): Promise<readonly { readonly lane: number; readonly nextDueAt: number }[]>;
  createDelivery(delivery: NewDelivery & { readonly payload: NewPayload }, now: number): Promise<number>;
}

export interface EngineOptions {
  readonly store: EngineStore;
  readonly sender: Sender;
  /** Judges targets that an API makes, before they are stored. */
  readonly egress: Pick<Egress, "resolve">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly probe: Probe;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly inFlightMax: number;
  /** Without a trailing slash; where receivers reach us. */
  readonly publicUrl: string;
  readonly keepMs: RetentionOptions["keepMs"];
  readonly diskBytesMax: number;
  readonly sweepEveryMs?: number;
  /** For what must not delay an answer; the turn of the event loop by default. */
  readonly defer?: (fire: () => void) => void;
}

export class Engine {
  readonly directory = new Directory();
  readonly metrics = new Metrics();
  readonly slots: Slots;
  readonly breakers: Breakers;
  readonly lanes: Lanes<Claimed>;
  readonly dispatcher: Dispatcher;
  readonly listeners = new Listeners();
  readonly parking: Parking;
  readonly deadlines: Deadlines;
  readonly releases: Releases;
  readonly rollups: Rollups;
  readonly bulks: Bulks;
  readonly feed: Feed;
  readonly intake: Intake;
  readonly ingest: Ingest;
  readonly admit: Admit;
  readonly commands: Commands;
  readonly endpoints: EndpointWrites;
  readonly acknowledgements: Acknowledgements;
  readonly results: ResultEndpoints;
  readonly objects: Objects;
  readonly publisher: Publisher;
  readonly notices: Notices;
  readonly scheduler: Scheduler;
  readonly schedules: Schedules;
  readonly timers: Timers;
  readonly sends: Sends;
  readonly sources: SourceWrites;
  readonly dated: Dated;
  readonly functions: Functions;
  readonly retention: Retention;
  readonly nextId: () => Id;
  readonly #failing: FailingEndpoints;
  readonly #heartbeat: Heartbeat;
  /** Every service that makes something happen when its time has come. */
  readonly #settling: readonly Settling[];
  readonly #options: EngineOptions;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { store, clock, random } = options;
    this.nextId = createIdFactory(
      { now: () => clock.wallNow(), randomBytes: (length) => random.bytes(length) },
      store.newestId,
    );
    this.slots = new Slots(options.inFlightMax);
    this.breakers = this.#createBreakers();
    this.lanes = this.#createLanes();
    const wiring = this.#wiring();
    this.parking = new Parking(wiring);
    const { parking } = this;
    this.releases = new Releases({ ...wiring, parking });
    this.rollups = new Rollups(wiring);
    this.bulks = new Bulks(wiring);
    this.feed = new Feed(wiring);
    this.#observe();
    this.intake = new Intake(wiring);
    this.notices = new Notices({ ...wiring, intake: this.intake });
    const failing = new FailingEndpoints(wiring);
    this.#failing = failing;
    const settler = new Settler({ ...wiring, parking, notices: this.notices, failing });
    this.dispatcher = new Dispatcher({
      ...wiring,
      settler,
      ackUrls: (id, attempt, expiresAt) => this.acknowledgements.urls(id, attempt, expiresAt),
    });
    this.deadlines = new Deadlines({ ...wiring, settler });
    this.publisher = new Publisher({ ...wiring, intake: this.intake });
    this.ingest = new Ingest({ ...wiring, intake: this.intake, refusals: new Refusals(wiring) });
    this.admit = createAdmit({ ...wiring, ingest: this.ingest });
    this.commands = new Commands({
      ...wiring,
      parking,
      deadlines: this.deadlines,
      reportEarly: (id, report) => this.dispatcher.report(id, report),
    });
    this.acknowledgements = new Acknowledgements({
      ...wiring,
      acknowledge: (id, report) => this.commands.acknowledge(id, report),
    });
    this.endpoints = new EndpointWrites(wiring);
    const put = (draft: EndpointDraft) => this.endpoints.put(draft);
    this.results = new ResultEndpoints({ ...wiring, put });
    this.objects = new Objects({ ...wiring, results: this.results });
    const prepare = createOutgoing(wiring);
    this.scheduler = new Scheduler({ ...wiring, prepare });
    this.schedules = new Schedules({ ...wiring, prepare });
    this.timers = new Timers({ ...wiring, prepare });
    this.sources = new SourceWrites(wiring);
    this.sends = new Sends({ ...wiring, prepare });
    this.dated = new Dated({ ...wiring, prepare });
    this.functions = new Functions({ ...wiring, timers: this.timers });
    this.retention = new Retention(wiring);
    this.#heartbeat = new Heartbeat(wiring);
    const { lanes, dispatcher, deadlines, releases, retention } = this;
    const { bulks, scheduler } = this;
    this.#settling = [lanes, dispatcher, deadlines, parking, releases, retention, scheduler, bulks];
  }

  /** Tells of every commit those that count, wait or show. */
  #observe(): void {
    const observers = [this.rollups, this.bulks, this.feed];
    this.#options.store.onChanges((changes) => {
      for (const observer of observers) observer.note(changes);
    });
  }

  #createBreakers(): Breakers {
    const { profiles, log } = this.#options;
    return new Breakers({
      profiles,
      onChange: (endpoint, from, to, isReset) => {
        if (from.kind === "closed") this.notices.opened(endpoint, to);
        else if (to.kind === "closed" && !isReset) this.notices.recovered(endpoint);
        log.warn("breaker.changed", { endpoint: endpoint.name, from: from.kind, to: to.kind });
        this.lanes.wakeAfterBreaker(endpoint, to.kind === "closed");
      },
    });
  }

  #createLanes(): Lanes<Claimed> {
    const { clock, store } = this.#options;
    return new Lanes({
      clock,
      store,
      slots: this.slots,
      breakers: this.breakers,
      start: (claimed, hold) => this.dispatcher.start(claimed, hold),
      giveBack: (claimed) => this.dispatcher.giveBack(claimed),
      sizeOf: (claimed) => claimed.payload.body.byteLength,
    });
  }

  /** True when nothing is due, under way or waiting to be written: what a virtual clock waits for. */
  isSettled(now: number): boolean {
    if (!this.#settling.every((service) => service.isSettled(now))) return false;
    return this.#options.store.counts().waiting === 0;
  }

  /** What the services know of each other: all the options, and the verbs that cross between them. */
  #wiring() {
    const { store } = this.#options;
    const { directory, metrics, breakers, lanes, nextId } = this;
    return {
      ...this.#options,
      listeners: this.listeners,
      directory,
      metrics,
      breakers,
      nextId,
      lease: store.lease,
      reject: store.reject,
      defer: this.#options.defer ?? afterTurn,
      onSourceResumed: () => this.releases.sweep(),
      isStoreHealthy: () => store.health.isHealthy,
      onGone: (gone: readonly GoneObject[]) => this.#forget(gone),
      hasRoom: () => !this.retention.isFull(),
      onDue: (lane: number, dueAt: number) => this.#noteDue(lane, dueAt),
      onFinished: (seq?: number) => this.scheduler.noteFinished(seq),
      onScheduleChanged: () => this.scheduler.noteChanged(),
      onEndpointChanged: (endpoint: Endpoint) => this.#putEndpoint(endpoint),
      onEndpointOpened: ({ lane }: Endpoint) => this.parking.sweep(lane, "queued"),
      checkTarget: createTargetCheck({ ...this.#options, directory }),
      noteResult: createResultNotes({ directory, nextId, log: this.#options.log }),
      reserve: lanes.reserve.bind(lanes),
      release: lanes.release.bind(lanes),
      handOver: lanes.handOver.bind(lanes),
      rest: lanes.rest.bind(lanes),
      begin: lanes.begin.bind(lanes),
      abandon: lanes.abandon.bind(lanes),
      reopen: lanes.reopen.bind(lanes),
      noteOutcome: lanes.noteOutcome.bind(lanes),
    };
  }

  /** Loads what is defined, then begins to send what is due. The caller has reconciled the config before. */
  async start(): Promise<void> {
    await this.#load();
    await this.#failing.load();
    const heads = await this.#options.store.laneHeads();
    this.lanes.start(heads.filter((head) => head.lane !== DEADLINE_LANE));
    this.deadlines.start(heads.find((head) => head.lane === DEADLINE_LANE)?.nextDueAt ?? null);
    this.retention.start();
    this.releases.sweep();
    this.#heartbeat.start();
    await this.scheduler.start();
    await this.bulks.start();
  }

  /**
   * Applies declarations to the store and to what runs. Throws AppError and changes nothing when it cannot.
   */
  async reconcile(declarations: Declarations): Promise<ReconcileResult> {
    const { store, clock } = this.#options;
    const result = await reconcile(declarations, { store, nextId: this.nextId, now: clock.now() });
    this.directory.replaceProjectEgress(declarations.egress ?? new Map());
    await this.#load();
    this.notices.setRules(declarations.deadLetters ?? []);
    this.scheduler.noteChanged();
    if (result.retired.length > 0) this.releases.sweep();
    return result;
  }

  /** Stops claiming, waits up to `limitMs` for attempts in flight, then gives the rest back to the queue. */
  async stop(limitMs: number): Promise<void> {
    const others = Promise.all([
      this.scheduler.stop(),
      this.bulks.stop(),
      this.lanes.stop(),
      this.parking.stop(),
      this.releases.stop(),
      this.retention.stop(),
      this.deadlines.stop(),
    ]);
    await this.dispatcher.stop(limitMs);
    this.notices.stop();
    // Expired deadlines are kept until the file can be written again; that is no reason not to stop.
    if (this.#options.store.health.isHealthy) await others;
    await this.rollups.stop();
    // Last, since a lease is worth no more than the heartbeat behind it.
    await this.#heartbeat.stop();
  }

  async #load(): Promise<void> {
    const definitions = await this.#options.store.loadDefinitions();
    for (const endpoint of definitions.endpoints) {
      const known = this.directory.endpoint(endpoint.id);
      // What failed at the old address says nothing about the new one.
      if (known && known.url !== endpoint.url) this.breakers.reset(known);
    }
    this.directory.replaceAll(definitions);
    for (const endpoint of definitions.endpoints) this.lanes.upsert(endpoint);
  }

  #noteDue(lane: number, dueAt: number): void {
    if (lane === DEADLINE_LANE) this.deadlines.noteDue(dueAt);
    else this.lanes.noteDue(lane, dueAt);
  }

  #forget(gone: readonly GoneObject[]): void {
    for (const object of gone) {
      this.directory.forget(object);
      if (object.kind !== "endpoint") continue;
      this.breakers.forget(object.id);
      this.lanes.forget(object.seq);
    }
  }

  #putEndpoint(endpoint: Endpoint): void {
    this.directory.putEndpoint(endpoint);
    this.lanes.upsert(endpoint);
    this.scheduler.noteFinished();
  }
}
