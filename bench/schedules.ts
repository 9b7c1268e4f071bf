/**
 * (m) to (p): what time costs. Timers that fall due at 1,000 per second beside many that do not yet; how fast
 * timers are taken in; very many cron schedules that are due at one instant, and what producers feel of it;
 * and a look at what is due when nothing is, which must not depend on how much is pending.
 */
import { makeStore } from "./backlog.ts";
import type { Bench } from "./bench.ts";
import { CONNECTIONS } from "./bench.ts";
import { startChild } from "./children.ts";
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { residentMiB } from "./machine.ts";
import { withSink } from "./peaks.ts";
import { API_KEY, type Product, startProduct } from "./product.ts";
import { startReceiver } from "./receiver.ts";
import { type Opened, seedPendingTimers, seedSchedules, seedTimers, withStore } from "./seed.ts";
import { median, spreadOf } from "./statistics.ts";
import { aimAtMost, aimUnder, plainRow, type Row } from "./table.ts";

const LATENESS_AIM_MS = 20;
/** 1,000 per second. */
const GAP_MS = 1;
const BARE_PROGRAM = Bun.fileURLToPath(import.meta.resolve("./bare-timers.ts"));
/** From seeding to the first of what was seeded: the time for a start, and for it to come to rest. */
const HEADSTART_MS = 6_000;
const PROGRESS_EVERY = 200_000;
/** What producers send meanwhile, and for how long before everything is due. */
const PACED_PER_SECOND = 500;
const BEFORE_SECONDS = 3;
const POLL_MS = 20;
const HANDED_LIMIT_MS = 120_000;
const LOOKS = 2_000;
const LOOK_AIM = 1.5;
const DAY_MS = 86_400_000;

const plus = (count: number) => count.toLocaleString("en");

/** (m), (n) and (p), with one store that has much pending and one that has nothing. */
export async function measureTime(bench: Bench, emit: (rows: readonly Row[]) => void): Promise<void> {
  const { manyPending: timers, schedules } = bench.durations;
  await bench.withFolder((empty) =>
    bench.withFolder(async (many) => {
      await makeStore(bench, empty);
      await makeStore(bench, many);
      await seedPendingTimers(many, timers, (done) => {
        bench.checkTime();
        if (done % PROGRESS_EVERY === 0) bench.progress(`seeded ${plus(done)} timers`);
      });
      await seedSchedules(many, schedules, Date.now() + DAY_MS);
      emit([await measureLooks(empty, many, { timers, schedules })]);
      emit(await measureInserts(bench, empty));
      emit(await measureFastTimers(bench, many));
    }),
  );
}

interface Lateness {
  readonly url: string;
  readonly firstAt: number;
  readonly dueAts: readonly number[];
}

/** (m): from when each was due to when it arrived; then the same with bare timers. */
async function measureFastTimers(bench: Bench, folder: string): Promise<Row[]> {
  const { fastTimers, manyPending } = bench.durations;
  const product = await lateOf(fastTimers, async ({ url, dueAts }) => {
    await seedTimers(folder, dueAts);
    return startProduct(bench.program, { mode: "path", folder, sinkUrl: url });
  });
  const bare = await lateOf(fastTimers, async ({ url, firstAt }) => {
    const plan = [url, firstAt, fastTimers, GAP_MS].map(String);
    const child = startChild([process.execPath, BARE_PROGRAM, ...plan]);
    return { kill: () => child.stop(0) };
  });
  const what = `timers at 1,000/s, due to arrived, ${plus(manyPending)} pending (left: bare timers)`;
  const aim = aimUnder(product.p99, LATENESS_AIM_MS, "ms");
  const row = (name: string, part: "p50" | "p99" | "max") => ({
    ...({
      part: "m",
      what: `${what}, ${name}`,
      unit: "ms",
      ratio: null,
      aim: part === "p99" ? aim : null,
    } as const),
    ...{ beside: bare[part], value: product[part] },
  });
  return [row("p50", "p50"), row("p99", "p99"), row("worst", "max")];
}

/** Returns how late the timers of one program arrive. */
async function lateOf(count: number, start: (timers: Lateness) => Promise<{ kill(): Promise<void> }>) {
  const receiver = startReceiver();
  const firstAt = Date.now() + HEADSTART_MS;
  const dueAts = Array.from({ length: count }, (_, index) => firstAt + Math.floor(index * GAP_MS));
  const program = await start({ url: receiver.url, firstAt, dueAts });
  try {
    await receiver.waitFor(count, 2 * HEADSTART_MS + 2 * count * GAP_MS);
  } finally {
    await program.kill();
    await receiver.stop();
  }
  return spreadOf(
    dueAts.map((dueAt, mark) => {
      const arrivedMs = receiver.arrivals.get(mark) ?? Number.NaN;
      return Math.max(0, performance.timeOrigin + arrivedMs - dueAt);
    }),
  );
}

/** (n): `POST /_/api/deliveries` with a delay, answered after its fsync, in a closed loop. */
async function measureInserts(bench: Bench, folder: string): Promise<Row[]> {
  const sinkUrl = "http://127.0.0.1:1/";
  const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl });
  try {
    const url = new URL(`${product.base}/_/api/deliveries`);
    const headers = { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" };
    const body = JSON.stringify({ endpoint: "sink", json: { remind: "in a day" }, delay: "1d" });
    const request = Buffer.from(requestBytes("POST", url, { headers, body }));
    const pool = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpConnection.open(url)));
    const loop = async (connection: HttpConnection, untilMs: number) => {
      let count = 0;
      for (; performance.now() < untilMs; count += 1) {
        const { status } = await connection.send(request);
        if (status !== 200) throw new Error(`a timer was answered with ${status}`);
      }
      return count;
    };
    const round = async (seconds: number) => {
      const untilMs = performance.now() + seconds * 1_000;
      const counts = await Promise.all(pool.map((connection) => loop(connection, untilMs)));
      return counts.reduce((sum, count) => sum + count, 0) / seconds;
    };
    await round(bench.durations.warmSeconds);
    const value = await round(2 * bench.durations.sliceSeconds);
    for (const connection of pool) connection.close();
    return [plainRow("n", "timers taken in over the API, fsynced", { unit: "perSecond", value })];
  } finally {
    await product.kill();
  }
}

/** (o): everything is due at once, while producers go on. */
export function measureSchedules(bench: Bench): Promise<Row[]> {
  const { schedules } = bench.durations;
  return withSink("path", (sinkUrl) =>
    bench.withFolder(async (folder) => {
      await makeStore(bench, folder);
      const seedMs = schedules / 10;
      const headMs = seedMs + HEADSTART_MS + BEFORE_SECONDS * 1_000;
      const runAt = Math.ceil((Date.now() + headMs) / 1_000) * 1_000;
      await seedSchedules(folder, schedules, runAt);
      const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl });
      const ingestUrl = product.url.replace(/path$/, "ingest");
      try {
        return await watchRush(bench, { product, runAt, ingestUrl });
      } finally {
        await product.kill();
      }
    }),
  );
}

interface Rush {
  readonly product: Product;
  readonly runAt: number;
  readonly ingestUrl: string;
}

async function watchRush(bench: Bench, { product, runAt, ingestUrl }: Rush): Promise<Row[]> {
  const { schedules } = bench.durations;
  const paced = (seconds: number) =>
    bench.generator.paced({ url: ingestUrl, seconds, connections: 256 }, PACED_PER_SECOND);
  await bench.generator.peak({ url: ingestUrl, seconds: 1, connections: CONNECTIONS });
  await Bun.sleep(Math.max(0, runAt - Date.now() - BEFORE_SECONDS * 1_000 - 500));
  const before = await paced(BEFORE_SECONDS);
  const idleMiB = residentMiB(product.pid);
  await Bun.sleep(Math.max(0, runAt - Date.now() - 100));
  const handed = waitForRuns(product, schedules, runAt);
  const during = await paced(Math.max(1, Math.round(schedules / 15_000)));
  const { handedMs, peakMiB } = await handed;
  const what = `${plus(schedules)} crons due at once`;
  const pace = `acknowledgement at ${PACED_PER_SECOND}/s`;
  bench.progress(`${what}: ${Math.round(handedMs)} ms; worst acknowledgement ${during.maxMs.toFixed(1)} ms`);
  return [
    plainRow("o", `${what}: until the last is with its lane`, { unit: "ms", value: handedMs }),
    {
      ...{ part: "o", what: `${what}: resident memory at most, beside before`, unit: "MiB" },
      ...{ beside: idleMiB, value: peakMiB, ratio: null, aim: null },
    },
    {
      ...{ part: "o", what: `${pace} meanwhile, p50 (left: before)`, unit: "ms" },
      ...{ beside: before.p50Ms, value: during.p50Ms, ratio: null, aim: null },
    },
    {
      ...{ part: "o", what: `${pace} meanwhile, p99 (left: before)`, unit: "ms" },
      ...{ beside: before.p99Ms, value: during.p99Ms, ratio: null, aim: null },
    },
  ];
}

async function waitForRuns(product: Product, count: number, runAt: number) {
  let peakMiB = 0;
  for (;;) {
    const runs = await product.scheduleRuns();
    peakMiB = Math.max(peakMiB, residentMiB(product.pid));
    if (runs >= count) return { handedMs: Date.now() - runAt, peakMiB };
    if (Date.now() - runAt > HANDED_LIMIT_MS) throw new Error(`${runs} of ${count} schedules ran`);
    await Bun.sleep(POLL_MS);
  }
}

/** (p): what the scheduler and a lane ask the store when they wake and nothing is due. */
async function measureLooks(
  empty: string,
  many: string,
  pending: { readonly timers: number; readonly schedules: number },
): Promise<Row> {
  const cost = { empty: Number.NaN, many: Number.NaN };
  await withStore(empty, async (opened) => {
    cost.empty = await costOfLook(opened);
  });
  await withStore(many, async (opened) => {
    cost.many = await costOfLook(opened);
  });
  const ratio = cost.many / cost.empty;
  const [timers, schedules] = [plus(pending.timers), plus(pending.schedules)];
  return {
    part: "p",
    what: `a tick, nothing due; ${timers} timers, ${schedules} crons pending (left: none)`,
    unit: "us",
    beside: cost.empty,
    value: cost.many,
    ratio: { median: ratio, least: ratio, most: ratio },
    aim: aimAtMost(ratio, LOOK_AIM),
  };
}

async function costOfLook({ store, now }: Opened): Promise<number> {
  const { endpoints } = await store.loadDefinitions();
  const lane = endpoints.find(({ name }) => name === "sink")?.lane ?? 0;
  const costs: number[] = [];
  for (let number = 0; number < LOOKS; number += 1) {
    const startMs = performance.now();
    const due = await store.dueSchedules(now, 128);
    await store.nextScheduleDueAt();
    const claimed = await store.claim({ lane, now, limit: 64, bytesMax: 1_000_000 });
    if (due.length + claimed.claimed.length > 0) throw new Error("something was due");
    costs.push((performance.now() - startMs) * 1_000);
  }
  return median(costs);
}
