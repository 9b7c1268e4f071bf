/**
 * (v) every list call of the HookBridge door with few and with many messages. What they page through is the
 * history of one profile, so the messages are put there directly: sent over a month, nine of ten delivered,
 * the rest given up or waiting.
 */
import { Database } from "bun:sqlite";
import { makeStore } from "./backlog.ts";
import type { Bench } from "./bench.ts";
import { API_KEY, type Product, startProduct } from "./product.ts";
import { storeFile, withStore } from "./seed.ts";
import { spreadOf } from "./statistics.ts";
import { aimUnder, type Row } from "./table.ts";

const AIM_MS = 20;
const ROUNDS = 100;
const BATCH = 4_000;
const MONTH_MS = 30 * 86_400_000;
const PROGRESS_EVERY = 200_000;
const NOWHERE = "http://127.0.0.1:1/";
const PROFILE = "hookbridge";

/** `endpoint` stands for the id of the one that has all messages. */
const LISTS = [
  "logs",
  "logs?limit=500",
  "logs?status=failed_permanent",
  "logs?status=pending_retry&endpoint_id=endpoint",
  "logs?status=succeeded",
  "logs?endpoint_id=endpoint",
  "logs?start_time=MIDDLE",
  "logs?end_time=MIDDLE",
  "dlq/messages",
  "metrics?window=30d",
  "metrics/timeseries?window=24h",
  "endpoints",
  "inbound-endpoints",
  "inbound-logs",
  "inbound-rejections",
  "pull-endpoints",
  "pull-logs",
  "exports",
  "api-keys",
] as const;

async function seed(bench: Bench, folder: string, count: number): Promise<string> {
  await makeStore(bench, folder);
  let shown = "";
  await withStore(folder, async ({ store, nextId, now }) => {
    const id = nextId();
    const endpoint = await store.putEndpoint(
      {
        ...{ id, project: "default", name: "bench", door: PROFILE, profile: PROFILE, url: NOWHERE },
        ...{ headers: {}, sign: [], retry: { kind: "ladder", delaysMs: [], jitter: 0 }, concurrency: 1 },
        ...{ rate: null, timeoutMs: 1_000, breaker: { failures: 0, recoveryMs: 1_000 } },
      },
      now,
    );
    shown = `ep_${id}`;
    const spec = JSON.stringify({ sizeBytes: 2, sha256: "0".repeat(64), acceptedAt: now });
    const { project, lane, profile } = endpoint;
    for (let done = 0; done < count; ) {
      const size = Math.min(BATCH, count - done);
      const send = (index: number) =>
        store.send({
          delivery: {
            ...{ id: nextId(), project, lane, endpointId: id, profile, state: "queued", dueAt: now, spec },
            payload: { headers: '{"content-type":"application/json"}', body: Buffer.from("{}") },
          },
          ...{ key: null, expiresAt: null },
          now: now - MONTH_MS + Math.floor(((done + index) / count) * MONTH_MS),
        });
      await Promise.all(Array.from({ length: size }, (_, index) => send(index)));
      done += size;
      bench.checkTime();
      if (done % PROGRESS_EVERY === 0) bench.progress(`seeded ${done.toLocaleString("en")} messages`);
    }
  });
  finish(folder);
  return shown;
}

/** Every tenth message is a dead letter, every hundredth waits for its next attempt. */
function finish(folder: string): void {
  const db = new Database(storeFile(folder), { strict: true });
  db.run("PRAGMA synchronous = OFF");
  db.transaction(() => {
    db.run("DELETE FROM queue");
    db.run(
      `UPDATE delivery SET attempt_count = 1, last_status = CASE WHEN seq % 10 = 0 THEN 404 ELSE 200 END,
         state = CASE WHEN seq % 100 = 1 THEN 'retrying' WHEN seq % 10 = 0 THEN 'dead' ELSE 'succeeded' END,
         due_at = CASE WHEN seq % 100 = 1 THEN 8640000000000 END,
         finished_at = CASE WHEN seq % 100 = 1 THEN NULL ELSE created_at + 50 END`,
    );
    db.run(
      `INSERT INTO queue (lane, due_at, delivery_seq)
         SELECT endpoint_seq, due_at, seq FROM delivery WHERE due_at IS NOT NULL`,
    );
    db.run(
      `INSERT INTO attempt (delivery_seq, number, started_at, duration_ms, outcome, status, failure)
         SELECT seq, 1, created_at, 12, CASE WHEN state = 'succeeded' THEN 'succeeded' ELSE 'failed' END,
           last_status, CASE WHEN state = 'succeeded' THEN NULL ELSE 'status' END FROM delivery`,
    );
  })();
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
}

export async function measureHookbridge(bench: Bench, emit: (rows: readonly Row[]) => void): Promise<void> {
  const { fewPending, manyPending } = bench.durations;
  await bench.withFolder((few) =>
    bench.withFolder(async (many) => {
      const left = await measure(bench, few, await seed(bench, few, fewPending));
      const right = await measure(bench, many, await seed(bench, many, manyPending));
      const shown = (count: number) => count.toLocaleString("en");
      const sizes = `${shown(manyPending)} (right) and ${shown(fewPending)} messages`;
      const timesFor = (list: string) => ({ few: left.get(list) ?? 0, many: right.get(list) ?? 0 });
      emit(LISTS.map((list) => toRow(list, { sizes, ...timesFor(list) })));
    }),
  );
}

async function measure(bench: Bench, folder: string, endpoint: string): Promise<ReadonlyMap<string, number>> {
  const product = await startProduct(bench.program, { mode: "path", folder, sinkUrl: NOWHERE });
  const middle = new Date(Date.now() - MONTH_MS / 2).toISOString();
  try {
    const p99s = new Map<string, number>();
    for (const list of LISTS) {
      const path = list.replace("=endpoint", `=${endpoint}`).replace("MIDDLE", middle);
      p99s.set(list, spreadOf(await timesOf(product, path)).p99);
      bench.checkTime();
    }
    return p99s;
  } finally {
    await product.kill();
  }
}

/** One after the other; the first is not counted. */
async function timesOf(product: Product, path: string): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const startMs = performance.now();
    const response = await fetch(`${product.base}/v1/${path}`, {
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
    if (round > 0) times.push(performance.now() - startMs);
  }
  return times;
}

function toRow(list: string, { sizes, few, many }: { sizes: string; few: number; many: number }): Row {
  return {
    part: "v",
    what: `GET /v1/${list}, p99, ${sizes}`,
    unit: "ms",
    beside: few,
    value: many,
    ratio: null,
    aim: aimUnder(many, AIM_MS, "ms"),
  };
}
