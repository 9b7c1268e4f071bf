/**
 * (e) how fast a producer is answered at half of the peak, (f) how soon the first attempt follows when all is
 * quiet.
 */
import type { Bench } from "./bench.ts";
import { CONNECTIONS } from "./bench.ts";
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { withSink } from "./peaks.ts";
import { startProduct } from "./product.ts";
import { startReceiver } from "./receiver.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import type { Mode } from "./subject.ts";
import { aimUnder, plainRow, type Row } from "./table.ts";
import { FIXED_HEADERS, KEY_HEADER, paddedBody, signatureOf } from "./workload.ts";

/** Requests of the paced load that may be under way; at half of the peak a handful is. */
const PACED_CONNECTIONS = 256;
const ACKNOWLEDGE_AIM_MS = 25;
const FIRST_ATTEMPT_AIM_MS = 10;
/** Between two requests of the idle measurement: far longer than either takes. */
const IDLE_GAP_MS = 15;
const IDLE_WARM_COUNT = 20;
const ARRIVAL_LIMIT_MS = 5_000;

/** Returns the latency at half of the given peak, measured from when each request was due. */
export async function measureAcknowledgement(
  bench: Bench,
  mode: Mode,
  peakPerSecond: number,
): Promise<Row[]> {
  const { durations, generator } = bench;
  const rate = Math.round(peakPerSecond / 2);
  const report = await withSink(mode, (sinkUrl) =>
    bench.withFolder(async (folder) => {
      const { url, kill } = await startProduct(bench.program, { mode, folder, sinkUrl });
      try {
        await generator.peak({ url, seconds: durations.warmSeconds, connections: CONNECTIONS });
        return await generator.paced(
          { url, seconds: durations.pacedSeconds, connections: PACED_CONNECTIONS },
          rate,
        );
      } finally {
        await kill();
      }
    }),
  );
  const { requests, refused, broken, p50Ms, p99Ms, lagP99Ms = 0 } = report;
  if (refused + broken > 0) throw new Error(`${refused} requests refused, ${broken} broken at ${rate}/s`);
  const pace = `${mode}: ${Math.round(requests / durations.pacedSeconds)}/s of ${rate}/s`;
  bench.progress(`${pace}, p99 ${p99Ms.toFixed(1)} ms, of which the generator ${lagP99Ms.toFixed(1)} ms`);
  const kind = mode === "path" ? "delivering" : "ingest only";
  const what = `acknowledgement at ${rate.toLocaleString("en")}/s, ${kind}`;
  const aim = aimUnder(p99Ms, ACKNOWLEDGE_AIM_MS, "ms");
  return [
    plainRow("e", `${what}, p50`, { unit: "ms", value: p50Ms }),
    plainRow("e", `${what}, p99`, { unit: "ms", value: p99Ms, aim }),
    plainRow("e", "  of which the generator was late, p99", { unit: "ms", value: lagP99Ms }),
  ];
}

/** Times each idle request, from sending it and from reading its 202, to its arrival at the receiver. */
export async function measureFirstAttempt(bench: Bench): Promise<Row[]> {
  const receiver = startReceiver();
  const { program, durations } = bench;
  const count = durations.idleRequests + IDLE_WARM_COUNT;
  const exchanges = await bench.withFolder(async (folder) => {
    const product = await startProduct(program, { mode: "path", folder, sinkUrl: receiver.url });
    const connection = await HttpConnection.open(new URL(product.url));
    try {
      const sent = await sendIdly(connection, product.url, count);
      await receiver.waitFor(count, ARRIVAL_LIMIT_MS);
      return sent;
    } finally {
      connection.close();
      await product.kill();
      await receiver.stop();
    }
  });
  const since = (read: (exchange: Exchange) => number) =>
    spreadOfGaps(exchanges.map(read), receiver.arrivals);
  const acknowledged = since(({ answeredMs }) => answeredMs);
  const sent = since(({ sentMs }) => sentMs);
  const aim = aimUnder(acknowledged.p99, FIRST_ATTEMPT_AIM_MS, "ms");
  return [
    plainRow("f", "acknowledgement to first attempt, idle, p50", { unit: "ms", value: acknowledged.p50 }),
    plainRow("f", "acknowledgement to first attempt, idle, p99", {
      unit: "ms",
      value: acknowledged.p99,
      aim,
    }),
    plainRow("f", "request sent to first attempt, idle, p50", { unit: "ms", value: sent.p50 }),
    plainRow("f", "request sent to first attempt, idle, p99", { unit: "ms", value: sent.p99 }),
  ];
}

interface Exchange {
  readonly sentMs: number;
  readonly answeredMs: number;
}

/** Returns when each request was sent and answered; its index is its mark. */
async function sendIdly(connection: HttpConnection, url: string, count: number): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  for (let mark = 0; mark < count; mark += 1) {
    const body = paddedBody({ type: "idle", mark });
    const headers = { ...FIXED_HEADERS, "X-Signature": signatureOf(body), [KEY_HEADER]: `idle-${mark}` };
    const request = requestBytes("POST", new URL(url), { headers, body });
    const sentMs = performance.now();
    const { status } = await connection.send(request);
    exchanges.push({ sentMs, answeredMs: performance.now() });
    if (status !== 202) throw new Error(`an idle request was answered with ${status}`);
    await Bun.sleep(IDLE_GAP_MS);
  }
  return exchanges;
}

/** An attempt that came before its 202 was read counts as no time at all. */
function spreadOfGaps(sinceMs: readonly number[], arrivals: ReadonlyMap<number, number>): Spread {
  const gapsMs: number[] = [];
  for (const [mark, atMs] of sinceMs.entries()) {
    if (mark >= IDLE_WARM_COUNT) gapsMs.push(Math.max(0, (arrivals.get(mark) ?? Number.NaN) - atMs));
  }
  return spreadOf(gapsMs);
}
