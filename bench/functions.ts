/**
 * (r): what functions cost. Triggers taken in; executions that fan out to 100 each; 1,000 crons due in one
 * second; lines logged; and a search through very many lines. The application is a server of this process
 * that answers in Pingback's words at once.
 */
import { Database } from "bun:sqlite";
import type { Bench } from "./bench.ts";
import { CONNECTIONS } from "./bench.ts";
import { HttpConnection, requestBytes } from "./http-connection.ts";
import { API_KEY, type Product, startProduct } from "./product.ts";
import { storeFile } from "./seed.ts";
import { median, spreadOf } from "./statistics.ts";
import { CEILING_PROGRAM, type Subject, startCeiling } from "./subject.ts";
import { plainRow, type Row } from "./table.ts";
import { BODY } from "./workload.ts";

const WIDTH = 100;
const LINES_PER_RUN = 100;
const CRONS = 1_000;
/** Runs under way at once, so that the fan-out is not held up by a limit that a user would raise. */
const CONCURRENCY = 64;
const ROUNDS_MAX = 4;
const PARENTS_UNDER_WAY = 2;
const LOGGERS_UNDER_WAY = 16;
const ARRIVAL_LIMIT_MS = 30_000;
/** Room to register the crons and for the product to come to rest. */
const CRON_HEADSTART_MS = 8_000;
const POLL_MS = 5;
const SEARCH_ROUNDS = 40;

interface App {
  readonly url: string;
  /** How often each function was called. */
  readonly calls: Map<string, number>;
  /** How late each cron was, in milliseconds. */
  readonly lateMs: number[];
  stop(): Promise<void>;
}

const done = (more: object) =>
  JSON.stringify({ status: "success", result: null, logs: [], tasks: [], ...more });
const ANSWERS: Readonly<Record<string, string>> = {
  parent: done({ tasks: Array.from({ length: WIDTH }, (_, number) => ({ name: "child", payload: number })) }),
  logger: done({
    logs: Array.from({ length: LINES_PER_RUN }, (_, number) => ({
      ...{ timestamp: 1_767_225_600_000 + number, level: "info" },
      ...{ message: `resized image ${number} of 100 in 12 ms`, meta: { image: number } },
    })),
  }),
};
const ANSWER = done({});
const JSON_HEADERS = { headers: { "Content-Type": "application/json" } };

function startApp(): App {
  const calls = new Map<string, number>();
  const lateMs: number[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const nowMs = performance.timeOrigin + performance.now();
      const call = (await request.json()) as { function?: string; scheduledAt: string };
      // What the ceiling forwards names none.
      const name = call.function ?? "";
      calls.set(name, (calls.get(name) ?? 0) + 1);
      if (name.startsWith("cron-")) lateMs.push(nowMs - Date.parse(call.scheduledAt));
      return new Response(ANSWERS[name] ?? ANSWER, JSON_HEADERS);
    },
  });
  return { url: `${server.url.href}api/pingback`, calls, lateMs, stop: () => server.stop(true) };
}

export async function measureFunctions(bench: Bench, emit: (rows: readonly Row[]) => void): Promise<void> {
  const app = startApp();
  try {
    await bench.withFolder(async (folder) => {
      const start = () => startProduct(bench.program, { mode: "path", folder, sinkUrl: app.url });
      const product = await start();
      try {
        await register(product, app, []);
        emit(await measureRates(bench, { product, app, folder }));
        emit(await measureCrons(bench, { product, app, folder }));
      } finally {
        await product.stop();
      }
      await seedLines(bench, folder);
      const again = await start();
      try {
        emit(await measureSearch(bench, again));
      } finally {
        await again.kill();
      }
    });
  } finally {
    await app.stop();
  }
}

interface Setting {
  readonly product: Product;
  readonly app: App;
  readonly folder: string;
}

/** Registers the tasks of this measurement, with these crons beside them. */
async function register(product: Product, { url }: App, crons: readonly object[]): Promise<void> {
  const tasks = ["later", "parent", "child", "logger"].map((name) => ({
    ...{ name, type: "task", options: { concurrency: CONCURRENCY } },
  }));
  const body = JSON.stringify({ functions: [...tasks, ...crons], endpoint_url: url });
  const headers = { authorization: `Bearer ${API_KEY}` };
  const answer = await fetch(`${product.base}/api/v1/register`, { method: "POST", headers, body });
  if (answer.status !== 201) throw new Error(`the registration was answered with ${answer.status}`);
}

async function measureRates(bench: Bench, setting: Setting): Promise<Row[]> {
  const { folder, app } = setting;
  const start = (mode: "ingest" | "path") =>
    startCeiling(CEILING_PROGRAM, { mode, folder, sinkUrl: app.url, name: `ceiling-${mode}` });
  const ceilings = { ingest: await start("ingest"), path: await start("path") };
  try {
    return await measureRounds(bench, setting, ceilings);
  } finally {
    await Promise.all([ceilings.ingest.kill(), ceilings.path.kill()]);
  }
}

type Ceilings = Readonly<Record<"ingest" | "path", Subject>>;

interface Rates {
  readonly ingest: number;
  readonly path: number;
  readonly triggers: number;
  readonly executions: number;
  readonly lines: number;
}

async function measureRounds(bench: Bench, setting: Setting, ceilings: Ceilings): Promise<Row[]> {
  const { sliceSeconds, warmSeconds } = bench.durations;
  const round = async (seconds: number): Promise<Rates> => ({
    ingest: await ceilingRate(bench, setting.app, ceilings.ingest, seconds),
    triggers: await triggerRate(setting.product, seconds),
    path: await ceilingRate(bench, setting.app, ceilings.path, seconds),
    executions: await arrivalRate(setting, { task: "parent", counted: "child", width: WIDTH }, seconds),
    lines:
      LINES_PER_RUN * (await arrivalRate(setting, { task: "logger", counted: "logger", width: 1 }, seconds)),
  });
  await round(warmSeconds);
  const rounds: Rates[] = [];
  for (let number = 0; number < Math.min(bench.durations.rounds, ROUNDS_MAX); number += 1) {
    const rates = await round(sliceSeconds);
    rounds.push(rates);
    const shown = Object.entries(rates).map(([name, rate]) => `${name} ${Math.round(rate)}/s`);
    bench.progress(`functions: ${shown.join(", ")}`);
  }
  const row = (what: string, name: keyof Rates, beside: "ingest" | "path"): Row => {
    const ratios = rounds.map((rates) => rates[name] / rates[beside]);
    const ratio = { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
    const of = (which: keyof Rates) => median(rounds.map((rates) => rates[which]));
    return {
      ...{ part: "r", what, unit: "perSecond", aim: null },
      ...{ beside: of(beside), value: of(name), ratio },
    };
  };
  return [
    row("triggers taken in over Pingback's API, fsynced", "triggers", "ingest"),
    row(`executions, one to ${WIDTH} children, to the last arrival`, "executions", "path"),
    plainRow("r", `log lines stored, ${LINES_PER_RUN} per execution`, {
      ...{ unit: "perSecond", value: median(rounds.map(({ lines }) => lines)) },
    }),
  ];
}

/** Until all that it forwards has come. */
async function ceilingRate(bench: Bench, { calls }: App, ceiling: Subject, seconds: number): Promise<number> {
  const before = calls.get("") ?? 0;
  const load = { url: ceiling.url, connections: CONNECTIONS, seconds };
  const { requests, durationMs } = await bench.generator.peak(load);
  const startMs = performance.now();
  if (ceiling.isForwarding) await waitFor(() => (calls.get("") ?? 0) - before >= requests);
  return (requests * 1_000) / (durationMs + performance.now() - startMs);
}

function triggerRequest(product: Product, body: string): { url: URL; request: Buffer } {
  const url = new URL(`${product.base}/api/v1/trigger`);
  const headers = { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" };
  return { url, request: requestBytes("POST", url, { headers, body }) };
}

/** Triggers in a closed loop; returns how many were answered. */
async function loop(product: Product, body: string, load: { connections: number; seconds: number }) {
  const { url, request } = triggerRequest(product, body);
  const pool = await Promise.all(Array.from({ length: load.connections }, () => HttpConnection.open(url)));
  const untilMs = performance.now() + load.seconds * 1_000;
  const counts = await Promise.all(
    pool.map(async (connection) => {
      let count = 0;
      for (; performance.now() < untilMs; count += 1) {
        const { status } = await connection.send(request);
        if (status !== 201) throw new Error(`a trigger was answered with ${status}`);
      }
      return count;
    }),
  );
  for (const connection of pool) connection.close();
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Of tasks that start in a day, with 1 KiB of payload. */
async function triggerRate(product: Product, seconds: number): Promise<number> {
  const body = `{"task":"later","delay":"1d","payload":${BODY}}`;
  const startMs = performance.now();
  const count = await loop(product, body, { connections: CONNECTIONS, seconds });
  return (count * 1_000) / (performance.now() - startMs);
}

interface Counted {
  readonly task: string;
  /** Whose calls are counted, so many for each trigger. */
  readonly counted: string;
  readonly width: number;
}

/** Executions per second, the triggered ones included, until the last call has come. */
async function arrivalRate({ product, app }: Setting, { task, counted, width }: Counted, seconds: number) {
  const connections = task === counted ? LOGGERS_UNDER_WAY : PARENTS_UNDER_WAY;
  const before = app.calls.get(counted) ?? 0;
  const startMs = performance.now();
  const triggers = await loop(product, JSON.stringify({ task }), { connections, seconds });
  await waitFor(() => (app.calls.get(counted) ?? 0) - before >= triggers * width);
  const executions = task === counted ? triggers : triggers * (width + 1);
  return (executions * 1_000) / (performance.now() - startMs);
}

async function waitFor(isThere: () => boolean, limitMs = ARRIVAL_LIMIT_MS): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (!isThere()) {
    if (performance.now() > untilMs) throw new Error("not every call arrived");
    await Bun.sleep(POLL_MS);
  }
}

/** All in one second, each a function of its own. */
async function measureCrons(bench: Bench, { product, app }: Setting): Promise<Row[]> {
  const at = new Date(Date.now() + CRON_HEADSTART_MS);
  const schedule = `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;
  const name = (number: number) => `cron-${number}`;
  const crons = Array.from({ length: CRONS }, (_, number) => ({
    ...{ name: name(number), type: "cron", schedule, options: {} },
  }));
  await register(product, app, crons);
  await waitFor(() => app.lateMs.length >= CRONS, CRON_HEADSTART_MS + ARRIVAL_LIMIT_MS);
  const late = spreadOf(app.lateMs);
  bench.progress(`${CRONS} crons: p50 ${late.p50.toFixed(1)} ms, worst ${late.max.toFixed(1)} ms`);
  const what = "1,000 crons due in the same second, due to arrived";
  return (["p50", "p99", "max"] as const).map((part) =>
    plainRow("r", `${what}, ${part === "max" ? "worst" : part}`, { unit: "ms", value: late[part] }),
  );
}

/** Fills the table up to the number asked for, as if one function had logged all the time. */
async function seedLines(bench: Bench, folder: string): Promise<void> {
  const count = bench.durations.manyPending;
  const db = new Database(storeFile(folder), { strict: true });
  db.run("PRAGMA synchronous = OFF");
  const owner = db
    .query<{ seq: number; endpoint_seq: number }, []>(
      "SELECT seq, endpoint_seq FROM delivery WHERE profile = 'pingback' ORDER BY seq LIMIT 1",
    )
    .get();
  if (!owner) throw new Error("no execution was stored");
  db.run("DELETE FROM log_line");
  const insert = db.query(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
     INSERT INTO log_line (delivery_seq, attempt, project, endpoint_seq, at, stored_at, level, message, meta)
     SELECT ?2, 1, 'default', ?3, ?4 + i, ?4 + i, CASE WHEN i % 50 = 0 THEN 'error' ELSE 'info' END,
       'resized image ' || i || ' of customer ' || (i % 977) || ' in 12 ms', '{"width":' || (i % 4096) || '}'
     FROM n`,
  );
  insert.run(count, owner.seq, owner.endpoint_seq, Date.now() - count);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  bench.progress(`seeded ${count.toLocaleString("en")} log lines`);
}

/** Newest first, a page of 50. The oldest line of all is as far away as can be. */
const FOUND = [
  "q=customer+500+in",
  "q=image+99",
  "level=error",
  "level=error&q=customer+5",
  "function=later",
];
const FAR = ["q=image+7+of", "q=nowhere+to+be+found"];

async function measureSearch(bench: Bench, product: Product): Promise<Row[]> {
  const lines = bench.durations.manyPending.toLocaleString("en");
  const row = async (what: string, queries: readonly string[]) => {
    const times: number[] = [];
    for (let round = 0; round <= SEARCH_ROUNDS; round += 1) {
      for (const query of queries) {
        const elapsedMs = await search(product, query);
        if (round > 0) times.push(elapsedMs);
      }
    }
    return plainRow("r", `${what} of ${lines} lines, p99`, { unit: "ms", value: spreadOf(times).p99 });
  };
  return [
    await row("log search that finds a page", FOUND),
    await row("log search that looks through all", FAR),
  ];
}

async function search(product: Product, query: string): Promise<number> {
  const startMs = performance.now();
  const answer = await fetch(`${product.base}/_/api/logs?${query}`, {
    headers: { authorization: `Bearer ${API_KEY}` },
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${query} was answered with ${answer.status}: ${text}`);
  return performance.now() - startMs;
}
