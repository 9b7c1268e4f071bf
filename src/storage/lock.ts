/**
 * Who owns a store: whoever holds an exclusive transaction on `<store>.lock`. The operating system lets go of
 * it when the process ends in whatever way. The lock is a file of its own because an exclusive lock on the
 * store would keep our own reader out. Nothing else may open and close that file in this process: POSIX drops
 * a process's locks on a file with any of its descriptors (SQLite guards only its own).
 */
import { Database } from "bun:sqlite";
import { StoreOpenError } from "./database.ts";

export interface StoreLock {
  release(): void;
}

/** Takes the lock or throws a StoreOpenError at once. The file stays behind, empty; that is harmless. */
export function lockStore(storePath: string): StoreLock {
  const path = `${storePath}.lock`;
  let db: Database | null = null;
  try {
    db = new Database(path, { create: true });
    db.run("PRAGMA busy_timeout = 0");
    db.run("BEGIN EXCLUSIVE");
  } catch (cause) {
    db?.close();
    const isTaken =
      typeof cause === "object" && cause !== null && "code" in cause && cause.code === "SQLITE_BUSY";
    const reason = isTaken
      ? `the store ${storePath} is in use by another process, which holds ${path}`
      : `cannot lock the store with ${path}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new StoreOpenError(reason, { cause });
  }
  const held = db;
  return {
    release() {
      if (held.inTransaction) held.run("ROLLBACK");
      held.close();
    },
  };
}
