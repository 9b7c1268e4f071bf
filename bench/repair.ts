/**
 * (t) a replay of very many dead letters: how soon its first delivery arrives, and what fresh deliveries of
 * the same endpoint wait for while it runs; (u) lists and searches in a small and in a large store.
 */
import { Database } from "bun:sqlite";
import { makeStore } from "./backlog.ts";
import type { Bench } from "./bench.ts";
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { API_KEY, type Product, startProduct } from "./product.ts";
import { seedBacklog, storeFile } from "./seed.ts";
import { median, spreadOf } from "./statistics.ts";
import { aimUnder, plainRow, type Row } from "./table.ts";
import { FIXED_HEADERS, KEY_HEADER, paddedBody, signatureOf } from "./workload.ts";

const FIRST_AIM_MS = 1_000;
const DELAY_AIM_MS = 20;
const LIST_AIM_MS = 20;
const GAP_MS = 10;
const WARM_COUNT = 30;
const ARRIVAL_LIMIT_MS = 10_000;
const LIST_ROUNDS = 60;
const SEARCH_ROUNDS = 10;
const PROGRESS_EVERY = 200_000;

/** Newest first, whatever the size of the store; the last two look through texts. */
const LISTS = [
  "deliveries",
  "deliveries?state=dead",
  "deliveries?endpoint=sink",
  "events",
  "events?source=path",
];
const FOUND = "deliveries?q=number";
const NOT_FOUND = "deliveries?q=nowhere+to+be+found";

interface Sink {
  readonly url: string;
  /** When each fresh delivery came, by its mark. */
  readonly arrivals: Map<number, number>;
  /** When the first one without a mark came. */
  firstReplayMs: number | null;
  replayed: number;
  stop(): Promise<void>;
}

function startSink(): Sink {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const atMs = performance.now();
      const { mark } = (await request.json()) as { mark?: number };
      if (mark !== undefined) sink.arrivals.set(mark, atMs);
      else {
        sink.firstReplayMs ??= atMs;
        sink.replayed += 1;
      }
      return new Response("ok");
    },
  });
  const sink: Sink = {
    url: server.url.href,
    arrivals: new Map(),
    firstReplayMs: null,
    replayed: 0,
    stop: () => server.stop(true),
  };
  return sink;
}

/** Makes a store with so many dead letters of the endpoint that works. */
async function prepare(bench: Bench, folder: string, count: number): Promise<void> {
  await makeStore(bench, folder);
  await seedBacklog(
    folder,
    count,
    (done) => {
      bench.checkTime();
      if (done % PROGRESS_EVERY === 0) bench.progress(`seeded ${done.toLocaleString("en")} dead letters`);
    },
    "path",
  );
  const db = new Database(storeFile(folder), { strict: true });
  db.run("PRAGMA synchronous = OFF");
  db.transaction(() => {
    db.run("DELETE FROM queue");
    db.run(
      `UPDATE delivery SET state = 'dead', due_at = NULL, finished_at = created_at, attempt_count = 1,
         last_status = 500, last_error = 'HTTP 500'`,
    );
  })();
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
}

export async function measureRepair(bench: Bench, emit: (rows: readonly Row[]) => void): Promise<void> {
  const { fewPending, manyPending } = bench.durations;
  await bench.withFolder((few) =>
    bench.withFolder(async (many) => {
      await prepare(bench, few, fewPending);
      await prepare(bench, many, manyPending);
      const [left, right] = [await measureLists(bench, few), await measureLists(bench, many)];
      const sizes = `${manyPending.toLocaleString("en")} (right) and ${fewPending.toLocaleString("en")}`;
      emit(listRows(sizes, left, right));
      emit(await measureReplay(bench, many));
    }),
  );
}

interface ListTimes {
  readonly listP99: number;
  readonly foundP99: number;
  readonly notFoundP50: number;
}

async function measureLists(bench: Bench, folder: string): Promise<ListTimes> {
  const sink = startSink();
  const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl: sink.url });
  try {
    const p99s: number[] = [];
    for (const list of LISTS) p99s.push(spreadOf(await timesOf(product, list, LIST_ROUNDS)).p99);
    const found = spreadOf(await timesOf(product, FOUND, LIST_ROUNDS));
    const notFound = await timesOf(product, NOT_FOUND, SEARCH_ROUNDS);
    return { listP99: Math.max(...p99s), foundP99: found.p99, notFoundP50: median(notFound) };
  } finally {
    await product.kill();
    await sink.stop();
  }
}

/** One after the other; the first is not counted. */
async function timesOf(product: Product, list: string, rounds: number): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const startMs = performance.now();
    const { status, body } = await ask(product, "GET", list);
    if (status !== 200) throw new Error(`${list} answered ${status}: ${body}`);
    if (round > 0) times.push(performance.now() - startMs);
  }
  return times;
}

async function ask(product: Product, method: string, path: string, body?: object) {
  const response = await fetch(`${product.base}/_/api/${path}`, {
    method,
    headers: { authorization: `Bearer ${API_KEY}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.text() };
}

function listRows(sizes: string, few: ListTimes, many: ListTimes): Row[] {
  const row = (what: string, name: keyof ListTimes, aimMs: number | null): Row => ({
    part: "u",
    what: `${what}, ${sizes} deliveries`,
    unit: "ms",
    beside: few[name],
    value: many[name],
    ratio: null,
    aim: aimMs === null ? null : aimUnder(many[name], aimMs, "ms"),
  });
  return [
    row("slowest list call, p99", "listP99", LIST_AIM_MS),
    row("search that finds a page, p99", "foundP99", null),
    row("search that finds nothing, p50", "notFoundP50", null),
  ];
}

/** Fresh deliveries to one endpoint, first alone and then beside the replay. */
async function measureReplay(bench: Bench, folder: string): Promise<Row[]> {
  const sink = startSink();
  const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl: sink.url });
  const connection = await HttpConnection.open(new URL(product.url));
  const count = bench.durations.idleRequests;
  try {
    const alone = await sendFresh({ connection, product, sink }, 0, count + WARM_COUNT);
    const begunMs = performance.now();
    const begun = await ask(product, "POST", "bulk", { action: "replay" });
    if (begun.status !== 200) throw new Error(`the replay was answered with ${begun.status}: ${begun.body}`);
    const beside = await sendFresh({ connection, product, sink }, 1_000_000, count + WARM_COUNT);
    const perSecond = (1_000 * sink.replayed) / (performance.now() - begunMs);
    const { id } = JSON.parse(begun.body) as { id: string };
    const { body } = await ask(product, "GET", `bulk/${id}`);
    if ((JSON.parse(body) as { state: string }).state !== "running") {
      bench.progress("the replay was over before the fresh deliveries were");
    }
    return replayRows({ alone, beside, firstMs: (sink.firstReplayMs ?? Number.NaN) - begunMs, perSecond });
  } finally {
    connection.close();
    await product.kill();
    await sink.stop();
  }
}

interface Fresh {
  readonly connection: HttpConnection;
  readonly product: Product;
  readonly sink: Sink;
}

/** Returns the p99 from sending a request to its arrival. */
async function sendFresh({ connection, product, sink }: Fresh, from: number, count: number): Promise<number> {
  const sentMs: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const mark = from + index;
    const body = paddedBody({ type: "fresh", mark });
    const headers = { ...FIXED_HEADERS, "X-Signature": signatureOf(body), [KEY_HEADER]: `fresh-${mark}` };
    sentMs.push(performance.now());
    const { status } = await connection.send(requestBytes("POST", new URL(product.url), { headers, body }));
    if (status !== 202) throw new Error(`a fresh request was answered with ${status}`);
    await Bun.sleep(GAP_MS);
  }
  const untilMs = performance.now() + ARRIVAL_LIMIT_MS;
  while (!sink.arrivals.has(from + count - 1) && performance.now() < untilMs) await Bun.sleep(GAP_MS);
  const gaps = sentMs.map((atMs, index) => (sink.arrivals.get(from + index) ?? Number.NaN) - atMs);
  return spreadOf(gaps.slice(WARM_COUNT)).p99;
}

function replayRows(found: { alone: number; beside: number; firstMs: number; perSecond: number }): Row[] {
  const { alone, beside, firstMs, perSecond } = found;
  const delay = beside - alone;
  const ratio = { median: beside / alone, least: beside / alone, most: beside / alone };
  return [
    plainRow("t", "replay of very many dead letters, begun to first arrival", {
      unit: "ms",
      value: firstMs,
      aim: aimUnder(firstMs, FIRST_AIM_MS, "ms"),
    }),
    plainRow("t", "replayed, beside fresh deliveries", { unit: "perSecond", value: perSecond }),
    {
      part: "t",
      what: "fresh delivery, sent to arrived, p99, beside the replay (right) and alone",
      unit: "ms",
      beside: alone,
      value: beside,
      ratio,
      aim: null,
    },
    plainRow("t", "  of which the replay costs", {
      unit: "ms",
      value: delay,
      aim: aimUnder(delay, DELAY_AIM_MS, "ms"),
    }),
  ];
}
