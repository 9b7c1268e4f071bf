/**
 * An engine to test: the real engine on the real store, with a clock that stands still, seeded dice and
 * scripted receivers. Nothing here waits for time; settle() turns the event loop until nothing changes any
 * more.
 */
import type { DeliveryState } from "../../src/domain/delivery.ts";
import type { Endpoint } from "../../src/domain/endpoint.ts";
import type { Id } from "../../src/domain/id.ts";
import { NATIVE_PROFILE } from "../../src/domain/native-profile.ts";
import type { DeliveryDetail, DeliveryRow } from "../../src/domain/reads.ts";
import type { ScheduleDefinition } from "../../src/domain/schedule-definition.ts";
import type { Source } from "../../src/domain/source.ts";
import { createProfiles, type Profile } from "../../src/domain/strategy.ts";
import { Engine, type EngineOptions } from "../../src/runtime/engine.ts";
import type { InboundRequest, IngestResult } from "../../src/runtime/ingest.ts";
import type { Log } from "../../src/runtime/log.ts";
import { Probe } from "../../src/runtime/probe.ts";
import type {
  Declarations,
  DeclaredEndpoint,
  DeclaredSource,
  DeclaredSubscription,
} from "../../src/runtime/reconcile.ts";
import type { Store } from "../../src/storage/contract.ts";
import { testEgress } from "./egress.ts";
import { newEndpoint, newSource, type SourceChange, sourceFields } from "./factory.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRandom } from "./fake-random.ts";
import { ScriptedSender } from "./scripted-sender.ts";
import { openTestStore } from "./store.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface EngineSetup {
  /** A file, for tests that open it again; in memory otherwise. */
  readonly path?: string;
  readonly clock?: FakeClock;
  readonly seed?: number;
  readonly receiver?: ScriptedSender;
  readonly profiles?: readonly Profile[];
  /** One named "app" when absent. Their URL is receiverUrl(name) unless given. */
  readonly endpoints?: readonly Partial<DeclaredEndpoint>[];
  /** One named "in" that sends to all endpoints when absent. */
  readonly sources?: readonly SourceChange[];
  /** None when absent. */
  readonly subscriptions?: readonly DeclaredSubscription[];
  /** None when absent: all projects are told of their dead letters by the default rule. */
  readonly deadLetters?: Declarations["deadLetters"];
  /** None when absent. They send to "app" every minute unless told otherwise. */
  readonly schedules?: readonly Partial<ScheduleDefinition>[];
  /** Stands between the engine and its store. */
  readonly wrap?: (store: Store) => Store;
  readonly engine?: Partial<Pick<EngineOptions, "inFlightMax" | "keepMs" | "diskBytesMax" | "defer">>;
  /** False: the test starts it. */
  readonly isStarted?: boolean;
  readonly defer?: (fire: () => void) => void;
}

export interface Inbound {
  readonly source?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly url?: string;
  readonly remoteAddress?: string | null;
}

const WEEK_MS = 7 * 24 * 3_600_000;
const KEEP_MS = {
  delivered: WEEK_MS,
  dead: 30 * 86_400_000,
  events: WEEK_MS,
  rejections: WEEK_MS,
  logs: WEEK_MS,
  metrics: WEEK_MS,
};
/**
 * Turns of the event loop without any change after which nothing more will happen; a commit takes up to six.
 */
const QUIET_TURNS = 10;

export function receiverUrl(name: string): string {
  return `http://receiver.test/${name}`;
}

export async function startEngine(setup: EngineSetup = {}): Promise<TestEngine> {
  const test = new TestEngine(setup);
  await test.declare(setup);
  if (setup.isStarted !== false) await test.engine.start();
  await test.settle();
  return test;
}

export class TestEngine implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly random: FakeRandom;
  readonly store: Store;
  readonly receiver: ScriptedSender;
  readonly probe = new Probe();
  readonly logged: LogLine[] = [];
  readonly engine: Engine;
  #isClosed = false;

  constructor(setup: EngineSetup) {
    this.clock = setup.clock ?? new FakeClock();
    this.random = new FakeRandom(setup.seed);
    this.receiver = setup.receiver ?? new ScriptedSender(this.clock);
    const { path, defer, wrap = (store) => store } = setup;
    this.store = openTestStore({
      clock: this.clock,
      durability: "relaxed",
      randomBytes: (length) => this.random.bytes(length),
      ...(path ? { path } : {}),
      ...(defer ? { defer } : {}),
    });
    this.engine = new Engine({
      store: wrap(this.store),
      sender: this.receiver,
      egress: testEgress(this.clock),
      clock: this.clock,
      random: this.random,
      log: this.#log(),
      probe: this.probe,
      profiles: createProfiles(setup.profiles ?? [NATIVE_PROFILE]),
      inFlightMax: 1_024,
      publicUrl: "http://postern.test",
      keepMs: KEEP_MS,
      diskBytesMax: Number.MAX_SAFE_INTEGER,
      ...setup.engine,
    });
  }

  /** What the configuration file would declare. */
  async declare(setup: EngineSetup = {}): Promise<void> {
    const { endpoints = [{ name: "app" }], sources, subscriptions = [], schedules = [] } = setup;
    const declared = endpoints.map(declareEndpoint);
    const to = declared.map((endpoint) => endpoint.name);
    await this.engine.reconcile({
      projects: ["default"],
      apiKeys: [],
      endpoints: declared,
      sources: (sources ?? [{}]).map((source) => declareSource({ to, ...source })),
      subscriptions,
      deadLetters: setup.deadLetters ?? [],
      schedules: schedules.map(declareSchedule),
    });
  }

  endpoint(name = "app"): Endpoint {
    const endpoint = this.engine.directory.endpointNamed("default", name);
    if (!endpoint) throw new Error(`no endpoint ${name}`);
    return endpoint;
  }

  source(name = "in"): Source {
    const source = this.engine.directory.sourceNamed(name);
    if (!source) throw new Error(`no source ${name}`);
    return source;
  }

  /** One request to a source, as the ingest door hands it on. */
  receive(inbound: Inbound = {}): Promise<IngestResult> {
    const { body = '{"n":1}', headers = { "content-type": "application/json" } } = inbound;
    const request: InboundRequest = {
      method: inbound.method ?? "POST",
      url: inbound.url ?? "/in/in",
      headers: new Headers(headers),
      body: typeof body === "string" ? Buffer.from(body) : body,
      remoteAddress: inbound.remoteAddress === undefined ? "192.0.2.1" : inbound.remoteAddress,
    };
    return this.engine.ingest.receive(this.source(inbound.source), request);
  }

  /** Accepts one event, lets everything happen that can, and returns the event's id. */
  async accept(inbound: Inbound = {}): Promise<Id> {
    const result = await this.receive(inbound);
    if (result.kind !== "accepted") throw new Error(`not accepted: ${JSON.stringify(result)}`);
    await this.settle();
    return result.id;
  }

  /** Accepts many events at once, numbered in their bodies from 0. */
  async acceptMany(count: number, source = "in"): Promise<Id[]> {
    const bodies = Array.from({ length: count }, (_, n) => `{"n":${n}}`);
    const results = await Promise.all(bodies.map((body) => this.receive({ source, body })));
    await this.settle();
    return results.map((result) => {
      if (result.kind !== "accepted") throw new Error(`not accepted: ${JSON.stringify(result)}`);
      return result.id;
    });
  }

  /** Turns the event loop until nothing has changed for a while. */
  async settle(): Promise<void> {
    let seen = "";
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
      await new Promise(setImmediate);
      const { commits, waiting } = this.store.counts();
      const state = [commits, waiting, this.receiver.sent.length, this.receiver.hangingCount].join();
      quiet = state === seen ? quiet + 1 : 0;
      seen = state;
    }
  }

  /** Moves time by at most `byMs` at a stretch and lets everything happen that became due. */
  async advance(byMs: number): Promise<void> {
    this.clock.advance(byMs);
    await this.settle();
  }

  /** Moves time from timer to timer, so that what one of them sets is not skipped. */
  async advanceStepwise(byMs: number): Promise<void> {
    const target = this.clock.now() + byMs;
    for (;;) {
      const next = this.clock.nextTimerAt();
      if (next === null || next > target) break;
      await this.advance(Math.max(0, next - this.clock.now()));
    }
    await this.advance(target - this.clock.now());
  }

  /** Moves time exactly to when the delivery is due. */
  async advanceToDue(delivery?: Id): Promise<void> {
    const { dueAt } = await this.delivery(delivery);
    if (dueAt === null) throw new Error("the delivery waits for nothing");
    await this.advance(Math.max(0, dueAt - this.clock.now()));
  }

  /** Oldest first. */
  async deliveries(filter: { state?: DeliveryState; lane?: number } = {}): Promise<DeliveryRow[]> {
    const all: DeliveryRow[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<Store["listDeliveries"]>> = await this.store.listDeliveries({
        project: "default",
        limit: 500,
        cursor,
        ...filter,
      });
      all.push(...page.data);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return all.reverse();
  }

  /** The delivery of that id, or the only one there is. */
  async delivery(id?: Id): Promise<DeliveryDetail> {
    const wanted = id ?? (await this.deliveries())[0]?.id;
    const delivery = wanted ? await this.store.getDelivery({ project: "default", id: wanted }) : null;
    if (!delivery) throw new Error("no such delivery");
    return delivery;
  }

  async states(): Promise<DeliveryState[]> {
    return (await this.deliveries()).map((delivery) => delivery.state);
  }

  /** Stops as a server does, in time that stands still, and closes the file. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const stopped = this.engine.stop(0);
    this.clock.advance(0);
    await stopped;
    await this.store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #log(): Log {
    const at =
      (level: LogLine["level"]) =>
      (event: string, fields: LogLine["fields"] = {}) =>
        void this.logged.push({ level, event, fields });
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), flush: () => {} };
  }
}

export function declareEndpoint(change: Partial<DeclaredEndpoint>): DeclaredEndpoint {
  const { id: _id, door: _door, ...rest } = newEndpoint({ name: "app" });
  return { ...rest, url: receiverUrl(change.name ?? "app"), ...change };
}

export function declareSchedule(change: Partial<ScheduleDefinition>): ScheduleDefinition {
  return {
    project: "default",
    name: "beat",
    timing: { every: "1m" },
    missed: { kind: "once" },
    overlap: "allow",
    activeMax: null,
    endpoint: "app",
    content: { headers: { "content-type": "application/json" }, body: '{"kind":"beat"}' },
    ...change,
  };
}

export function declareSource(change: SourceChange): DeclaredSource {
  const { id: _id, door: _door, ...rest } = newSource({ name: "in" });
  return { ...rest, ...sourceFields(change) };
}
