/**
 * Stores for tests: in memory by default, in a folder of their own where a file is what the test is about.
 */
import type { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, createApply } from "../../src/storage/commands.ts";
import type { Store, StoreOptions } from "../../src/storage/contract.ts";
import { openWriter } from "../../src/storage/database.ts";
import { MasterSealing } from "../../src/storage/key-rotation.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { registerProcess } from "../../src/storage/processes.ts";
import { createSealing, type Sealing } from "../../src/storage/sealing.ts";
import { openStore } from "../../src/storage/store.ts";
import { FakeClock } from "./fake-clock.ts";

export const MASTER_KEY = new Uint8Array(32).fill(7);

/** A counter instead of dice: tests stay deterministic and nonces differ. */
export function countingBytes(): (length: number) => Uint8Array {
  let count = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    count += 1;
    new DataView(bytes.buffer).setUint32(Math.max(0, length - 4), count);
    return bytes;
  };
}

function storeOptions(change: Partial<StoreOptions> = {}): StoreOptions {
  return {
    path: ":memory:",
    durability: "fsync",
    masterKey: MASTER_KEY,
    clock: new FakeClock(),
    randomBytes: countingBytes(),
    version: "0.0.0-test",
    ...change,
  };
}

export function openTestStore(change: Partial<StoreOptions> = {}): Store {
  return openStore(storeOptions(change));
}

export interface BareStore {
  readonly db: Database;
  readonly sealing: Sealing;
  readonly lease: number;
  readonly apply: (command: Command) => unknown;
}

/** What a writer would work with, without the writer: every command is its own transaction. */
export function openBareStore(path = ":memory:"): BareStore {
  const db = openWriter({ path, durability: "relaxed" });
  migrate(db);
  const sealing = new MasterSealing(createSealing(MASTER_KEY, countingBytes()));
  const { lease } = registerProcess(db, "0.0.0-test", 0);
  const applyOne = createApply({ db, sealing, lease, lastSeq: 1_000 });
  return { db, sealing, lease, apply: (command) => db.transaction(() => applyOne(command)).immediate() };
}

/** Runs a test with an empty folder that is gone afterwards. */
export async function withFolder(run: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "postern-"));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every row of every table, to show that nothing was written. */
export function dump(db: Database): unknown {
  const tables = ["event", "delivery", "queue", "attempt", "payload", "dedupe", "rejection"];
  return Object.fromEntries(tables.map((table) => [table, db.query(`SELECT * FROM ${table}`).all()]));
}

/** The steps of a query plan, as SQLite words them. */
export function queryPlan(db: Database, sql: string): string[] {
  const values = sql
    .split("?")
    .slice(1)
    .map(() => null);
  const rows = db.query<{ detail: string }, null[]>(`EXPLAIN QUERY PLAN ${sql}`).all(...values);
  return rows.map(({ detail }) => detail);
}
