/**
 * Fills a store that no process has open: a backlog for the dead endpoint, as if its events had come in over
 * HTTP, and timers for the living one. It goes through the storage layer, so the rows are the product's own,
 * only faster.
 */
import { join } from "node:path";
import type { Endpoint } from "../src/domain/endpoint.ts";
import type { NewEvent } from "../src/domain/event.ts";
import { createIdFactory, type Id } from "../src/domain/id.ts";
import type { Source } from "../src/domain/source.ts";
import { readLocal } from "../src/domain/zone.ts";
import { SystemClock } from "../src/runtime/clock.ts";
import { SystemRandom } from "../src/runtime/random.ts";
import { openStore, type Store } from "../src/storage/store.ts";
import { MASTER_KEY_HEX } from "./product.ts";

const BATCH = 4_000;
const BODY_BYTES = 200;
const DAY_MS = 86_400_000;
const HEADERS = JSON.stringify({ "content-type": "application/json", "user-agent": "seed" });

export interface Opened {
  readonly store: Store;
  readonly nextId: () => Id;
  readonly now: number;
}

/** Where startProduct has its store, too. */
export function storeFile(folder: string): string {
  return join(folder, "postern.db");
}

/** Runs something with the store in `folder`, which is made when absent, and closes it. */
export async function withStore(folder: string, run: (opened: Opened) => Promise<void>): Promise<void> {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const randomBytes = (length: number) => random.bytes(length);
  const store = openStore({
    path: storeFile(folder),
    // Nobody was promised these rows, and the file is synced when it is closed.
    durability: "relaxed",
    masterKey: Buffer.from(MASTER_KEY_HEX, "hex"),
    clock,
    randomBytes,
    version: "bench",
  });
  try {
    const nextId = createIdFactory({ now: () => clock.wallNow(), randomBytes }, store.newestId);
    await run({ store, nextId, now: clock.now() });
  } finally {
    await store.close();
  }
}

/**
 * Adds `count` events, each with one delivery that is due now: for the endpoint that nobody listens at,
 * unless another source is named.
 */
export function seedBacklog(
  folder: string,
  count: number,
  onProgress: (done: number) => void,
  sourceName = "dead",
): Promise<void> {
  return withStore(folder, async (opened) => {
    const { endpoint, source } = await definitionsOf(opened.store, sourceName);
    for (let done = 0; done < count; ) {
      const size = Math.min(BATCH, count - done);
      const batch = Array.from({ length: size }, (_, index) =>
        opened.store.accept(newEvent(opened, { endpoint, source, number: done + index })),
      );
      await Promise.all(batch);
      done += size;
      onProgress(done);
    }
  });
}

function newEvent(
  { nextId, now }: Opened,
  { endpoint, source, number }: { endpoint: Endpoint; source: Source; number: number },
): NewEvent {
  const delivery = {
    id: nextId(),
    project: endpoint.project,
    lane: endpoint.lane,
    endpointId: endpoint.id,
    profile: endpoint.profile,
    state: "queued",
    dueAt: now,
    spec: null,
    payload: null,
  } as const;
  return {
    id: nextId(),
    project: source.project,
    sourceSeq: source.seq,
    type: null,
    tenant: null,
    receivedAt: now,
    remoteAddress: "127.0.0.1",
    headers: HEADERS,
    body: Buffer.from(JSON.stringify({ number, padding: "" }).padEnd(BODY_BYTES, " ")),
    dedupe: { key: `seed-${number}`, expiresAt: now + DAY_MS },
    deliveries: [delivery],
  };
}

/**
 * Adds one delivery for the living endpoint at each of these instants; the index of the instant is its mark.
 */
export function seedTimers(folder: string, dueAts: readonly number[]): Promise<void> {
  return withStore(folder, async (opened) => {
    const insert = await timerInserter(opened);
    await Promise.all(dueAts.map((dueAt, mark) => insert(dueAt, JSON.stringify({ mark }))));
  });
}

/** Adds so many deliveries for the living endpoint, due evenly over a day that begins tomorrow. */
export function seedPendingTimers(
  folder: string,
  count: number,
  onProgress: (done: number) => void,
): Promise<void> {
  return withStore(folder, async (opened) => {
    const insert = await timerInserter(opened);
    for (let done = 0; done < count; ) {
      const size = Math.min(BATCH, count - done);
      const dueAts = Array.from({ length: size }, (_, index) => {
        const share = (done + index) / count;
        return opened.now + DAY_MS + Math.floor(share * DAY_MS);
      });
      await Promise.all(dueAts.map((dueAt) => insert(dueAt, "{}")));
      done += size;
      onProgress(done);
    }
  });
}

type InsertTimer = (dueAt: number, body: string) => Promise<number>;

async function timerInserter({ store, nextId, now }: Opened): Promise<InsertTimer> {
  const { endpoint } = await definitionsOf(store, "path");
  const { project, lane, id: endpointId, profile } = endpoint;
  return (dueAt, body) =>
    store.createDelivery(
      {
        ...{ id: nextId(), project, lane, endpointId, profile, state: "queued", dueAt, spec: null },
        payload: { headers: HEADERS, body: Buffer.from(body) },
      },
      now,
    );
}

/** Zones of whole and of half hours, with DST and without. */
const ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney"] as const;

/** Adds schedules for the living endpoint whose daily crons, in five zones, all run at one instant. */
export function seedSchedules(folder: string, count: number, runAt: number): Promise<void> {
  const crons = ZONES.map((timezone) => ({ timezone, cron: dailyAt(runAt, timezone) }));
  return withStore(folder, async ({ store, nextId, now }) => {
    const put = (number: number) =>
      store.putSchedule({
        id: nextId(),
        door: "native",
        definition: {
          ...{ project: "default", name: `bench-${number}`, missed: { kind: "once" }, overlap: "skip" },
          ...{ timing: crons[number % crons.length] ?? {}, activeMax: null, endpoint: "sink" },
          content: { headers: { "content-type": "application/json" }, body: '{"kind":"bench"}' },
        },
        timing: { anchorAt: now, nextRunAt: runAt, nextDueAt: runAt },
        now,
      });
    for (let done = 0; done < count; done += BATCH) {
      const size = Math.min(BATCH, count - done);
      await Promise.all(Array.from({ length: size }, (_, index) => put(done + index)));
    }
  });
}

/** Returns the cron, with seconds, that fires at this instant of every day in a zone. */
function dailyAt(at: number, timezone: string): string {
  const local = readLocal(at, timezone).local;
  const [hour, minute, second] = local.slice(11, 19).split(":").map(Number);
  return `${second} ${minute} ${hour} * * *`;
}

/** Returns the source and the endpoint that it leads to. */
async function definitionsOf(
  store: Store,
  sourceName: string,
): Promise<{ endpoint: Endpoint; source: Source }> {
  const { endpoints, sources } = await store.loadDefinitions();
  const source = sources.find(({ name }) => name === sourceName);
  const target = source?.to[0];
  const endpoint = endpoints.find(({ name }) => target?.kind === "endpoint" && name === target.name);
  if (!source || !endpoint) throw new Error(`the store knows no source ${sourceName}`);
  return { source, endpoint };
}
