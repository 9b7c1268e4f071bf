/**
 * The built-in load generator, a process of its own: `bun bench/load.ts <url> <key prefix> <seconds>
 * <connections> [requests per second]`. It prints one REPORT line.
 *
 * Without a rate it is a closed loop: each connection sends its next request when the last one is answered.
 * With a rate it is an open one: requests fall due in ticks of TICK_MS whether or not earlier ones are
 * answered, and each is timed from the moment it fell due, so a stall of the server counts for every request
 * that it kept waiting (no coordinated omission). Requests under way are bounded by the number of
 * connections; those beyond it wait, timed.
 */
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { spreadOf } from "./statistics.ts";
import { BODY, FIXED_HEADERS, KEY_HEADER } from "./workload.ts";

const TICK_MS = 1;
/** Answers still missing this long after the last request are given up and counted as broken. */
const LAST_ANSWERS_MS = 5_000;
const ACCEPTED = 2;
/** Ten digits from the start, so that later keys sort after earlier ones, as those of most senders do. */
const FIRST_KEY = 1_000_000_000;

interface Plan {
  readonly url: URL;
  readonly keyPrefix: string;
  readonly seconds: number;
  readonly connectionCount: number;
  /** Null: closed loop. */
  readonly ratePerSecond: number | null;
}

class Tally {
  readonly latenciesMs: number[] = [];
  refused = 0;
  broken = 0;
  readonly #head: string;
  readonly #tail: string;
  #keyCount = FIRST_KEY;

  constructor({ url, keyPrefix }: Plan) {
    // Only the key changes, so the rest is put together once, around a key that it cannot contain.
    const headers = { ...FIXED_HEADERS, [KEY_HEADER]: "\0" };
    const [head = "", tail = ""] = requestBytes("POST", url, { headers, body: BODY }).toString().split("\0");
    this.#head = head + keyPrefix;
    this.#tail = tail;
  }

  /** Sends one request and counts its answer; false when the connection is of no more use. */
  async exchange(connection: HttpConnection, dueMs: number): Promise<boolean> {
    const request = Buffer.from(`${this.#head}-${++this.#keyCount}${this.#tail}`);
    try {
      const { status } = await connection.send(request);
      if (Math.floor(status / 100) !== ACCEPTED) this.refused += 1;
      this.latenciesMs.push(performance.now() - dueMs);
      return true;
    } catch {
      this.broken += 1;
      return false;
    }
  }
}

async function runClosed(plan: Plan, connections: readonly HttpConnection[], tally: Tally): Promise<void> {
  const endMs = performance.now() + plan.seconds * 1_000;
  const loop = async (connection: HttpConnection) => {
    while (performance.now() < endMs) {
      if (!(await tally.exchange(connection, performance.now()))) return;
    }
  };
  await Promise.all(connections.map(loop));
}

/**
 * Returns how late requests left, compared with when they fell due: the generator's own share of the latency.
 */
async function runPaced(plan: Plan, connections: readonly HttpConnection[], tally: Tally): Promise<number[]> {
  const perTick = ((plan.ratePerSecond ?? 0) * TICK_MS) / 1_000;
  const free = [...connections];
  const due: number[] = [];
  const lagsMs: number[] = [];
  const underWay = new Set<Promise<void>>();
  const sendDue = () => {
    while (due.length > 0) {
      const connection = free.pop();
      if (!connection) return;
      const dueMs = due.shift() ?? 0;
      lagsMs.push(performance.now() - dueMs);
      const exchange = tally.exchange(connection, dueMs).then((isUsable) => {
        underWay.delete(exchange);
        if (isUsable) free.push(connection);
        sendDue();
      });
      underWay.add(exchange);
    }
  };
  const startMs = performance.now();
  const tickCount = Math.floor((plan.seconds * 1_000) / TICK_MS);
  let planned = 0;
  for (let tick = 0; tick < tickCount; ) {
    const reached = Math.min(tickCount, Math.floor((performance.now() - startMs) / TICK_MS));
    for (; tick < reached; tick += 1) {
      for (; planned < (tick + 1) * perTick; planned += 1) due.push(startMs + tick * TICK_MS);
    }
    sendDue();
    await Bun.sleep(TICK_MS);
  }
  const lastAnswers = Bun.sleep(LAST_ANSWERS_MS);
  while (underWay.size > 0 && (await Promise.race([lastAnswers, ...underWay].map(settled)))) sendDue();
  tally.broken += underWay.size + due.length;
  return lagsMs;

  async function settled(one: Promise<void>): Promise<boolean> {
    await one;
    return one !== lastAnswers;
  }
}

async function main([url = "", keyPrefix = "", seconds, connections, rate]: string[]): Promise<void> {
  const plan: Plan = {
    url: new URL(url),
    keyPrefix,
    seconds: Number(seconds),
    connectionCount: Number(connections),
    ratePerSecond: rate === undefined ? null : Number(rate),
  };
  const opened = Array.from({ length: plan.connectionCount }, () => HttpConnection.open(plan.url));
  const pool = await Promise.all(opened);
  const tally = new Tally(plan);
  const startMs = performance.now();
  const lagsMs = plan.ratePerSecond === null ? [] : await runPaced(plan, pool, tally);
  if (plan.ratePerSecond === null) await runClosed(plan, pool, tally);
  const durationMs = performance.now() - startMs;
  const { p50, p99, max, count } = spreadOf(tally.latenciesMs);
  const { refused, broken } = tally;
  const report = { requests: count, refused, broken, durationMs, p50Ms: p50, p99Ms: p99, maxMs: max };
  process.stdout.write(`REPORT ${JSON.stringify({ ...report, lagP99Ms: spreadOf(lagsMs).p99 })}\n`);
  process.exit(0);
}

await main(process.argv.slice(2));
