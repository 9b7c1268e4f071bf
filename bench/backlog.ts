/**
 * (g) to (j): what a backlog for an endpoint that nobody listens at costs everybody else. Two stores, one
 * with few and one with many pending, run side by side and are loaded in turn, which gives deliveries per
 * second to an endpoint that works. Timers are seeded into the larger store and timed as they arrive.
 */
import type { Bench } from "./bench.ts";
import { residentMiB } from "./machine.ts";
import { withSink } from "./peaks.ts";
import { type Product, startProduct } from "./product.ts";
import { startReceiver } from "./receiver.ts";
import { seedBacklog, seedTimers } from "./seed.ts";
import { median, spreadOf } from "./statistics.ts";
import { aimAtLeast, aimUnder, plainRow, type Row } from "./table.ts";
import { medianOf, type Round, ratioOf, type Slice, takeTurns } from "./turns.ts";

const FLAT_AIM = 0.8;
const IDLE_AIM_MIB = 100;
const LOADED_AIM_MIB = 300;
const EMPTY_START_AIM_MS = 150;
const LOADED_START_AIM_MS = 2_000;
const LATENESS_AIM_MS = 20;
/** Until the breaker of the dead endpoint is open and the process has come to rest. */
const SETTLE_MS = 1_500;
/** From seeding timers to the first of them: the time for a start, and for it to come to rest. */
const TIMER_HEADSTART_MS = 6_000;
const TIMER_GAP_MS = 4;
const PROGRESS_EVERY = 200_000;
/** For starts that deliver nothing. */
const NO_SINK_URL = "http://127.0.0.1:1/";

/** Starts on a new store several times: (h) idle and (i) empty. */
export async function measureEmpty(bench: Bench): Promise<Row[]> {
  const readyMs: number[] = [];
  const idleMiB: number[] = [];
  for (let number = 0; number < bench.durations.emptyStarts; number += 1) {
    await bench.withFolder(async (folder) => {
      const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl: NO_SINK_URL });
      readyMs.push(product.readyMs);
      await Bun.sleep(number === 0 ? SETTLE_MS : 0);
      if (number === 0) idleMiB.push(residentMiB(product.pid));
      await product.kill();
    });
  }
  const start = median(readyMs);
  const memory = median(idleMiB);
  const memoryAim = aimUnder(memory, IDLE_AIM_MIB, "MiB");
  const startAim = aimUnder(start, EMPTY_START_AIM_MS, "ms");
  return [
    plainRow("h", "resident memory, empty and idle", { unit: "MiB", value: memory, aim: memoryAim }),
    plainRow("i", "start to ready, empty store", { unit: "ms", value: start, aim: startAim }),
  ];
}

/**
 * Seeds both stores, visits them in turn and times timers beside the larger backlog. Emits rows as they come.
 */
export async function measureBacklog(bench: Bench, emit: (rows: readonly Row[]) => void): Promise<void> {
  const { fewPending, manyPending } = bench.durations;
  await bench.withFolder((few) =>
    bench.withFolder(async (many) => {
      await prepare(bench, few, fewPending);
      await prepare(bench, many, manyPending);
      emit(besideRows(await measureBeside(bench, { few, many }), { few: fewPending, many: manyPending }));
      emit(await measureTimers(bench, many));
    }),
  );
}

/** Makes a store with its sources and endpoints, by starting once. */
export async function makeStore(bench: Bench, folder: string): Promise<void> {
  const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl: NO_SINK_URL });
  await product.stop();
}

async function prepare(bench: Bench, folder: string, count: number): Promise<void> {
  await makeStore(bench, folder);
  const startMs = performance.now();
  await seedBacklog(folder, count, (done) => {
    bench.checkTime();
    if (done % PROGRESS_EVERY === 0) bench.progress(`seeded ${done.toLocaleString("en")} deliveries`);
  });
  const seconds = (performance.now() - startMs) / 1_000;
  bench.progress(`seeded ${count.toLocaleString("en")} deliveries in ${seconds.toFixed(1)} s`);
}

interface Beside {
  readonly rounds: readonly Round<"few" | "many">[];
  /** Of the process with many pending. */
  readonly idleMiB: number;
  readonly readyMs: number;
}

/** Runs both stores side by side and loads them in turn. */
function measureBeside(bench: Bench, folders: Readonly<Record<"few" | "many", string>>): Promise<Beside> {
  return withSink("path", async (sinkUrl) => {
    const start = (folder: string) => startProduct(bench.program, { mode: "path", folder, sinkUrl });
    const readyMs: number[] = [];
    for (let number = 1; number < bench.durations.backlogStarts; number += 1) {
      const product = await start(folders.many);
      readyMs.push(product.readyMs);
      await product.stop();
    }
    const many = await start(folders.many);
    readyMs.push(many.readyMs);
    const idleMiB = await settle(many);
    const few = await start(folders.few);
    try {
      const rounds = await takeTurns(bench, { few, many }, bench.durations.rounds);
      for (const round of rounds) {
        const [left, right] = [round.few, round.many].map((slice) => Math.round(slice.deliveredPerSecond));
        bench.progress(`delivered: ${left}/s beside few, ${right}/s beside many`);
      }
      return { rounds, idleMiB, readyMs: median(readyMs) };
    } finally {
      await Promise.all([few.stop(), many.stop()]);
    }
  });
}

/** Returns the resident memory when the dead endpoint has been tried and given up for now. */
async function settle(product: Product): Promise<number> {
  await Bun.sleep(SETTLE_MS);
  if ((await product.failedAttempts("dead")) === 0) throw new Error("the dead endpoint was never tried");
  return residentMiB(product.pid);
}

function besideRows(
  { rounds, idleMiB, readyMs }: Beside,
  pending: { readonly few: number; readonly many: number },
): Row[] {
  const delivered = (slice: Slice) => slice.deliveredPerSecond;
  const ratio = ratioOf(rounds, { of: "many", to: "few" }, delivered);
  const [few, many] = [pending.few, pending.many].map((count) => count.toLocaleString("en"));
  const memoryAim = aimUnder(idleMiB, LOADED_AIM_MIB, "MiB");
  const startAim = aimUnder(readyMs, LOADED_START_AIM_MS, "ms");
  const busyMiB = rounds.at(-1)?.many.residentMiB ?? Number.NaN;
  return [
    {
      part: "g",
      what: `delivered with ${many} pending (right) beside ${few} (left)`,
      unit: "perSecond",
      beside: medianOf(rounds, "few", delivered),
      value: medianOf(rounds, "many", delivered),
      ratio,
      aim: aimAtLeast(ratio.median, FLAT_AIM),
    },
    plainRow("h", `resident memory, ${many} pending, idle`, { unit: "MiB", value: idleMiB, aim: memoryAim }),
    plainRow("h", `resident memory, ${many} pending, after the load of g`, { unit: "MiB", value: busyMiB }),
    plainRow("i", `start to ready, ${many} pending`, { unit: "ms", value: readyMs, aim: startAim }),
  ];
}

/** (j): timers that were stored before the start, compared with when they arrive. */
async function measureTimers(bench: Bench, folder: string): Promise<Row[]> {
  const { timers, manyPending } = bench.durations;
  const receiver = startReceiver();
  const firstAt = Date.now() + TIMER_HEADSTART_MS;
  const dueAts = Array.from({ length: timers }, (_, index) => firstAt + index * TIMER_GAP_MS);
  await seedTimers(folder, dueAts);
  const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl: receiver.url });
  try {
    await receiver.waitFor(timers, 2 * TIMER_HEADSTART_MS + timers * TIMER_GAP_MS);
  } finally {
    await product.kill();
    await receiver.stop();
  }
  const lateMs = dueAts.map((dueAt, mark) => {
    const arrivedMs = receiver.arrivals.get(mark) ?? Number.NaN;
    return Math.max(0, performance.timeOrigin + arrivedMs - dueAt);
  });
  const { p50, p99 } = spreadOf(lateMs);
  const what = `timers, due to arrived, ${manyPending.toLocaleString("en")} pending`;
  const aim = aimUnder(p99, LATENESS_AIM_MS, "ms");
  return [
    plainRow("j", `${what}, p50`, { unit: "ms", value: p50 }),
    plainRow("j", `${what}, p99`, { unit: "ms", value: p99, aim }),
  ];
}
