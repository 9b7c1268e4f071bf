/**
 * The composition root: the only place that constructs and starts things, in order (store, engine, doors,
 * listeners) and stops them in reverse. A dialect becomes part of the program by its line here, and leaves
 * with it.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Config } from "./config/config.ts";
import type { LoadedConfig } from "./config/load.ts";
import { summarizeConfig } from "./config/redact.ts";
import { toDeclarations, toProjectSettings } from "./declarations.ts";
import { HOOKBRIDGE } from "./dialects/hookbridge/dialect.ts";
import { PINGBACK } from "./dialects/pingback/dialect.ts";
import { POSTHOOK } from "./dialects/posthook/dialect.ts";
import { PYFLY } from "./dialects/pyfly/dialect.ts";
import { HOUR } from "./domain/duration.ts";
import { AppError } from "./domain/errors.ts";
import { NATIVE_PROFILE } from "./domain/native-profile.ts";
import { createProfiles } from "./domain/strategy.ts";
import type { MasterKeyRotated, ReloadResult } from "./http/api/deps.ts";
import { BodyReader } from "./http/body.ts";
import { type Dialect, type DialectContext, type OpenDialects, openDialects } from "./http/dialect.ts";
import { createNativeDoors } from "./http/doors.ts";
import { createHttpServer, type HttpServer, type ListenerOptions } from "./http/server.ts";
import { type MasterKeyRotation, readMasterKeys, readNewKey, startKeyRotation } from "./master-keys.ts";
import { Advance } from "./runtime/advance.ts";
import type { Clock } from "./runtime/clock.ts";
import { createEgress } from "./runtime/egress.ts";
import { Engine } from "./runtime/engine.ts";
import type { Log } from "./runtime/log.ts";
import { DURATION_BUCKETS_MS, LATENESS_BUCKETS_MS } from "./runtime/metrics.ts";
import { Probe } from "./runtime/probe.ts";
import type { Random } from "./runtime/random.ts";
import { createSender } from "./runtime/sender.ts";
import { VirtualClock } from "./runtime/virtual-clock.ts";
import { openStore, type Store } from "./storage/store.ts";

export type { ReloadResult };

export interface AppOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Reads the config file again. */
  readonly reloadConfig: () => Promise<LoadedConfig>;
  readonly version: { readonly version: string; readonly commit: string };
}

export interface App {
  /**
   * Resolves when every listener is open and what is due is being sent. Throws StoreOpenError,
   * ServerStartError.
   */
  start(): Promise<{ readonly listeners: readonly { readonly role: string; readonly url: string }[] }>;
  /** Applies the file as it is now, or changes nothing. */
  reload(): Promise<ReloadResult>;
  /**
   * Refuses new requests, lets attempts in flight end for at most `limitMs`, writes everything, closes the
   * store.
   */
  stop(options: { readonly limitMs: number }): Promise<void>;
  /** Gives up what is in flight; it is sent again after the next start. */
  abort(): void;
}

/** Deleting a dialect's folder, its import and its line here leaves a program without it. */
const DIALECTS: readonly Dialect[] = [
  // One per line.
  PINGBACK,
  PYFLY,
  HOOKBRIDGE,
  POSTHOOK,
];

/** A virtual clock goes through months at once, and would spend most of that on sweeps by the minute. */
const VIRTUAL_SWEEP_MS = 6 * HOUR;
/** The last answers of requests that waited for a commit. */
const HTTP_STOP_MS = 2_000;

export function createApp(options: AppOptions): App {
  return new PosternApp(options);
}

class PosternApp implements App {
  readonly #options: AppOptions;
  /** What was read at the start; most of it stays in force until the next one. */
  readonly #config: Config;
  #store: Store | null = null;
  #engine: Engine | null = null;
  #dialects: OpenDialects | null = null;
  #advance: Advance | null = null;
  #rotation: MasterKeyRotation | null = null;
  #server: HttpServer | null = null;

  constructor(options: AppOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  async start(): Promise<{ listeners: readonly { role: string; url: string }[] }> {
    const { config, clock, log, version } = this.#options;
    log.info("server.starting", { version: version.version, config: summarizeConfig(config) });
    const probe = new Probe();
    const store = this.#openStore(probe);
    this.#store = store;
    this.#rotation = startKeyRotation(store, config.store.masterKey, this.#options);
    const engine = this.#createEngine(store, probe);
    this.#engine = engine;
    if (clock instanceof VirtualClock) this.#advance = new Advance({ clock, engine: this.#world(engine) });
    await engine.reconcile(toDeclarations(config));
    const context = this.#context(store, engine, probe);
    const dialects = openDialects(DIALECTS, context);
    this.#dialects = dialects;
    await dialects.reconcile(toProjectSettings(config));
    const server = createHttpServer({
      listeners: listenersOf(config),
      doors: [...createNativeDoors(context), ...dialects.doors],
      trustedProxies: config.server.trustedProxies,
      readTimeoutMs: config.server.readTimeoutMs,
      clock,
      log,
      nextId: engine.nextId,
    });
    this.#server = server;
    const listeners = server.start();
    await engine.start();
    await dialects.start();
    log.info("server.ready", { listeners: listeners.map((listener) => listener.url) });
    return { listeners };
  }

  async reload(): Promise<ReloadResult> {
    const { reloadConfig, log } = this.#options;
    const loaded = await reloadConfig();
    if (!loaded.ok) return { ok: false, errors: loaded.errors };
    if (!this.#engine) throw new AppError("shutting_down", "the server is not running");
    try {
      const changed = await this.#engine.reconcile(toDeclarations(loaded.config));
      await this.#dialects?.reconcile(toProjectSettings(loaded.config));
      const result = { ...changed, restartFor: restartFor(this.#config, loaded.config) };
      log.info("config.applied", result);
      return { ok: true, ...result };
    } catch (error) {
      if (error instanceof AppError && error.code === "conflict") {
        return { ok: false, errors: [{ line: 0, column: 0, key: "", message: error.message }] };
      }
      throw error;
    }
  }

  async stop({ limitMs }: { limitMs: number }): Promise<void> {
    const { log } = this.#options;
    this.#advance?.stop();
    this.#engine?.feed.stop();
    // Requests first: what they were promised has to be committed before the store closes. Connected clients
    // may finish what they have taken, for as long as attempts may.
    const hasSockets = (this.#server?.socketCount ?? 0) > 0;
    const requests = this.#server?.stop(hasSockets ? limitMs : Math.min(limitMs, HTTP_STOP_MS));
    await this.#dialects?.stop();
    await this.#engine?.stop(limitMs);
    await requests;
    await this.#rotation?.stop();
    await this.#store?.close();
    log.info("server.stopped");
    log.flush();
  }

  abort(): void {
    this.#engine?.dispatcher.abort();
  }

  /** All that a virtual clock waits for: the engine and what the dialects do on their own. */
  #world(engine: Engine) {
    return {
      metrics: engine.metrics,
      isSettled: (now: number) => engine.isSettled(now) && (this.#dialects?.isSettled(now) ?? true),
    };
  }

  #context(store: Store, engine: Engine, probe: Probe): DialectContext {
    const { clock, random, log, version } = this.#options;
    const { server, dev } = this.#config;
    return {
      random,
      nextId: engine.nextId,
      intake: engine.intake,
      probe,
      callbacks: store,
      endpoints: engine.endpoints,
      sends: engine.sends,
      sources: engine.sources,
      history: store,
      exports: store,
      tokenKey: store.tokenKey,
      dated: engine.dated,
      onChanges: (listener) => store.onChanges(listener),
      keyUses: store,
      datedReads: store,
      clock,
      log,
      bodies: new BodyReader({ clock, timeoutMs: server.readTimeoutMs }),
      directory: engine.directory,
      commands: engine.commands,
      objects: engine.objects,
      results: engine.results,
      publisher: engine.publisher,
      endpointTimeoutMs: this.#config.egress.timeoutMs,
      admit: engine.admit,
      schedules: engine.schedules,
      timers: engine.timers,
      functions: engine.functions,
      functionReads: store,
      breakers: engine.breakers,
      lanes: engine.lanes,
      slots: engine.slots,
      metrics: engine.metrics,
      rollups: engine.rollups,
      bulks: engine.bulks,
      feed: engine.feed,
      durationBucketsMs: DURATION_BUCKETS_MS,
      latenessBucketsMs: LATENESS_BUCKETS_MS,
      ingest: engine.ingest,
      acknowledgements: engine.acknowledgements,
      reads: store,
      store,
      publicUrl: server.publicUrl,
      apiUrl: server.apiUrl,
      socketUrl: server.socketUrl,
      listeners: engine.listeners,
      bodyBytesMax: server.maxBodyBytes,
      hasEcho: dev.echo,
      build: version,
      startedAt: clock.wallNow(),
      reload: () => this.reload(),
      advance: this.#advance,
      rotateMasterKey: (newKey) => this.#rotateMasterKey(newKey),
    };
  }

  async #rotateMasterKey(newKey: string | null): Promise<MasterKeyRotated> {
    if (!this.#rotation) throw new AppError("shutting_down", "the server is not running");
    const resealed = await this.#rotation.rotate(newKey === null ? null : readNewKey(newKey));
    return { resealed, isKeyFileReplaced: this.#config.store.masterKey.kind === "file" };
  }

  #openStore(probe: Probe): Store {
    const { clock, random, log, version } = this.#options;
    const { path, durability } = this.#config.store;
    mkdirSync(dirname(path), { recursive: true });
    return openStore({
      path,
      durability,
      ...readMasterKeys(this.#config.store, { random, log }),
      clock,
      randomBytes: (length) => random.bytes(length),
      version: version.version,
      onHealth: ({ isHealthy, reason }) => {
        if (isHealthy) log.info("store.recovered");
        else log.error("store.failing", { reason });
        probe.signal("store.health", { isHealthy });
      },
    });
  }

  #createEngine(store: Store, probe: Probe): Engine {
    const { clock, random, log } = this.#options;
    const { egress, store: settings } = this.#config;
    const { retention } = settings;
    const guard = createEgress({ allowPrivate: egress.allowPrivate, clock });
    return new Engine({
      store,
      sender: createSender({ clock, egress: guard, proxy: egress.proxy }),
      egress: guard,
      clock,
      random,
      log,
      probe,
      profiles: createProfiles([NATIVE_PROFILE, ...DIALECTS.flatMap(({ profiles }) => profiles)]),
      inFlightMax: egress.maxInFlight,
      publicUrl: this.#config.server.publicUrl,
      keepMs: {
        delivered: retention.deliveredMs,
        dead: retention.deadMs,
        events: retention.eventsMs,
        rejections: retention.rejectionsMs,
        metrics: retention.metricsMs,
        logs: retention.logsMs,
      },
      diskBytesMax: settings.maxDiskBytes,
      ...(clock.kind === "virtual" ? { sweepEveryMs: VIRTUAL_SWEEP_MS } : {}),
    });
  }
}

function listenersOf({ server }: Config): ListenerOptions[] {
  const { listen, ingestListen, metricsListen, tls } = server;
  const listeners: ListenerOptions[] = [{ ...listen, role: "main" }];
  if (tls !== null) listeners.push({ ...tls.listen, role: "main", tls });
  if (ingestListen !== null) listeners.push({ ...ingestListen, role: "ingest" });
  if (metricsListen !== null) listeners.push({ ...metricsListen, role: "metrics" });
  return listeners;
}

/**
 * Returns the tables in which the running configuration and the new one differ and that are read only at
 * start.
 */
function restartFor(running: Config, next: Config): string[] {
  return (["server", "store", "egress", "log", "dev"] as const).filter(
    (table) => JSON.stringify(running[table]) !== JSON.stringify(next[table]),
  );
}
