/**
 * (w) to (z): Posthook. Hooks taken in and listed; how late due ones are beside many that are not, over HTTP
 * and to a listener; hooks per second to one listener and to a hundred; what an idle listener costs.
 * Listeners are plain WebSockets in this process, so both sides share the machine.
 */
import type { Endpoint } from "../src/domain/endpoint.ts";
import type { Bench } from "./bench.ts";
import { CONNECTIONS } from "./bench.ts";
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { residentMiB } from "./machine.ts";
import { type Product, startProduct } from "./product.ts";
import { withStore } from "./seed.ts";
import { median, spreadOf } from "./statistics.ts";
import { CEILING_PROGRAM, startCeiling } from "./subject.ts";
import { aimUnder, plainRow, type Row } from "./table.ts";
import { BODY } from "./workload.ts";

const KEY = "bench-key-of-the-hooks";
const HEADSTART_MS = 6_000;
const LATENESS_AIM_MS = 20;
const BATCH = 4_000;
const LIST_ROUNDS = 100;
const DAY_MS = 86_400_000;
const ROUNDS_MAX = 4;
const POLL_MS = 5;
const FEW_LISTENERS = 1;
const MANY_LISTENERS = 100;
const LISTS = ["limit=100", "status=pending&limit=100", "sortBy=createdAt&sortOrder=DESC&limit=100"];

const plus = (count: number) => count.toLocaleString("en");

/** A project for hooks, beside the one that everything else is measured in. */
function hooksTable(domain: string): string {
  return [
    '[[project]]\nid = "hooks"',
    `api_keys = ["${KEY}"]`,
    `posthook = { domain = "${domain}", signing_keys = ["ph_sk_bench"], concurrency = ${CONNECTIONS} }\n`,
  ].join("\n");
}

function start(bench: Bench, folder: string, domain: string): Promise<Product> {
  const sinkUrl = "http://127.0.0.1:1/";
  return startProduct(bench.program, { mode: "path", folder, sinkUrl, tables: hooksTable(domain) });
}

/** Makes a store that knows the hooks' project. */
async function makeStore(bench: Bench, folder: string): Promise<void> {
  await (await start(bench, folder, "http://127.0.0.1:1")).stop();
}

/** Adds hooks that are due at these instants; the number of each is its mark. */
async function seedHooks(
  folder: string,
  count: number,
  { dueAtOf, onBatch = () => {} }: { dueAtOf: (mark: number) => number; onBatch?: () => void },
): Promise<void> {
  await withStore(folder, async ({ store, nextId, now }) => {
    const { endpoints } = await store.loadDefinitions();
    const endpoint = endpoints.find(({ profile }) => profile === "posthook") as Endpoint;
    const { project, lane, id: endpointId, profile } = endpoint;
    const spec = '{"path":"/hooks"}';
    for (let done = 0; done < count; done += BATCH) {
      const size = Math.min(BATCH, count - done);
      const batch = Array.from({ length: size }, (_, index) =>
        store.createDelivery(
          {
            ...{ id: nextId(), project, lane, endpointId, profile, state: "queued", spec },
            dueAt: dueAtOf(done + index),
            payload: { headers: "{}", body: Buffer.from(`{"mark":${done + index}}`) },
          },
          now,
        ),
      );
      await Promise.all(batch);
      onBatch();
    }
  });
}

/** (w): `POST /v1/hooks` in a closed loop beside the ceiling of group commit, and lists in two stores. */
export async function measureHooks(bench: Bench, emit: (rows: readonly Row[]) => void): Promise<void> {
  await bench.withFolder(async (folder) => {
    const mode = "ingest" as const;
    const sinkUrl = "http://127.0.0.1:1/";
    const ceiling = await startCeiling(CEILING_PROGRAM, { mode, folder, sinkUrl, name: "ceiling" });
    const product = await start(bench, folder, "http://127.0.0.1:1");
    try {
      emit([await measureCalls(bench, product, ceiling.url)]);
    } finally {
      await Promise.all([product.kill(), ceiling.kill()]);
    }
  });
  emit([await measureLists(bench)]);
}

async function measureCalls(bench: Bench, { base }: Product, ceilingUrl: string): Promise<Row> {
  const { warmSeconds, sliceSeconds } = bench.durations;
  const url = new URL(`${base}/v1/hooks`);
  const headers = { "X-API-Key": KEY, "Content-Type": "application/json" };
  const body = `{"path":"/hooks","postIn":"30d","data":${BODY}}`;
  const request = Buffer.from(requestBytes("POST", url, { headers, body }));
  const pool = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpConnection.open(url)));
  const loop = async (connection: HttpConnection, untilMs: number) => {
    let count = 0;
    for (; performance.now() < untilMs; count += 1) {
      const { status } = await connection.send(request);
      if (status !== 201) throw new Error(`a hook was answered with ${status}`);
    }
    return count;
  };
  const schedule = async (seconds: number) => {
    const untilMs = performance.now() + seconds * 1_000;
    const counts = await Promise.all(pool.map((connection) => loop(connection, untilMs)));
    return counts.reduce((sum, count) => sum + count, 0) / seconds;
  };
  const ceilingPeak = async (seconds: number) => {
    const { requests, durationMs } = await bench.generator.peak({
      ...{ url: ceilingUrl, connections: CONNECTIONS, seconds },
    });
    return (requests * 1_000) / durationMs;
  };
  await ceilingPeak(warmSeconds);
  await schedule(warmSeconds);
  const rates: number[] = [];
  const ceilings: number[] = [];
  for (let round = 0; round < Math.min(ROUNDS_MAX, bench.durations.rounds); round += 1) {
    ceilings.push(await ceilingPeak(sliceSeconds));
    rates.push(await schedule(sliceSeconds));
  }
  for (const connection of pool) connection.close();
  const ratios = rates.map((rate, round) => rate / (ceilings[round] ?? Number.NaN));
  const ratio = { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
  return {
    ...{ part: "w", what: "hooks scheduled over the API, fsynced", unit: "perSecond" },
    ...{ beside: median(ceilings), value: median(rates), ratio, aim: null },
  };
}

async function measureLists(bench: Bench): Promise<Row> {
  const { fewPending, manyPending } = bench.durations;
  const p99Of = (count: number) =>
    bench.withFolder(async (folder) => {
      await makeStore(bench, folder);
      await seedPending(bench, folder, count);
      const product = await start(bench, folder, "http://127.0.0.1:1");
      try {
        const p99s: number[] = [];
        for (const list of LISTS) p99s.push(spreadOf(await listTimes(product, list)).p99);
        return Math.max(...p99s);
      } finally {
        await product.kill();
      }
    });
  const what = `hooks listed by 100, slowest of 3, p99, ${plus(manyPending)} (right) and ${plus(fewPending)}`;
  return {
    ...{ part: "w", what, unit: "ms", ratio: null, aim: null },
    ...{ beside: await p99Of(fewPending), value: await p99Of(manyPending) },
  };
}

async function listTimes({ base }: Product, query: string): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round <= LIST_ROUNDS; round += 1) {
    const startMs = performance.now();
    const response = await fetch(`${base}/v1/hooks?${query}`, { headers: { "X-API-Key": KEY } });
    const { data } = (await response.json()) as { data: readonly unknown[] };
    if (data.length < 100) throw new Error(`a list had ${data.length} hooks`);
    if (round > 0) times.push(performance.now() - startMs);
  }
  return times;
}

function seedPending(bench: Bench, folder: string, count: number): Promise<void> {
  const firstAt = Date.now() + DAY_MS;
  const dueAtOf = (mark: number) => firstAt + Math.floor((mark / count) * DAY_MS);
  return seedHooks(folder, count, { dueAtOf, onBatch: () => bench.checkTime() });
}

/** (x): from when each hook was due to when it was there, 1,000 per second, beside many that are not due. */
export async function measureHookLateness(bench: Bench): Promise<Row[]> {
  const { manyPending, fastTimers } = bench.durations;
  return bench.withFolder(async (folder) => {
    await makeStore(bench, folder);
    await seedPending(bench, folder, manyPending);
    const overHttp = await latenessOf(bench, folder, 0);
    const overSockets = await latenessOf(bench, folder, FEW_LISTENERS);
    const what = `hooks at 1,000/s, due to arrived, ${plus(manyPending)} pending`;
    const rows = (how: string, { p50, p99 }: { p50: number; p99: number }) => [
      plainRow("x", `${what}, ${how}, p50`, { unit: "ms", value: p50 }),
      plainRow("x", `${what}, ${how}, p99`, {
        ...{ unit: "ms", value: p99, aim: aimUnder(p99, LATENESS_AIM_MS, "ms") },
      }),
    ];
    bench.progress(
      `${fastTimers} hooks: p99 ${overHttp.p99.toFixed(1)} ms, ${overSockets.p99.toFixed(1)} ms`,
    );
    return [...rows("over HTTP", overHttp), ...rows("to a listener", overSockets)];
  });
}

async function latenessOf(bench: Bench, folder: string, listeners: number) {
  const { fastTimers } = bench.durations;
  const arrivals = new Map<number, number>();
  const note = (mark: number) => {
    if (!arrivals.has(mark)) arrivals.set(mark, Date.now() + (performance.now() % 1));
  };
  const receiver = startReceiver(note);
  const firstAt = Date.now() + HEADSTART_MS;
  await seedHooks(folder, fastTimers, { dueAtOf: (mark) => firstAt + mark });
  const product = await start(bench, folder, receiver.domain);
  const sockets = await Promise.all(Array.from({ length: listeners }, () => listen(product, note)));
  try {
    await waitFor(() => arrivals.size >= fastTimers, 2 * HEADSTART_MS + 3 * fastTimers);
  } finally {
    for (const socket of sockets) socket.terminate();
    await product.stop();
    await receiver.stop();
  }
  return spreadOf([...arrivals].map(([mark, at]) => Math.max(0, at - firstAt - mark)));
}

/** (y): many hooks due at one instant, acknowledged at once: per second from the first to the last. */
export async function measureListeners(bench: Bench): Promise<Row[]> {
  const count = 2 * bench.durations.fastTimers;
  const overHttp = await rushOf(bench, count, 0);
  const toOne = await rushOf(bench, count, FEW_LISTENERS);
  const toMany = await rushOf(bench, count, MANY_LISTENERS);
  const row = (what: string, value: number): Row => {
    const ratio = value / overHttp;
    return {
      ...{ part: "y", what: `hooks acknowledged, ${what} (left: over HTTP)`, unit: "perSecond", aim: null },
      ...{ beside: overHttp, value, ratio: { median: ratio, least: ratio, most: ratio } },
    };
  };
  return [row("one listener", toOne), row(`${MANY_LISTENERS} listeners`, toMany)];
}

function rushOf(bench: Bench, count: number, listeners: number): Promise<number> {
  return bench.withFolder(async (folder) => {
    await makeStore(bench, folder);
    let arrived = 0;
    let firstMs = 0;
    const note = () => {
      firstMs ||= performance.now();
      arrived += 1;
    };
    const receiver = startReceiver(note);
    const dueAt = Date.now() + HEADSTART_MS;
    await seedHooks(folder, count, { dueAtOf: () => dueAt });
    const product = await start(bench, folder, receiver.domain);
    const sockets = await Promise.all(Array.from({ length: listeners }, () => listen(product, note)));
    try {
      await waitFor(() => arrived >= count, 120_000);
      return (count * 1_000) / (performance.now() - firstMs);
    } finally {
      for (const socket of sockets) socket.terminate();
      await product.kill();
      await receiver.stop();
    }
  });
}

/** (z): what the process grows by with so many listeners that wait. */
export async function measureIdleListeners(bench: Bench): Promise<Row[]> {
  const count = bench.durations.fastTimers;
  return bench.withFolder(async (folder) => {
    const product = await start(bench, folder, "http://127.0.0.1:1");
    const sockets: WebSocket[] = [];
    try {
      for (let warm = 0; warm < CONNECTIONS; warm += 1) sockets.push(await listen(product, () => {}));
      const before = residentMiB(product.pid);
      while (sockets.length < count) {
        const size = Math.min(CONNECTIONS, count - sockets.length);
        sockets.push(...(await Promise.all(Array.from({ length: size }, () => listen(product, () => {})))));
      }
      const after = residentMiB(product.pid);
      const kibibytes = ((after - before) * 1_024) / (count - CONNECTIONS);
      return [
        plainRow("z", `KiB per idle listener, ${plus(count)} connected`, { unit: "count", value: kibibytes }),
        plainRow("z", `resident memory, ${plus(count)} listeners connected`, { unit: "MiB", value: after }),
      ];
    } finally {
      for (const socket of sockets) socket.terminate();
      await product.kill();
    }
  });
}

/** Takes hooks over HTTP. */
function startReceiver(note: (mark: number) => void) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { data } = (await request.json()) as { data: { mark: number } };
      note(data.mark);
      return new Response("ok");
    },
  });
  return { domain: server.url.href.slice(0, -1), stop: () => server.stop(true) };
}

/** Connects a listener that acknowledges at once; resolves when it is welcome. */
async function listen({ base }: Product, note: (mark: number) => void): Promise<WebSocket> {
  const response = await fetch(`${base}/v1/ws/ticket`, { method: "POST", headers: { "X-API-Key": KEY } });
  const { data } = (await response.json()) as { data: { ticket: string; url: string } };
  const socket = new WebSocket(`${data.url}?ticket=${data.ticket}`);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("error", () => reject(new Error("a listener was not let in")));
    socket.addEventListener("message", ({ data: text }) => {
      const frame = JSON.parse(String(text)) as { type: string; id: string; data: { mark: number } };
      if (frame.type === "connected") resolve();
      if (frame.type !== "hook") return;
      note(frame.data.mark);
      socket.send(`{"type":"ack","hookId":"${frame.id}"}`);
    });
  });
  return socket;
}

async function waitFor(isThere: () => boolean, limitMs: number): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (!isThere()) {
    if (performance.now() > untilMs) throw new Error("not all hooks arrived");
    await Bun.sleep(POLL_MS);
  }
}
