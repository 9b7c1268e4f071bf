/**
 * (l): what many remembered keys cost. Two stores, one that remembers few keys and one that remembers many,
 * take the same events in turn. The keys are written straight into the file, in ascending order, before the
 * product's own storage layer opens it; what is measured goes through that layer.
 */
import { Database } from "bun:sqlite";
import type { NewEvent } from "../src/domain/event.ts";
import type { Bench } from "./bench.ts";
import { type Opened, storeFile, withStore } from "./seed.ts";
import { median } from "./statistics.ts";
import { aimAtMost, type Ratio, type Row } from "./table.ts";

const AIM = 1.2;
const DAY_MS = 86_400_000;
const BODY = Buffer.alloc(1_024, "a");
const SOURCE_SEQ = 1;
/** As many as wait for one commit under the load of (a) to (d). */
const AT_ONCE = 64;
const EVENTS = 4_096;
/** Keys are 16 hex digits, spread evenly over the first half of their range; behind it are ascending ones. */
const KEY_DIGITS = 16;
const KEY_RANGE = 1n << 63n;

interface Keys {
  readonly count: number;
  /** Between two remembered keys. */
  readonly step: bigint;
}

type NextKey = (keys: Keys) => string;

let ascending = 0;

/** A new key anywhere, such as a UUID; a new key behind all others, such as a UUIDv7; a key that is known. */
const KINDS: readonly (readonly [name: string, next: NextKey])[] = [
  [
    "a new event, random key",
    (keys) => hex(BigInt(randomBelow(keys.count)) * keys.step + 1n + BigInt(randomBelow(1_000_000_000))),
  ],
  [
    "a new event, ascending key",
    () => {
      ascending += 1;
      return hex(KEY_RANGE + BigInt(ascending));
    },
  ],
  ["a duplicate of any of them", (keys) => hex(BigInt(randomBelow(keys.count)) * keys.step)],
];

export async function measureDedupe(bench: Bench): Promise<Row[]> {
  const { fewKeys, manyKeys } = bench.durations;
  return bench.withFolder((few) =>
    bench.withFolder(async (many) => {
      await remember(bench, few, fewKeys);
      await remember(bench, many, manyKeys);
      const rows: Row[] = [];
      await withStore(few, (fewStore) =>
        withStore(many, async (manyStore) => {
          for (const [name, nextKey] of KINDS) {
            const accept = {
              few: accepting(fewStore, keysOf(fewKeys), nextKey),
              many: accepting(manyStore, keysOf(manyKeys), nextKey),
            };
            rows.push(await compare(bench, name, accept));
          }
        }),
      );
      return rows;
    }),
  );
}

function keysOf(count: number): Keys {
  return { count, step: KEY_RANGE / BigInt(count) };
}

function hex(value: bigint): string {
  return value.toString(16).padStart(KEY_DIGITS, "0");
}

function randomBelow(count: number): number {
  return Math.floor(Math.random() * count);
}

/** Makes a store and has it remember so many keys for a day. */
async function remember(bench: Bench, folder: string, count: number): Promise<void> {
  bench.checkTime();
  await withStore(folder, async () => {});
  const startMs = performance.now();
  const db = new Database(storeFile(folder));
  try {
    db.run("PRAGMA synchronous = OFF");
    db.run(
      `WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?)
       INSERT INTO dedupe (source_seq, key, event_id, expires_at)
       SELECT ?, printf('%016x', n * ?), randomblob(16), ? FROM number`,
      [count, SOURCE_SEQ, keysOf(count).step, Date.now() + DAY_MS],
    );
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  bench.progress(`remembered ${count.toLocaleString("en")} keys in ${seconds} s`);
}

/** Returns what takes a slice of events and resolves with the time of one, in microseconds. */
function accepting({ store, nextId, now }: Opened, keys: Keys, nextKey: NextKey): () => Promise<number> {
  const event = (): NewEvent => ({
    id: nextId(),
    project: "default",
    sourceSeq: SOURCE_SEQ,
    type: null,
    tenant: null,
    receivedAt: now,
    remoteAddress: "127.0.0.1",
    headers: "{}",
    body: BODY,
    dedupe: { key: nextKey(keys), expiresAt: now + DAY_MS },
    deliveries: [],
  });
  return async () => {
    const startMs = performance.now();
    for (let done = 0; done < EVENTS; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => store.accept(event())));
    }
    return ((performance.now() - startMs) * 1_000) / EVENTS;
  };
}

async function compare(
  bench: Bench,
  name: string,
  accept: { readonly few: () => Promise<number>; readonly many: () => Promise<number> },
): Promise<Row> {
  const { rounds, fewKeys, manyKeys } = bench.durations;
  // The first slice fills the page cache.
  await accept.few();
  await accept.many();
  const costs: { few: number; many: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    bench.checkTime();
    costs.push({ few: await accept.few(), many: await accept.many() });
  }
  const ratios = costs.map(({ few, many }) => many / few);
  const ratio: Ratio = { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
  const [few, many] = [fewKeys, manyKeys].map((count) => count.toLocaleString("en"));
  return {
    part: "l",
    what: `${name}, ${many} keys (right) beside ${few} (left)`,
    unit: "us",
    beside: median(costs.map((cost) => cost.few)),
    value: median(costs.map((cost) => cost.many)),
    ratio,
    aim: aimAtMost(ratio.median, AIM),
  };
}
