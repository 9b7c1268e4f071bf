/**
 * A SQLite store, opened: lock, writer connection, migrations, checks, reader, process row, rescue. It hands
 * commands to the writer and queries to the reader, and is the one place that knows both.
 *
 *   open     between openStore() and close()
 *   closed   close() was called: what was submitted has been written, the rest gets shutting_down
 */
import type { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import { AppError } from "../domain/errors.ts";
import type { ExportVerbs } from "../domain/export.ts";
import { openBulks } from "./bulks.ts";
import { loadCallbackConfigs } from "./callbacks.ts";
import { type Command, createApply, type RotationCommand } from "./commands.ts";
import type { Definitions, KeyRotationVerbs, ScheduleVerbs, Store, StoreOptions } from "./contract.ts";
import { openReader, openWriter, StoreOpenError } from "./database.ts";
import { loadEndpoints } from "./endpoints.ts";
import { createExportReads } from "./exports.ts";
import { loadFailing } from "./failing.ts";
import { loadFunctionHosts } from "./function-hosts.ts";
import { readHistoryEntry, readHistoryOfEvent } from "./history.ts";
import { Journal } from "./journal.ts";
import { emptyLog, type MasterKeys, type MasterSealing, openSealing } from "./key-rotation.ts";
import { loadKeyUses } from "./key-uses.ts";
import { loadApiKeys, loadProjects } from "./keys.ts";
import { listAttempts } from "./list-deliveries.ts";
import { lockStore, type StoreLock } from "./lock.ts";
import { migrate } from "./migrate.ts";
import { createPositionReads, readLastSeq, readNewestId } from "./positions.ts";
import { markStopped, registerProcess } from "./processes.ts";
import { listProjectObjects } from "./project-objects.ts";
import { readPull } from "./pull.ts";
import { createReader, type Reader } from "./reader.ts";
import { createScheduleReads } from "./schedule-reads.ts";
import { createSealing, isSameCheck, type Sealing } from "./sealing.ts";
import { tokenKey } from "./secrets.ts";
import { loadSources } from "./sources.ts";
import { loadSubscriptions } from "./subscriptions.ts";
import { Writer } from "./writer.ts";

export type * from "./contract.ts";
export { FIRST_RESEAL, type ResealCursor } from "./key-rotation.ts";

const MEMORY = ":memory:";
/** What a command holds in memory besides its body: rows, promise, strings. Rough. */
const COMMAND_BYTES = 512;

/** Opens or creates a store and takes it over. Throws StoreOpenError with what to do about it. */
export function openStore(options: StoreOptions): Store {
  const { path, clock } = options;
  const lock = path === MEMORY ? null : lockStore(path);
  const opened: Database[] = [];
  try {
    const db = openWriter(options);
    opened.push(db);
    migrate(db);
    checkClock(db, clock.kind);
    const sealing = openSealing(db, masterKeysOf(options), options.randomBytes);
    const readDb = path === MEMORY ? db : openReader(path);
    if (readDb !== db) opened.push(readDb);
    const { lease } = registerProcess(db, options.version, clock.wallNow());
    return createStore(options, { db, readDb, lock, sealing, lease });
  } catch (error) {
    for (const db of opened) db.close();
    lock?.release();
    throw error;
  }
}

/** The first open stamps the file; every later one must agree. */
function checkClock(db: Database, clockKind: string): void {
  const read = db.query<{ value: Uint8Array | string }, [string]>("SELECT value FROM meta WHERE name = ?");
  const write = db.query("INSERT INTO meta (name, value) VALUES (?, ?)");
  const stampedKind = read.get("clock")?.value;
  if (stampedKind === undefined) write.run("clock", clockKind);
  else if (stampedKind !== clockKind) {
    throw new StoreOpenError(
      `the store was made with the ${stampedKind} clock, not the ${clockKind} one; use another store.path`,
    );
  }
}

function masterKeysOf({ masterKey, previousKey, stagedKey }: StoreOptions): MasterKeys {
  return { wanted: masterKey, previous: previousKey, staged: stagedKey };
}

interface Parts {
  readonly db: Database;
  readonly readDb: Database;
  readonly lock: StoreLock | null;
  readonly sealing: MasterSealing;
  readonly lease: number;
}

function createStore(options: StoreOptions, parts: Parts): Store {
  const { db, readDb, sealing, lease } = parts;
  const { clock } = options;
  const newestId = readNewestId(db);
  const signsTokens = tokenKey(db, sealing, options.randomBytes);
  const journal = new Journal();
  const writer = new Writer<Command>({
    db,
    apply: createApply({ db, sealing, lease, lastSeq: readLastSeq(db), journal }),
    journal,
    defer: options.defer ?? setImmediate,
    delay: (delayMs, fire) => clock.setWallTimer(delayMs, fire),
    ...(options.onHealth ? { onHealth: options.onHealth } : {}),
  });
  const positions = createPositionReads(readDb);
  const reader = createReader({ db: readDb, path: options.path === MEMORY ? null : options.path, clock });
  const usedBytes = createUsedBytes(db, options.path);
  let closing: Promise<void> | null = null;
  const read = async <Result>(query: () => Result): Promise<Result> => {
    if (closing) throw new AppError("shutting_down", "the server is stopping");
    return query();
  };
  return {
    lease,
    newestId,
    tokenKey: signsTokens,
    durability: options.durability,
    get health() {
      return writer.health;
    },
    get isKeyRotating() {
      return sealing.isRotating;
    },
    counts: () => ({ ...writer.counts, usedBytes: usedBytes() }),
    usedBytes,
    onChanges: (listener) => journal.listen(listener),
    ...writingVerbs(writer),
    ...rotationVerbs(options, { db, sealing, writer }),
    ...reader.lists,
    ...scheduleReads(readDb, read),
    ...definitionReads(readDb, sealing, read),
    failingSince: () => read(() => loadFailing(readDb)),
    dueDeadlines: ({ now, limit }) => read(() => positions.dueDeadlines(now, limit)),
    deliveryPosition: (id) => read(() => positions.deliveryPosition(id)),
    laneHeads: () => read(() => positions.laneHeads()),
    historyEntry: (lookup) => read(() => readHistoryEntry(readDb, lookup)),
    historyOfEvent: (lookup) => read(() => readHistoryOfEvent(readDb, lookup)),
    historyAttempts: (seq) => read(() => listAttempts(readDb, seq)),
    ...exportReads(readDb, read),
    openBulks: () => read(() => openBulks(readDb)),
    pull: (input) => read(() => readPull(readDb, input)),
    close: () => {
      closing ??= closeAll(writer, reader, { ...parts, now: () => clock.wallNow() });
      return closing;
    },
  };
}

type Submit = <Result>(command: Command) => Promise<Result>;

function writingVerbs(
  writer: Writer<Command>,
): Pick<Store, Exclude<Command["verb"], RotationCommand["verb"]>> {
  const submit = <Result>(command: Command) => writer.submit<Result>(command);
  return {
    accept: (event) =>
      writer.submit(
        { verb: "accept", event },
        { weightBytes: event.body.byteLength + event.headers.length + COMMAND_BYTES },
      ),
    createDelivery: (delivery, now) =>
      writer.submit(
        { verb: "createDelivery", delivery, now },
        { weightBytes: delivery.payload.body.byteLength + COMMAND_BYTES },
      ),
    send: (send) =>
      writer.submit(
        { verb: "send", send },
        { weightBytes: send.delivery.payload.body.byteLength + COMMAND_BYTES },
      ),
    erase: (input) => submit({ verb: "erase", ...input }),
    putExport: (record) => submit({ verb: "putExport", record }),
    addExportPart: (part) =>
      writer.submit({ verb: "addExportPart", ...part }, { weightBytes: part.text.length + COMMAND_BYTES }),
    removeExport: (id) => submit({ verb: "removeExport", id }),
    createCharged: (charged) =>
      writer.submit(
        { verb: "createCharged", charged },
        { weightBytes: (charged.delivery.payload?.body.byteLength ?? 0) + COMMAND_BYTES },
      ),
    removeDelivery: (removal) => submit({ verb: "removeDelivery", removal }),
    claim: (input) => submit({ verb: "claim", input }),
    // Kept when it tells of what has happened already. What somebody merely wishes (cancel, replay) can be
    // refused.
    transition: (change) =>
      writer.submit(
        { verb: "transition", change },
        { isKept: change.lease !== null || change.attempt !== null, weightBytes: COMMAND_BYTES },
      ),
    reject: (rejection) =>
      writer.submit(
        { verb: "reject", rejection },
        { weightBytes: rejection.body.byteLength + COMMAND_BYTES },
      ),
    parkLane: (input) => submit({ verb: "parkLane", input }),
    releaseHeld: (input) => submit({ verb: "releaseHeld", input }),
    heartbeat: (now) => submit({ verb: "heartbeat", now }),
    purge: (input) => submit({ verb: "purge", input }),
    addRollups: (deltas) => submit({ verb: "addRollups", deltas }),
    ...bulkVerbs(submit),
    ...objectVerbs(submit),
    ...scheduleWrites(submit),
    ...callbackWrites(submit),
    putFunctionHost: (host) => submit({ verb: "putFunctionHost", host }),
    noteKeyUse: (id, usedAt) => submit({ verb: "noteKeyUse", id, usedAt }),
    removeFunctionHost: (project) => submit({ verb: "removeFunctionHost", project }),
    together: (changes) =>
      writer.submit({ verb: "together", changes }, { weightBytes: changes.length * COMMAND_BYTES }),
  };
}

function bulkVerbs(submit: Submit): Pick<Store, "createBulk" | "stepBulk" | "setBulkState" | "copyDelivery"> {
  return {
    createBulk: (bulk, now) => submit({ verb: "createBulk", bulk, now }),
    stepBulk: (input) => submit({ verb: "stepBulk", input }),
    setBulkState: (lookup, state, now) => submit({ verb: "setBulkState", lookup, state, now }),
    copyDelivery: (lookup, newId, now) => submit({ verb: "copyDelivery", lookup, newId, now }),
  };
}

function objectVerbs(submit: Submit) {
  return {
    putEndpoint: (definition, now) => submit({ verb: "putEndpoint", definition, now }),
    putSource: (definition, now) => submit({ verb: "putSource", definition, now }),
    putSubscription: (definition, now) => submit({ verb: "putSubscription", definition, now }),
    putProject: (definition, now) => submit({ verb: "putProject", definition, now }),
    putApiKey: (definition, now) => submit({ verb: "putApiKey", definition, now }),
    setEndpointPaused: (id, pausedAt) => submit({ verb: "setEndpointPaused", id, pausedAt }),
    setEndpointDisabled: (id, disabled) => submit({ verb: "setEndpointDisabled", id, disabled }),
    setFailingSince: (lane, since) => submit({ verb: "setFailingSince", lane, since }),
    setSourcePaused: (id, pausedAt) => submit({ verb: "setSourcePaused", id, pausedAt }),
    retireEndpoint: (id, now) => submit({ verb: "retireEndpoint", id, now }),
    retireSource: (id, now) => submit({ verb: "retireSource", id, now }),
    retireSubscription: (id, now) => submit({ verb: "retireSubscription", id, now }),
    retireProject: (name, now) => submit({ verb: "retireProject", name, now }),
    retireApiKey: (id, now) => submit({ verb: "retireApiKey", id, now }),
  } satisfies Partial<Store>;
}

function scheduleWrites(submit: Submit) {
  return {
    putSchedule: (write) => submit({ verb: "putSchedule", write }),
    fireSchedule: (step) => submit({ verb: "fireSchedule", step }),
    releaseRuns: (release) => submit({ verb: "releaseRuns", release }),
    runSchedule: (release) => submit({ verb: "runSchedule", release }),
    setSchedulePaused: (pause) => submit({ verb: "setSchedulePaused", pause }),
    retireSchedule: (id, now) => submit({ verb: "retireSchedule", id, now }),
  } satisfies Partial<Store>;
}

function callbackWrites(submit: Submit) {
  return {
    putCallbackConfig: (definition, now) => submit({ verb: "putCallbackConfig", definition, now }),
    retireCallbackConfig: (id, now) => submit({ verb: "retireCallbackConfig", id, now }),
  } satisfies Partial<Store>;
}

interface RotationParts {
  readonly db: Database;
  readonly sealing: MasterSealing;
  readonly writer: Writer<Command>;
}

/** What a command of a rotation means for the keys in memory follows its commit, never precedes it. */
function rotationVerbs(
  { randomBytes }: StoreOptions,
  { db, sealing, writer }: RotationParts,
): Omit<KeyRotationVerbs, "isKeyRotating"> {
  return {
    hasMasterKey: (key) => isSameCheck(createSealing(key, randomBytes).checkValue, sealing.checkValue),
    async beginKeyRotation(key) {
      const next = createSealing(key, randomBytes);
      await writer.submit({ verb: "noteKeyRotation", check: next.checkValue });
      sealing.begin(next);
    },
    reseal: (cursor, limit) => writer.submit({ verb: "reseal", cursor, limit }),
    async finishKeyRotation() {
      await writer.submit({ verb: "settleKeyRotation", check: sealing.checkValue });
      sealing.finish();
      emptyLog(db);
    },
  };
}

function exportReads(
  db: Database,
  read: <R>(query: () => R) => Promise<R>,
): Omit<ExportVerbs, Command["verb"]> {
  const reads = createExportReads(db);
  return {
    exportById: (id) => read(() => reads.exportById(id)),
    exportsOf: (project) => read(() => reads.exportsOf(project)),
    exportPart: (id, number) => read(() => reads.exportPart(id, number)),
  };
}

function definitionReads(db: Database, sealing: Sealing, read: <R>(query: () => R) => Promise<R>) {
  return {
    loadDefinitions: () => read(() => loadDefinitions(db, sealing)),
    loadKeyUses: () => read(() => loadKeyUses(db)),
    loadFunctionHosts: () => read(() => loadFunctionHosts(db, sealing)),
    loadCallbackConfigs: () => read(() => loadCallbackConfigs(db, sealing)),
    projectObjects: (project) => read(() => listProjectObjects(db, project)),
  } satisfies Partial<Store>;
}

type ScheduleReads = Omit<ScheduleVerbs, Command["verb"]>;

function scheduleReads(db: Database, read: <R>(query: () => R) => Promise<R>): ScheduleReads {
  const reads = createScheduleReads(db);
  return {
    dueSchedules: (now, limit) => read(() => reads.dueSchedules(now, limit)),
    nextScheduleDueAt: () => read(reads.nextScheduleDueAt),
    scheduleOfDelivery: (seq) => read(() => reads.scheduleOfDelivery(seq)),
    scheduleOfSeq: (seq) => read(() => reads.scheduleOfSeq(seq)),
    scheduleById: (id) => read(() => reads.scheduleById(id)),
    scheduleNamed: (project, name) => read(() => reads.scheduleNamed(project, name)),
    schedulesOfDoor: (door) => read(() => reads.schedulesOfDoor(door)),
    listSchedules: (filter) => read(() => reads.listSchedules(filter)),
    scheduleSkips: (seq) => read(() => reads.scheduleSkips(seq)),
    schedulesWithWaiting: () => read(reads.schedulesWithWaiting),
    waitingRuns: (seq, limit) => read(() => reads.waitingRuns(seq, limit)),
  };
}

function loadDefinitions(db: Database, sealing: Sealing): Definitions {
  return {
    projects: loadProjects(db),
    apiKeys: loadApiKeys(db),
    endpoints: loadEndpoints(db, sealing),
    sources: loadSources(db, sealing),
    subscriptions: loadSubscriptions(db),
  };
}

function createUsedBytes(db: Database, path: string): () => number {
  const pages = db.query<{ bytes: number }, []>(
    `SELECT (p.page_count - f.freelist_count) * s.page_size AS bytes
     FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`,
  );
  return () => {
    const wal = path === MEMORY ? undefined : statSync(`${path}-wal`, { throwIfNoEntry: false });
    return (pages.get()?.bytes ?? 0) + (wal?.size ?? 0);
  };
}

async function closeAll(
  writer: Writer<Command>,
  reader: Reader,
  parts: Parts & { now(): number },
): Promise<void> {
  reader.close();
  await writer.stop();
  const { db, readDb, lock, lease, now } = parts;
  if (writer.health.isHealthy) markStopped(db, lease, now());
  if (readDb !== db) readDb.close();
  // The last connection to close checkpoints the log and removes it.
  db.close();
  lock?.release();
}
