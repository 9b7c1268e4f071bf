/**
 * (s): one published event to 1, 10 and 100 endpoints, in deliveries per second, beside the ceiling that
 * takes one request in, forwards it once and records that. What is counted has arrived at the receiver; the
 * time runs until the last delivery of a load is there.
 */
import type { Bench } from "./bench.ts";
import { CONNECTIONS } from "./bench.ts";
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { API_KEY, type Product, startProduct } from "./product.ts";
import { median } from "./statistics.ts";
import { CEILING_PROGRAM, type Sink, startCeiling, startSink } from "./subject.ts";
import type { Row } from "./table.ts";
import { BODY } from "./workload.ts";

const WIDTHS = [1, 10, 100] as const;
const ROUNDS_MAX = 4;
const ARRIVAL_LIMIT_MS = 30_000;
const POLL_MS = 5;

interface Setting {
  readonly product: Product;
  readonly ceilingUrl: string;
  /** Of each its own: what one leaves over must not count for the other. */
  readonly sinks: { readonly product: Sink; readonly ceiling: Sink };
}

export async function measureFanOut(bench: Bench): Promise<Row[]> {
  const sinks = { product: await startSink(), ceiling: await startSink() };
  try {
    return await bench.withFolder(async (folder) => {
      const mode = "path" as const;
      const ceiling = await startCeiling(CEILING_PROGRAM, {
        ...{ mode, folder, sinkUrl: sinks.ceiling.url, name: "ceiling" },
      });
      const product = await startProduct(bench.program, { mode, folder, sinkUrl: sinks.product.url });
      try {
        return await measureRounds(bench, { product, ceilingUrl: ceiling.url, sinks });
      } finally {
        await Promise.all([product.kill(), ceiling.kill()]);
      }
    });
  } finally {
    await Promise.all([sinks.product.kill(), sinks.ceiling.kill()]);
  }
}

async function measureRounds(bench: Bench, setting: Setting): Promise<Row[]> {
  const { product, sinks } = setting;
  for (const width of WIDTHS) await subscribe(product, width, sinks.product.url);
  const rounds = Math.min(bench.durations.rounds, ROUNDS_MAX);
  const ceilings: number[] = [];
  const rates = new Map<number, number[]>(WIDTHS.map((width) => [width, []]));
  await forward(bench, setting, bench.durations.warmSeconds);
  for (const width of WIDTHS) await publish(setting, width, bench.durations.warmSeconds);
  for (let round = 0; round < rounds; round += 1) {
    ceilings.push(await forward(bench, setting, bench.durations.sliceSeconds));
    for (const width of WIDTHS) {
      rates.get(width)?.push(await publish(setting, width, bench.durations.sliceSeconds));
    }
    const shown = WIDTHS.map((width) => `${width}: ${Math.round(rates.get(width)?.at(-1) ?? 0)}/s`);
    bench.progress(`fan-out: ceiling ${Math.round(ceilings.at(-1) ?? 0)}/s, ${shown.join(", ")}`);
  }
  return WIDTHS.map((width) => rowOf(width, rates.get(width) ?? [], ceilings));
}

function rowOf(width: number, rates: readonly number[], ceilings: readonly number[]): Row {
  const ratios = rates.map((rate, round) => rate / (ceilings[round] ?? Number.NaN));
  const ratio = { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
  const what = `delivered, one event to ${width} ${width === 1 ? "endpoint" : "endpoints"}`;
  return {
    ...{ part: "s", what, unit: "perSecond" },
    ...{ beside: median(ceilings), value: median(rates), ratio, aim: null },
  };
}

/** Makes endpoints of its own for a tenant of its own, all of them leading to the sink. */
async function subscribe({ base }: Product, width: number, sinkUrl: string): Promise<void> {
  const post = async (path: string, body: object) => {
    const url = new URL(`${base}/_/api${path}`);
    const connection = await HttpConnection.open(url);
    const { status } = await connection.send(jsonRequest(url, JSON.stringify(body)));
    connection.close();
    if (status !== 200) throw new Error(`POST ${path} was answered with ${status}`);
  };
  for (let index = 0; index < width; index += 1) {
    const name = `fan-${width}-${index}`;
    await post("/endpoints", { name, url: sinkUrl });
    await post("/subscriptions", { name, endpoint: name, eventTypes: ["*"], tenant: `fan-${width}` });
  }
}

/** Publishes in a closed loop; returns deliveries per second until the last of them has arrived. */
async function publish({ product, sinks }: Setting, width: number, seconds: number): Promise<number> {
  const url = new URL(`${product.base}/_/api/events`);
  const request = jsonRequest(url, `{"type":"bench","tenant":"fan-${width}","data":${BODY}}`);
  // About as many deliveries under way whatever the width.
  const connections = Math.max(2, Math.ceil(CONNECTIONS / width));
  const pool = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(url)));
  const before = await sinks.product.received();
  const startMs = performance.now();
  const untilMs = startMs + seconds * 1_000;
  const counts = await Promise.all(
    pool.map(async (connection) => {
      let count = 0;
      for (; performance.now() < untilMs; count += 1) {
        const { status } = await connection.send(request);
        if (status !== 200) throw new Error(`an event was answered with ${status}`);
      }
      return count;
    }),
  );
  for (const connection of pool) connection.close();
  const delivered = width * counts.reduce((sum, count) => sum + count, 0);
  await waitFor(sinks.product, before + delivered);
  return (delivered * 1_000) / (performance.now() - startMs);
}

/** The same of the ceiling, which forwards each request once. */
async function forward(bench: Bench, { ceilingUrl, sinks }: Setting, seconds: number): Promise<number> {
  const before = await sinks.ceiling.received();
  const { requests, durationMs } = await bench.generator.peak({
    ...{ url: ceilingUrl, connections: CONNECTIONS, seconds },
  });
  const startMs = performance.now();
  await waitFor(sinks.ceiling, before + requests);
  return (requests * 1_000) / (durationMs + performance.now() - startMs);
}

async function waitFor(sink: Sink, count: number): Promise<void> {
  const untilMs = performance.now() + ARRIVAL_LIMIT_MS;
  for (;;) {
    const received = await sink.received();
    if (received >= count) return;
    if (performance.now() > untilMs) throw new Error(`${received} of ${count} deliveries arrived`);
    await Bun.sleep(POLL_MS);
  }
}

function jsonRequest(url: URL, body: string): Buffer {
  const headers = { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" };
  return requestBytes("POST", url, { headers, body });
}
