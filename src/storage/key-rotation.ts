/**
 * Changing the master key of a store that is in use. Two rows of `meta` say where it stands:
 *
 *   master_key_check   the key that may still be needed to open something
 *   master_key_next    while a rotation is under way: the key that everything is being sealed under
 *
 *   settled   -> begin()   writes master_key_next; from then on new values are sealed under the next key, and
 *                          both keys open
 *   rotating  -> reseal()  seals a bounded number of rows anew, as often as it takes
 *   rotating  -> finish()  one transaction: the next key becomes the key, and the old one is useless
 *
 * Every step is a transaction of its own and is right whatever came before, so a process that is killed
 * between any two goes on where it was, given both keys.
 */
import type { Database } from "bun:sqlite";
import { StoreOpenError } from "./database.ts";
import { ownerOf, SEALED_COLUMNS } from "./sealed-columns.ts";
import { createSealing, isSameCheck, type Sealing } from "./sealing.ts";

export interface MasterKeys {
  /** The key that the store is to be sealed under. */
  readonly wanted: Uint8Array;
  /** The key before it, when the operator has changed it in the configuration. */
  readonly previous?: Uint8Array | undefined;
  /** One that lies ready beside the key file: a rotation of the running server was not finished. */
  readonly staged?: Uint8Array | undefined;
}

/** Where a re-seal goes on: the table's place in the list and the last key of the step before. */
export interface ResealCursor {
  readonly table: number;
  readonly after: Uint8Array | string | null;
}

export const FIRST_RESEAL: ResealCursor = { table: 0, after: null };

export interface ResealStep {
  readonly resealedCount: number;
  /** Null when the last table was walked to its end. */
  readonly next: ResealCursor | null;
}

/** A sealing whose key can change while it is in use. */
export class MasterSealing implements Sealing {
  #current: Sealing;
  #next: Sealing | null;

  constructor(current: Sealing, next: Sealing | null = null) {
    this.#current = current;
    this.#next = next;
  }

  get isRotating(): boolean {
    return this.#next !== null;
  }

  /** Of the key that new values are sealed under. */
  get checkValue(): Uint8Array {
    return (this.#next ?? this.#current).checkValue;
  }

  seal(owner: string, value: unknown): Uint8Array {
    return (this.#next ?? this.#current).seal(owner, value);
  }

  open(owner: string, sealed: Uint8Array): unknown {
    if (this.#next === null) return this.#current.open(owner, sealed);
    try {
      return this.#next.open(owner, sealed);
    } catch {
      return this.#current.open(owner, sealed);
    }
  }

  /** The same value under the next key; null when it is sealed under that already, or nothing rotates. */
  resealed(owner: string, sealed: Uint8Array): Uint8Array | null {
    if (this.#next === null) return null;
    try {
      this.#next.open(owner, sealed);
      return null;
    } catch {
      return this.#next.seal(owner, this.#current.open(owner, sealed));
    }
  }

  begin(next: Sealing): void {
    this.#next = next;
  }

  finish(): void {
    if (this.#next !== null) this.#current = this.#next;
    this.#next = null;
  }
}

const CHECK = "master_key_check";
const NEXT_CHECK = "master_key_next";

/**
 * Finds out which of the keys the store is sealed under, stamps a new store, and begins a rotation when that
 * is the previous one. Throws StoreOpenError, with what to do, when a key is missing.
 */
export function openSealing(
  db: Database,
  keys: MasterKeys,
  randomBytes: (length: number) => Uint8Array,
): MasterSealing {
  const sealingOf = (key: Uint8Array | undefined) => (key ? createSealing(key, randomBytes) : null);
  const target = createSealing(keys.wanted, randomBytes);
  const staged = sealingOf(keys.staged);
  const known = [target, sealingOf(keys.previous), staged].filter((one) => one !== null);
  const check = readCheck(db, CHECK);
  if (check === null) {
    writeCheck(db, CHECK, target.checkValue);
    return new MasterSealing(target);
  }
  const current = known.find(({ checkValue }) => isSameCheck(check, checkValue));
  const nextCheck = readCheck(db, NEXT_CHECK);
  if (nextCheck !== null) {
    const next = known.find(({ checkValue }) => isSameCheck(nextCheck, checkValue));
    if (current && next) return new MasterSealing(current, next);
    const missing = current ? "new" : "old";
    throw new StoreOpenError(
      `a change of the master key has begun, and the ${missing} key is missing: both are needed to end it, ` +
        "the new one as store.master_key and the old one as store.master_key_old",
    );
  }
  // The last process ended between the last step and the renaming of the key file.
  if (current && (current === target || current === staged)) return new MasterSealing(current);
  if (current) {
    writeCheck(db, NEXT_CHECK, target.checkValue);
    return new MasterSealing(current, target);
  }
  throw new StoreOpenError("the master key is not the one that this store's secrets are sealed under");
}

function readCheck(db: Database, name: string): Uint8Array | null {
  const row = db.query<{ value: unknown }, [string]>("SELECT value FROM meta WHERE name = ?").get(name);
  return row === null ? null : row.value instanceof Uint8Array ? row.value : new Uint8Array(0);
}

function writeCheck(db: Database, name: string, value: Uint8Array): void {
  db.query("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)").run(name, value);
}

interface SealedRow {
  key: Uint8Array | string;
  sealed: Uint8Array;
}

/** The commands of a rotation, each applied inside a transaction of the writer. */
export function createKeyRotation(db: Database, sealing: MasterSealing) {
  const forget = db.query("DELETE FROM meta WHERE name = ?");
  const tables = SEALED_COLUMNS.map(({ table, key }) => ({
    table,
    // The unique index of the key, or the primary key itself.
    page: db.query<SealedRow, [Uint8Array | string | null, number]>(
      `SELECT ${key} AS key, sealed FROM ${table}
       WHERE sealed IS NOT NULL AND (?1 IS NULL OR ${key} > ?1) ORDER BY ${key} LIMIT ?2`,
    ),
    put: db.query(`UPDATE ${table} SET sealed = ? WHERE ${key} = ?`),
  }));

  function reseal({ cursor, limit }: { cursor: ResealCursor; limit: number }): ResealStep {
    const place = tables[cursor.table];
    if (!place) return { resealedCount: 0, next: null };
    const rows = place.page.all(cursor.after, limit);
    let resealedCount = 0;
    for (const { key, sealed } of rows) {
      const anew = sealing.resealed(ownerOf(place.table, key), sealed);
      if (anew === null) continue;
      place.put.run(anew, key);
      resealedCount += 1;
    }
    const last = rows.at(-1);
    if (last && rows.length === limit) return { resealedCount, next: { ...cursor, after: last.key } };
    const isLastTable = cursor.table + 1 === tables.length;
    return { resealedCount, next: isLastTable ? null : { table: cursor.table + 1, after: null } };
  }

  return {
    noteKeyRotation: ({ check }: { check: Uint8Array }) => writeCheck(db, NEXT_CHECK, check),
    reseal,
    settleKeyRotation: ({ check }: { check: Uint8Array }) => {
      writeCheck(db, CHECK, check);
      forget.run(NEXT_CHECK);
    },
  };
}

/** Empties the log, where old seals would stand for a while. A reader in the way leaves it for later. */
export function emptyLog(db: Database): void {
  db.run("PRAGMA busy_timeout = 0");
  try {
    db.query("PRAGMA wal_checkpoint(TRUNCATE)").get();
  } finally {
    db.run("PRAGMA busy_timeout = 5000");
  }
}
