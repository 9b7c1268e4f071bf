/**
 * (q): what endpoints that hang cost the others. Two servers take the same events turn by turn: one has 900
 * endpoints, the other a hundred more, which answered at first, so that they have a good name, then get so
 * many events at once that they could fill every slot, and all hang until their timeout. Measured from the
 * first request after that to the last delivery that the 900 got.
 */
import type { Bench } from "./bench.ts";
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { startProduct } from "./product.ts";
import { median } from "./statistics.ts";
import { type Sink, startSink } from "./subject.ts";
import { aimAtLeast, type Row } from "./table.ts";
import { FIXED_HEADERS, KEY_HEADER, paddedBody, SECRET, signatureOf } from "./workload.ts";

const HEALTHY = 900;
const HANGING = 100;
const WARM_EVENTS = 3;
/** For each endpoint that hangs: more than its concurrency. */
const BURST = 20;
const ROUNDS_MAX = 3;
const POLL_MS = 5;
/** Less than the timeout of an attempt, so that none that hangs ends while it is measured. */
const LIMIT_MS = 29_000;
const AIM = 0.9;

interface Hanging {
  readonly url: string;
  isHanging: boolean;
  stop(): Promise<void>;
}

/** Answers at first; then it keeps every request and answers none. */
function startHanging(): Hanging {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: () => (hanging.isHanging ? new Promise<Response>(() => {}) : new Response("ok")),
  });
  const hanging: Hanging = { url: server.url.href, isHanging: false, stop: () => server.stop(true) };
  return hanging;
}

export async function measureHanging(bench: Bench): Promise<Row[]> {
  const events = bench.durations.fanOutEvents;
  const rates: Record<"alone" | "beside", number[]> = { alone: [], beside: [] };
  for (let round = 0; round < Math.min(ROUNDS_MAX, bench.durations.rounds); round += 1) {
    const order = round % 2 === 0 ? (["alone", "beside"] as const) : (["beside", "alone"] as const);
    for (const name of order) {
      bench.checkTime();
      const perSecond = await measureRate(bench, name === "beside" ? HANGING : 0, events);
      rates[name].push(perSecond);
      bench.progress(`900 endpoints ${name}: ${Math.round(perSecond)} deliveries/s`);
    }
  }
  const ratios = rates.beside.map((rate, round) => rate / (rates.alone[round] ?? Number.NaN));
  const ratio = { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
  return [
    {
      part: "q",
      what: "delivered by 900 endpoints, beside 100 that hang",
      unit: "perSecond",
      beside: median(rates.alone),
      value: median(rates.beside),
      ratio,
      aim: aimAtLeast(ratio.median, AIM),
    },
  ];
}

/** Returns the deliveries per second that the healthy endpoints got. */
async function measureRate(bench: Bench, hangingCount: number, events: number): Promise<number> {
  const sink = await startSink();
  const hanging = startHanging();
  try {
    return await bench.withFolder(async (folder) => {
      const tables = fanOutTables({ sinkUrl: sink.url, hangingUrl: hanging.url, hangingCount });
      const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl: sink.url, tables });
      const url = `${product.base}/in/fan`;
      try {
        await sendEvents(url, { from: 0, count: WARM_EVENTS });
        await waitFor(sink, HEALTHY * WARM_EVENTS);
        hanging.isHanging = true;
        if (hangingCount > 0) await sendAtOnce(`${product.base}/in/hanging`, BURST);
        const startMs = performance.now();
        await sendEvents(url, { from: WARM_EVENTS, count: events });
        await waitFor(sink, HEALTHY * (WARM_EVENTS + events));
        return (HEALTHY * events * 1_000) / (performance.now() - startMs);
      } finally {
        await product.kill();
      }
    });
  } finally {
    await sink.kill();
    await hanging.stop();
  }
}

interface FanOut {
  readonly sinkUrl: string;
  readonly hangingUrl: string;
  readonly hangingCount: number;
}

/** The hanging ones are spread evenly, so that every event meets them between healthy ones. */
function fanOutTables({ sinkUrl, hangingUrl, hangingCount }: FanOut): string {
  const names: string[] = [];
  const hanging: string[] = [];
  const tables: string[] = [];
  const add = (name: string, url: string) => {
    names.push(`"${name}"`);
    if (url === hangingUrl) hanging.push(`"${name}"`);
    tables.push(`[[endpoint]]\nname = "${name}"\nurl = "${url}${name}"\n`);
  };
  for (let n = 0; n < HEALTHY; n += 1) {
    add(`healthy-${n}`, sinkUrl);
    if (hangingCount > 0 && n % (HEALTHY / hangingCount) === 0) add(`hanging-${n}`, hangingUrl);
  }
  const verify = `verify = { scheme = "hmac", header = "X-Signature", secret = "${SECRET}" }`;
  const source = (name: string, to: readonly string[]) =>
    `[[source]]\nname = "${name}"\n${verify}\nto = [${to.join(", ")}]\n`;
  return [source("fan", names), source("hanging", hanging), ...tables].join("\n");
}

async function sendEvents(url: string, { from, count }: { from: number; count: number }): Promise<void> {
  const connection = await HttpConnection.open(new URL(url));
  try {
    for (let n = from; n < from + count; n += 1) {
      const body = paddedBody({ type: "fan", n });
      const headers = { ...FIXED_HEADERS, "X-Signature": signatureOf(body), [KEY_HEADER]: `fan-${n}` };
      const { status } = await connection.send(requestBytes("POST", new URL(url), { headers, body }));
      if (status !== 202) throw new Error(`an event was answered with ${status}`);
    }
  } finally {
    connection.close();
  }
}

async function sendAtOnce(url: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, from) => sendEvents(url, { from, count: 1 })));
}

async function waitFor(sink: Sink, count: number): Promise<void> {
  const untilMs = performance.now() + LIMIT_MS;
  for (;;) {
    const received = await sink.received();
    if (received >= count) return;
    if (performance.now() > untilMs) throw new Error(`${received} of ${count} deliveries arrived`);
    await Bun.sleep(POLL_MS);
  }
}
