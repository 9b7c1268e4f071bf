/**
 * Postern as it is measured: the executable (or the sources) with a config file of its own, log to /dev/null.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { freePort, startChild, waitUntilUp } from "./children.ts";
import { get } from "./http-connection.ts";
import type { Mode, Subject } from "./subject.ts";
import { SECRET } from "./workload.ts";

const ROOT = resolve(import.meta.dir, "..");
const BINARY = join(ROOT, "dist/postern");
const SOURCE = join(ROOT, "src/main.ts");
/** For tables of a throughput endpoint: as many attempts under way as the ceiling has slots. */
export const CONCURRENCY = 64;
export const API_KEY = "bench-key-of-one-run";
/** Fixed, so that a store can be filled from outside between two starts. */
export const MASTER_KEY_HEX = "5a".repeat(32);
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 15_000;

export interface ProductProgram {
  readonly command: readonly string[];
  /** For the table. */
  readonly name: string;
}

export interface Product extends Subject {
  readonly base: string;
  /** From the start of the process to the first 200 of /readyz. */
  readonly readyMs: number;
  failedAttempts(endpoint: string): Promise<number>;
  /** Runs of schedules that their lanes have. */
  scheduleRuns(): Promise<number>;
  /** Lets it drain and close its store, so that it can be started again. */
  stop(): Promise<void>;
}

export interface ProductOptions {
  /** Which source `url` leads to. */
  readonly mode: Mode;
  readonly folder: string;
  readonly sinkUrl: string;
  /** More of the configuration. */
  readonly tables?: string;
}

/** Returns what to start: the given file, else dist/postern, else the sources. */
export function findProduct(given: string | undefined): ProductProgram {
  if (given !== undefined) {
    const command = given.endsWith(".ts") ? [process.execPath, resolve(given)] : [resolve(given)];
    return { command, name: given };
  }
  if (!existsSync(BINARY)) return { command: [process.execPath, SOURCE], name: "bun src/main.ts" };
  const builtAt = statSync(BINARY).mtimeMs;
  const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  const isStale = files.some((file) => statSync(join(ROOT, "src", file)).mtimeMs > builtAt);
  return {
    command: [BINARY],
    name: isStale ? "dist/postern (OLDER THAN src: npm run build)" : "dist/postern",
  };
}

/** Starts the product on the store in `folder`, which is made when absent. */
export async function startProduct(program: ProductProgram, options: ProductOptions): Promise<Product> {
  const port = freePort();
  const base = `http://127.0.0.1:${port}`;
  const file = join(options.folder, "config.toml");
  writeFileSync(file, `${configText({ port, sinkUrl: options.sinkUrl })}\n${options.tables ?? ""}`);
  const errorFile = join(options.folder, "stderr.txt");
  const startMs = performance.now();
  const child = startChild([...program.command, "serve", "--config", file], { errorFile });
  try {
    await waitUntilUp(child, `${base}/readyz`, START_LIMIT_MS);
  } catch (cause) {
    await child.stop(0);
    throw new Error(`Postern did not start: ${readFileSync(errorFile, "utf8").trim()}`, { cause });
  }
  const readyMs = performance.now() - startMs;
  const { mode } = options;
  const scrape = () => readMetrics(base);
  return {
    pid: child.pid,
    base,
    readyMs,
    isForwarding: mode === "path",
    url: `${base}/in/${mode}`,
    failedAttempts: async (endpoint) => (await scrape())(ATTEMPTS, labels(endpoint, "failed")),
    scheduleRuns: async () => (await scrape())("postern_schedule_runs_total", 'project="default"'),
    counts: async () => {
      const read = await scrape();
      const delivered = read(ATTEMPTS, labels("sink", "succeeded"));
      const accepted = read("postern_events_accepted_total", `source="${mode}"`);
      return { delivered, backlog: accepted - delivered };
    },
    kill: () => child.stop(0),
    stop: () => child.stop(STOP_LIMIT_MS),
  };
}

const ATTEMPTS = "postern_attempts_total";

function labels(endpoint: string, outcome: string): string {
  return `project="default",endpoint="${endpoint}",outcome="${outcome}"`;
}

/** Returns a reader of one scrape; a series that does not exist yet counts 0. */
async function readMetrics(base: string): Promise<(name: string, labels: string) => number> {
  const { status, body } = await get(`${base}/metrics`, { Authorization: `Bearer ${API_KEY}` });
  if (status !== 200) throw new Error(`/metrics answered ${status}`);
  const lines = body.toString().split("\n");
  return (name, wanted) => {
    const series = `${name}{${wanted}} `;
    return Number(lines.find((line) => line.startsWith(series))?.slice(series.length) ?? 0);
  };
}

/** Nothing listens on port 1 of any ordinary machine, and no client is ever given it. */
const DEAD_URL = "http://127.0.0.1:1/";

function configText({ port, sinkUrl }: { port: number; sinkUrl: string }): string {
  const verify = `verify = { scheme = "hmac", header = "X-Signature", secret = "${SECRET}" }`;
  const dedupe = `dedupe = { by = ["header:Idempotency-Key"], window = "24h" }`;
  const source = (name: string, to: string) =>
    ["[[source]]", `name = "${name}"`, verify, dedupe, `to = [${to}]`].join("\n");
  const sign = `sign = [{ scheme = "standard", secret = "whsec_cG9zdGVybi1iZW5jaC1zaWduaW5nLXNlY3JldA==" }]`;
  const endpoint = (name: string, url: string) =>
    ["[[endpoint]]", `name = "${name}"`, `url = "${url}"`, `concurrency = ${CONCURRENCY}`, sign].join("\n");
  return [
    `[server]\nlisten = "127.0.0.1:${port}"\ndrain_timeout = "5s"`,
    `[store]\npath = "postern.db"\nmaster_key = "${MASTER_KEY_HEX}"`,
    `[[project]]\nid = "default"\napi_keys = ["${API_KEY}"]`,
    source("ingest", ""),
    source("path", '"sink"'),
    source("dead", '"dead"'),
    endpoint("sink", sinkUrl),
    endpoint("dead", DEAD_URL),
    "",
  ].join("\n\n");
}
