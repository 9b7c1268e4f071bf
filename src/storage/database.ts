/**
 * Opens the store file. Two connections to one file: the writer, which alone changes and checkpoints it, and
 * a reader for bounded queries. The order of the first statements on a new file matters and is tested:
 * page_size and auto_vacuum are ignored once a table exists or WAL is on.
 */
import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";

/** "Pstn", so that `file` and a curious operator can tell what the file is. */
export const APPLICATION_ID = 0x5073746e;

/**
 * 8 KiB wrote 8 % faster than 4 KiB with bodies of 1 KiB (fewer pages for payload rows), and 16 KiB no faster
 * than that. Measured once on one machine; only new files take it.
 */
const PAGE_BYTES = 8_192;

/**
 * Before 3.51.3 a WAL reset could race with a checkpoint and corrupt the file (SQLite 3.51.3 release notes).
 */
const SQLITE_MIN = [3, 51, 3] as const;

/** Statements for a new file, in this order, before anything else touches it. */
export const FIRST_STATEMENTS = [
  `PRAGMA page_size = ${PAGE_BYTES}`,
  "PRAGMA auto_vacuum = INCREMENTAL",
  `PRAGMA application_id = ${APPLICATION_ID}`,
  "PRAGMA journal_mode = WAL",
] as const;

/**
 * Checkpoint after this many WAL pages (8 MiB). The commit that crosses it also writes and syncs the database
 * file, so this is the stall that the slowest acknowledgements see: four times as many pages gave the same
 * rate and twice the p99.
 */
const CHECKPOINT_PAGES = 1_000;

export interface OpenOptions {
  readonly path: string;
  readonly durability: "fsync" | "relaxed";
}

export class StoreOpenError extends Error {}

/**
 * True when a row broke a rule of the schema; the error's code then has a suffix such as _UNIQUE or _CHECK.
 */
export function isConstraint(error: unknown): boolean {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" && code.startsWith("SQLITE_CONSTRAINT");
}

/** Opens the connection that writes. Creates the file when absent. Throws StoreOpenError with what to do. */
export function openWriter(options: OpenOptions): Database {
  requireSqlite(sqliteVersion());
  const db = open(options.path, false);
  try {
    prepareWriter(db, options);
    return db;
  } catch (cause) {
    db.close();
    throw cause instanceof StoreOpenError ? cause : unusable(options.path, cause);
  }
}

function prepareWriter(db: Database, options: OpenOptions): void {
  const applicationId = pragmaNumber(db, "application_id");
  const isNew = pragmaNumber(db, "schema_version") === 0 && applicationId === 0;
  if (isNew) for (const statement of FIRST_STATEMENTS) db.run(statement);
  else if (applicationId !== APPLICATION_ID) {
    throw new StoreOpenError(
      `${options.path} is a SQLite file of another program; choose another store.path`,
    );
  }
  db.run("PRAGMA busy_timeout = 5000");
  // FULL, not the WAL default of NORMAL: with NORMAL a power cut may lose committed transactions.
  db.run(`PRAGMA synchronous = ${options.durability === "fsync" ? "FULL" : "NORMAL"}`);
  db.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.run("PRAGMA journal_size_limit = 67108864");
  db.run("PRAGMA cache_size = -64000");
  db.run("PRAGMA foreign_keys = OFF");
  db.run("PRAGMA temp_store = MEMORY");
  // What is deleted or replaced leaves no copy in a page's free space: old seals, purged bodies. Measured at
  // no cost, because a page that changes is written as a whole anyway.
  db.run("PRAGMA secure_delete = FAST");
}

/** Opens a connection that cannot write. The file must exist and be migrated. */
export function openReader(path: string): Database {
  const db = open(path, true);
  db.run("PRAGMA busy_timeout = 5000");
  db.run("PRAGMA query_only = ON");
  db.run("PRAGMA cache_size = -16000");
  return db;
}

export function sqliteVersion(): string {
  const db = new Database(":memory:");
  const row = db.query<{ version: string }, []>("SELECT sqlite_version() AS version").get();
  db.close();
  return row?.version ?? "0.0.0";
}

export function requireSqlite(version: string): void {
  const parts = version.split(".").map(Number);
  for (const [index, least] of SQLITE_MIN.entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least) {
      throw new StoreOpenError(`SQLite ${version} is too old; ${SQLITE_MIN.join(".")} or newer is needed`);
    }
  }
}

function open(path: string, isReader: boolean): Database {
  try {
    if (!isReader && path !== ":memory:") createPrivately(path);
    return new Database(path, isReader ? { readonly: true, strict: true } : { create: true, strict: true });
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/** Bodies and headers are nobody else's to read. SQLite gives -wal and -shm the mode of the file itself. */
function createPrivately(path: string): void {
  closeSync(openSync(path, "a", 0o600));
}

function unusable(path: string, cause: unknown): StoreOpenError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreOpenError(`cannot open the store ${path}: ${reason}`, { cause });
}

function pragmaNumber(db: Database, name: string): number {
  const row = db.query<Record<string, number>, []>(`PRAGMA ${name}`).get();
  return row?.[name] ?? 0;
}
