/**
 * Everything behind HTTP for tests: the real engine on a real store in memory, a clock that stands still, a
 * sender that answers as told, and the real doors. Requests go through the server in process; start() opens
 * real sockets.
 *
 * Whatever the native API answers is checked against the schema that its OpenAPI document shows.
 */
import { Value } from "@sinclair/typebox/value";
import { NATIVE_PROFILE } from "../../src/domain/native-profile.ts";
import type { ProjectSettings } from "../../src/domain/project-settings.ts";
import type { ScheduleDefinition } from "../../src/domain/schedule-definition.ts";
import { createProfiles, type Profile } from "../../src/domain/strategy.ts";
import type { ApiDeps, MasterKeyRotated, ReloadResult } from "../../src/http/api/deps.ts";
import type { ApiRoute } from "../../src/http/api/route.ts";
import { createApiRoutes } from "../../src/http/api/routes.ts";
import { ERROR_ANSWER } from "../../src/http/api/schemas.ts";
import { BodyReader } from "../../src/http/body.ts";
import { type Dialect, type DialectContext, openDialects } from "../../src/http/dialect.ts";
import type { Door, ListenerRole } from "../../src/http/door.ts";
import { createNativeDoors } from "../../src/http/doors.ts";
import { createHttpServer, type HttpServer, type ListenerOptions } from "../../src/http/server.ts";
import type { Advanced } from "../../src/runtime/advance.ts";
import { Engine } from "../../src/runtime/engine.ts";
import { KeyRotation } from "../../src/runtime/key-rotation.ts";
import type { Log } from "../../src/runtime/log.ts";
import { SILENT_LOG } from "../../src/runtime/log.ts";
import { DURATION_BUCKETS_MS, LATENESS_BUCKETS_MS } from "../../src/runtime/metrics.ts";
import { Probe } from "../../src/runtime/probe.ts";
import type { Random } from "../../src/runtime/random.ts";
import type {
  Declarations,
  DeclaredEndpoint,
  DeclaredSource,
  DeclaredSubscription,
} from "../../src/runtime/reconcile.ts";
import type { Sender, SendRequest, SendResult } from "../../src/runtime/sender.ts";
import type { Store } from "../../src/storage/contract.ts";
import { FIRST_RESEAL } from "../../src/storage/store.ts";
import { testEgress } from "./egress.ts";
import { newEndpoint, newSource, newSubscription, type SourceChange, sourceFields } from "./factory.ts";
import { FakeClock } from "./fake-clock.ts";
import { countingBytes, openTestStore } from "./store.ts";

/** Keys of the project "default" by scope, and one of the project "other". */
export const KEYS = {
  admin: "key-admin",
  read: "key-read",
  ingest: "key-ingest",
  other: "key-other",
} as const;

interface LogLine {
  readonly level: "warn" | "error";
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface TestAppOptions {
  readonly sources?: readonly SourceChange[];
  readonly endpoints?: readonly Partial<DeclaredEndpoint>[];
  readonly subscriptions?: readonly Partial<DeclaredSubscription>[];
  readonly schedules?: readonly ScheduleDefinition[];
  /** Beside the native ones. */
  readonly doors?: readonly Door[];
  /** Opened, reconciled with `settings` and started like app.ts does. */
  readonly dialects?: readonly Dialect[];
  readonly settings?: readonly ProjectSettings[];
  readonly listeners?: readonly ListenerOptions[];
  readonly trustedProxies?: readonly string[];
  readonly hasEcho?: boolean;
  /** Sends instead of the answers that the test gives in `sendResults`. */
  readonly createSender?: (clock: FakeClock) => Sender;
  /** Lets the API move the clock, as on a virtual one. */
  readonly canAdvance?: boolean;
  /** Stands in for the store's own word on its health. */
  readonly health?: () => { readonly isHealthy: boolean; readonly reason: string | null };
}

export interface TestRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream;
  /** Sent as a Bearer token. */
  readonly key?: string;
  readonly role?: ListenerRole;
  readonly peer?: string;
}

const READ_TIMEOUT_MS = 10_000;
export const BODY_BYTES_MAX = 65_536;

export interface TestApp extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: Store;
  readonly engine: Engine;
  readonly probe: Probe;
  readonly server: HttpServer;
  readonly routes: readonly ApiRoute[];
  /** Warnings and errors so far. */
  readonly logged: readonly LogLine[];
  /** What the sender was asked to send. */
  readonly sent: readonly SendRequest[];
  /** Answers of the sender for the next attempts; after them it answers 200. */
  readonly sendResults: SendResult[];
  /** What the next reload finds. */
  readonly reload: { result: ReloadResult };
  /** One request in process, as a listener would answer it. */
  request(path: string, request?: TestRequest): Promise<Response>;
  /** One request to the native API with the admin key; checks the answer against its documented schema. */
  api(path: string, request?: TestRequest): Promise<{ status: number; headers: Headers; json: AnyAnswer }>;
  /** What a reload does: the configuration becomes this one. */
  declare(
    change: Pick<TestAppOptions, "sources" | "endpoints" | "subscriptions" | "schedules">,
  ): Promise<void>;
  /** What a stop and a reload do for the dialects. */
  stopDialects(): Promise<void>;
  reconcileDialects(settings: readonly ProjectSettings[]): Promise<void>;
  /** Resolves when everything submitted so far is stored, rejections included, which no answer waits for. */
  flush(): Promise<void>;
  /** Turns the event loop until nothing has been written for a while. */
  settle(): Promise<void>;
  /** Moves time and lets everything happen that became due. */
  advance(byMs: number): Promise<void>;
  /** Sends a body to a source and returns the shown id of the event. */
  ingest(source: string, body?: string): Promise<string>;
}

/** What tests read out of answers. Which members an answer really has, the schema check has judged before. */
interface AnyObject {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly source: string;
  readonly reason: string;
  readonly eventId: string;
  readonly duplicate: boolean;
  readonly forced: boolean;
  readonly endpointId: string;
  readonly eventType: string;
  readonly breaker: object;
  readonly headers: object;
}

export interface AnyAnswer extends AnyObject {
  readonly data: readonly AnyObject[];
  readonly nextCursor: string | null;
  readonly error: object;
}

export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const clock = new FakeClock();
  const logged: LogLine[] = [];
  const log = recordingLog(logged);
  const store = openTestStore({ clock });
  const sent: SendRequest[] = [];
  const sendResults: SendResult[] = [];
  const send = async (request: SendRequest) => {
    sent.push(request);
    return sendResults.shift() ?? sendResponse(200);
  };
  const probe = new Probe();
  const profiles = createProfiles([
    NATIVE_PROFILE,
    ...(options.dialects ?? []).flatMap((dialect) => dialect.profiles),
  ]);
  const sender = options.createSender?.(clock) ?? { send, abortAll: () => {} };
  const engine = createTestEngine({ store, clock, log, probe, sender, profiles });
  await engine.reconcile(declarationsOf(options));
  const reload: { result: ReloadResult } = {
    result: { ok: true, created: [], updated: [], retired: [], restartFor: [] },
  };
  const deps = createDeps({ engine, store, clock, log, options }, async () => reload.result);
  const context = contextOf({ engine, store, clock, log, probe, options }, deps);
  const dialects = openDialects(options.dialects ?? [], context);
  await dialects.reconcile(options.settings ?? [{ project: "default" }]);
  const doors = [...createNativeDoors(context), ...dialects.doors, ...(options.doors ?? [])];
  const server = createTestServer({ engine, store, clock, log, options }, doors);
  await engine.start();
  await dialects.start();
  return {
    clock,
    store,
    engine,
    probe,
    server,
    logged,
    sent,
    sendResults,
    reload,
    routes: createApiRoutes(deps),
    ...requestVerbs(server, createApiRoutes(deps)),
    declare: async (change) => void (await engine.reconcile(declarationsOf({ ...options, ...change }))),
    stopDialects: () => dialects.stop(),
    reconcileDialects: (settings) => dialects.reconcile(settings),
    flush: () => store.heartbeat(clock.now()),
    settle: () => settle(store),
    async advance(byMs) {
      clock.advance(byMs);
      await settle(store);
    },
    async [Symbol.asyncDispose]() {
      await server.stop(0);
      await dialects.stop();
      await engine.stop(0);
      await store.close();
    },
  };
}

/** Turns without a commit after which nothing more will happen; a commit takes up to six. */
const QUIET_TURNS = 12;

async function settle(store: Store): Promise<void> {
  let seen = "";
  for (let quiet = 0; quiet < QUIET_TURNS; ) {
    await new Promise(setImmediate);
    const { commits, waiting } = store.counts();
    const state = `${commits} ${waiting}`;
    quiet = state === seen ? quiet + 1 : 0;
    seen = state;
  }
}

interface EngineParts {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly log: Log;
  readonly probe: Probe;
  readonly sender: Sender;
  readonly profiles: ReadonlyMap<string, Profile>;
}

const testRandom = (): Random => ({ bytes: countingBytes(), unit: () => 0 });

function createTestEngine(parts: EngineParts): Engine {
  return new Engine({
    ...parts,
    random: testRandom(),
    egress: testEgress(parts.clock),
    inFlightMax: 64,
    publicUrl: "http://127.0.0.1:8420",
    keepMs: { events: 1e9, delivered: 1e9, dead: 1e9, rejections: 1e9, metrics: 1e9, logs: 1e9 },
    diskBytesMax: 1e9,
  });
}

function declarationsOf({
  endpoints,
  sources,
  subscriptions = [],
  schedules = [],
}: TestAppOptions): Declarations {
  return {
    projects: ["default", "other"],
    apiKeys: [
      declareKey("default", "admin"),
      declareKey("default", "read"),
      declareKey("default", "ingest"),
      { ...declareKey("other", "admin"), hash: sha256(KEYS.other) },
    ],
    endpoints: (endpoints ?? [{ name: "app" }]).map(declareEndpoint),
    sources: (sources ?? [{ name: "orders", to: ["app"] }]).map(declareSource),
    subscriptions: subscriptions.map(newSubscription),
    schedules,
  };
}

interface ContextParts extends Parts {
  readonly probe: Probe;
}

type Verbs = Pick<TestApp, "request" | "api" | "ingest">;

function requestVerbs(server: HttpServer, routes: readonly ApiRoute[]): Verbs {
  const request: TestApp["request"] = (path, given = {}) =>
    server.handle(toRequest(path, given), given.role, {
      peerAddress: () => given.peer ?? "127.0.0.1",
      holdOpen: () => {},
    });
  return {
    request,
    async api(path, given = {}) {
      const response = await request(`/_/api${path}`, { key: KEYS.admin, ...given });
      const json = (await response.json()) as AnyAnswer;
      checkAnswer(routes, { method: given.method ?? "GET", path, status: response.status }, json);
      return { status: response.status, headers: response.headers, json };
    },
    async ingest(source, body = "{}") {
      const response = await request(`/in/${source}`, { method: "POST", body });
      return ((await response.json()) as { id: string }).id;
    },
  };
}

export function sendResponse(status: number, body = "", headers: Record<string, string> = {}): SendResult {
  return {
    kind: "response",
    status,
    headers: new Headers(headers),
    body: Buffer.from(body),
    isBodyTruncated: false,
    durationMs: 5,
    address: "192.0.2.7",
  };
}

interface Parts {
  readonly engine: Engine;
  readonly store: Store;
  readonly clock: FakeClock;
  readonly log: Log;
  readonly options: TestAppOptions;
}

function createDeps({ engine, store, clock, log, options }: Parts, reload: () => Promise<ReloadResult>) {
  const { schedules, timers, functions, directory, commands, objects, results, admit } = engine;
  const { metrics, rollups, bulks, feed, breakers, lanes, slots } = engine;
  return {
    clock,
    log,
    bodies: new BodyReader({ clock, timeoutMs: READ_TIMEOUT_MS }),
    directory,
    commands,
    objects,
    results,
    publisher: engine.publisher,
    random: testRandom(),
    endpointTimeoutMs: 30_000,
    bodyBytesMax: BODY_BYTES_MAX,
    admit,
    schedules,
    timers,
    functions,
    functionReads: store,
    metrics,
    rollups,
    bulks,
    feed,
    breakers,
    lanes,
    slots,
    reads: store,
    store: {
      get health() {
        return options.health?.() ?? store.health;
      },
      durability: store.durability,
      counts: () => store.counts(),
    },
    publicUrl: "http://hooks.example",
    apiUrl: "http://api.example",
    build: { version: "1.2.3", commit: "abc1234" },
    startedAt: clock.wallNow(),
    reload,
    rotateMasterKey: () => rotate(store, log),
    advance: options.canAdvance ? { to: async (target) => move(clock, target) } : null,
  } satisfies ApiDeps;
}

/** As with a key file, but nobody keeps the key: the store is in memory. */
async function rotate(store: Store, log: Log): Promise<MasterKeyRotated> {
  const keyFile = { stage: () => {}, promote: () => {} };
  const rotation = new KeyRotation({ store, first: FIRST_RESEAL, keyFile, random: testRandom(), log });
  return { resealed: await rotation.rotate(null), isKeyFileReplaced: true };
}

function move(clock: FakeClock, target: number): Advanced {
  const from = clock.now();
  clock.advance(target - from);
  return { from, now: clock.now(), stepCount: 0, attemptCount: 0, isComplete: true };
}

function contextOf(
  { engine, store, probe, options }: ContextParts,
  deps: ReturnType<typeof createDeps>,
): DialectContext {
  const { ingest, acknowledgements, metrics, nextId } = engine;
  return {
    ...deps,
    ingest,
    acknowledgements,
    metrics,
    nextId,
    random: testRandom(),
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
    listeners: engine.listeners,
    socketUrl: "ws://api.example",
    onChanges: (listener) => store.onChanges(listener),
    keyUses: store,
    datedReads: store,
    durationBucketsMs: DURATION_BUCKETS_MS,
    latenessBucketsMs: LATENESS_BUCKETS_MS,
    hasEcho: options.hasEcho ?? false,
  };
}

function createTestServer({ engine, clock, log, options }: Parts, doors: readonly Door[]): HttpServer {
  const { listeners = [], trustedProxies = [] } = options;
  const { nextId } = engine;
  return createHttpServer({
    listeners,
    doors,
    trustedProxies,
    readTimeoutMs: READ_TIMEOUT_MS,
    clock,
    log,
    nextId,
  });
}

function toRequest(path: string, { method = "GET", headers = {}, body, key }: TestRequest): Request {
  return new Request(path.startsWith("/") ? `http://localhost${path}` : path, {
    method,
    headers: { ...headers, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    ...(body === undefined ? {} : { body }),
  });
}

/** Throws when an answer of the native API is not what its document says. */
function checkAnswer(
  routes: readonly ApiRoute[],
  { method, path, status }: { method: string; path: string; status: number },
  json: unknown,
): void {
  const [pathname = ""] = path.split("?");
  const route = routes.find((candidate) => {
    const pattern = new RegExp(`^${candidate.path.replace(":id", "[^/]+")}$`);
    return candidate.method === method && pattern.test(pathname);
  });
  const schema = status === 200 && route ? route.answer : ERROR_ANSWER;
  const fault = Value.Errors(schema, json).First();
  if (fault) throw new Error(`${method} ${path} answered ${status}: ${fault.path} ${fault.message}`);
}

function declareKey(project: string, scope: "admin" | "read" | "ingest") {
  return { project, scope, label: null, hash: sha256(KEYS[scope]) };
}

function declareEndpoint(change: Partial<DeclaredEndpoint>): DeclaredEndpoint {
  const { id: _id, door: _door, ...definition } = newEndpoint();
  return { ...definition, ...change };
}

function declareSource(change: SourceChange): DeclaredSource {
  const { id: _id, door: _door, ...definition } = newSource();
  return { ...definition, ...sourceFields(change) };
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

function recordingLog(lines: LogLine[]): Log {
  return {
    ...SILENT_LOG,
    warn: (event, fields = {}) => void lines.push({ level: "warn", event, fields }),
    error: (event, fields = {}) => void lines.push({ level: "error", event, fields }),
  };
}
