/**
 * Group commit: the only way anything is written. Commands are values, never closures; all that has gathered
 * in one turn of the event loop goes into one transaction and one fsync, and only then are the waiters
 * released, in order.
 *
 *   healthy    commands gather; flush() runs once per turn while there are any
 *   failing    the file refused a transaction (full, read-only, I/O). Commands that can be refused are
 *              refused at once with storage_unavailable; the others ("kept": outcomes of attempts that were
 *              made) stay in line. A probe retries on a timer; the first transaction that commits makes it
 *              healthy again.
 *   stopped    after stop(): everything submitted before has been written, everything after is refused
 *
 * One bad command fails alone: a batch is first run without savepoints, which is the fast way, and if a
 * command throws, the batch is rolled back and run again with a savepoint around each. Commands must
 * therefore have no effect outside the database. Not done here: reading, and deciding.
 */
import type { Database, Statement } from "bun:sqlite";
import { AppError } from "../domain/errors.ts";
import type { Journal } from "./journal.ts";

export interface WriterOptions<C> {
  readonly db: Database;
  /** Applies one command inside the open transaction and returns its result. */
  readonly apply: (command: C) => unknown;
  /** Runs `fire` when the current turn of the event loop is over. */
  readonly defer: (fire: () => void) => void;
  readonly delay: (delayMs: number, fire: () => void) => { cancel(): void };
  /** Told of every change between healthy and failing. */
  readonly onHealth?: (health: WriterHealth) => void;
  /** What the commands of a transaction note, told when it is on disk. */
  readonly journal?: Journal;
  readonly bytesMax?: number;
  readonly itemsMax?: number;
}

export interface WriterHealth {
  readonly isHealthy: boolean;
  readonly reason: string | null;
}

export interface SubmitOptions {
  /** Rough size of what the command holds in memory; counts against the bound. */
  readonly weightBytes?: number;
  /** Stay in line while the file cannot be written, and never be refused for lack of room. */
  readonly isKept?: boolean;
}

interface Waiting<C> {
  readonly command: C;
  readonly weightBytes: number;
  readonly isKept: boolean;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Bodies that wait for a commit. At 20k events of 1 KiB per second this is seconds of backlog. */
const BYTES_MAX = 64 * 1_048_576;
const ITEMS_MAX = 20_000;
/** More per transaction saves nothing measurable and lengthens the stall for everything behind it. */
const BATCH_MAX = 512;
/**
 * Turns of the event loop that a flush waits while each still brings something new. One commit for more costs
 * less than two, and a lone command sees a single empty turn.
 */
const GATHER_TURNS = 4;
const PROBE_DELAY_MS = 500;
/** What a refused producer is told to wait. */
const RETRY_AFTER_MS = 1_000;

export class Writer<C> {
  readonly #options: WriterOptions<C>;
  readonly #begin: Statement;
  readonly #commit: Statement;
  #waiting: Waiting<C>[] = [];
  #waitingBytes = 0;
  #isArmed = false;
  #isStopped = false;
  #failure: string | null = null;
  #probe: { cancel(): void } | null = null;
  #onIdle: (() => void)[] = [];
  #commitCount = 0;
  #itemCount = 0;

  constructor(options: WriterOptions<C>) {
    this.#options = options;
    this.#begin = options.db.prepare("BEGIN IMMEDIATE");
    this.#commit = options.db.prepare("COMMIT");
  }

  get health(): WriterHealth {
    return { isHealthy: this.#failure === null, reason: this.#failure };
  }

  get counts(): { commits: number; items: number; waiting: number; waitingBytes: number } {
    return {
      commits: this.#commitCount,
      items: this.#itemCount,
      waiting: this.#waiting.length,
      waitingBytes: this.#waitingBytes,
    };
  }

  /**
   * Resolves with the command's result after the transaction that holds it is on disk. Rejects with the
   * command's own error, or with an AppError: overloaded (no room), storage_unavailable (the file refuses),
   * shutting_down.
   */
  submit<R>(command: C, options: SubmitOptions = {}): Promise<R> {
    const { weightBytes = 256, isKept = false } = options;
    const refusal = this.#refusal(weightBytes, isKept);
    if (refusal) return Promise.reject(refusal);
    return new Promise<R>((resolve, reject) => {
      this.#waiting.push({ command, weightBytes, isKept, resolve, reject });
      this.#waitingBytes += weightBytes;
      this.#arm();
    });
  }

  /**
   * Writes what was submitted, then refuses everything else. While the file cannot be written there is no use
   * in waiting: what is kept is rejected with shutting_down, and its leases are returned at the next start.
   * Call it once.
   */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#waiting.length > 0 && this.#failure === null) {
      await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    }
    this.#probe?.cancel();
    for (const item of this.#waiting.splice(0)) item.reject(stopping());
    this.#begin.finalize();
    this.#commit.finalize();
  }

  #refusal(weightBytes: number, isKept: boolean): AppError | null {
    if (this.#isStopped) return stopping();
    if (isKept) return null;
    if (this.#failure !== null) return unavailable(this.#failure);
    if (this.#waiting.length >= (this.#options.itemsMax ?? ITEMS_MAX)) return overloaded();
    // A single command larger than the whole bound must still be able to pass through an empty line.
    const bytesMax = this.#options.bytesMax ?? BYTES_MAX;
    if (this.#waitingBytes > 0 && this.#waitingBytes + weightBytes > bytesMax) return overloaded();
    return null;
  }

  #arm(): void {
    if (this.#isArmed || this.#failure !== null) return;
    this.#isArmed = true;
    this.#gather(0, 0);
  }

  #gather(turn: number, seen: number): void {
    this.#options.defer(() => {
      const count = this.#waiting.length;
      if (count > seen && turn < GATHER_TURNS && count < BATCH_MAX) {
        this.#gather(turn + 1, count);
        return;
      }
      this.#isArmed = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting.length <= BATCH_MAX ? this.#waiting : this.#waiting.slice(0, BATCH_MAX);
    const results = this.#write(batch);
    if (results === null) return;
    this.#waiting = batch === this.#waiting ? [] : this.#waiting.slice(batch.length);
    for (const item of batch) this.#waitingBytes -= item.weightBytes;
    this.#commitCount += 1;
    this.#itemCount += batch.length;
    for (let index = 0; index < batch.length; index += 1) {
      const item = batch[index] as Waiting<C>;
      const result = results[index];
      if (result instanceof Failure) item.reject(result.error);
      else item.resolve(result as never);
    }
    this.#options.journal?.publish();
    if (this.#waiting.length > 0) this.#arm();
    else if (this.#onIdle.length > 0) for (const done of this.#onIdle.splice(0)) done();
  }

  /** Returns one result per item, or null when the file refused the transaction and nothing was written. */
  #write(batch: readonly Waiting<C>[]): unknown[] | null {
    try {
      try {
        return this.#transact(batch, false);
      } catch (error) {
        if (isFileError(error)) throw error;
        return this.#transact(batch, true);
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  #transact(batch: readonly Waiting<C>[], isIsolated: boolean): unknown[] {
    const { db, apply, journal } = this.#options;
    this.#begin.run();
    journal?.begin();
    try {
      const results: unknown[] = new Array(batch.length);
      for (let index = 0; index < batch.length; index += 1) {
        const { command } = batch[index] as Waiting<C>;
        results[index] = isIsolated ? this.#applyAlone(command) : apply(command);
      }
      this.#commit.run();
      return results;
    } catch (error) {
      // A full disk may already have rolled the transaction back by itself.
      if (db.inTransaction) db.run("ROLLBACK");
      throw error;
    }
  }

  #applyAlone(command: C): unknown {
    const { db, apply, journal } = this.#options;
    const mark = journal?.mark() ?? 0;
    db.run("SAVEPOINT item");
    try {
      const result = apply(command);
      db.run("RELEASE item");
      return result;
    } catch (error) {
      if (isFileError(error)) throw error;
      db.run("ROLLBACK TO item");
      db.run("RELEASE item");
      journal?.rollbackTo(mark);
      return new Failure(error);
    }
  }

  #fail(reason: string): void {
    const wasHealthy = this.#failure === null;
    this.#failure = reason;
    const refused = this.#waiting.filter((item) => !item.isKept);
    this.#waiting = this.#waiting.filter((item) => item.isKept);
    for (const item of refused) {
      this.#waitingBytes -= item.weightBytes;
      item.reject(unavailable(reason));
    }
    for (const done of this.#onIdle.splice(0)) done();
    if (wasHealthy) this.#options.onHealth?.(this.health);
    if (!this.#isStopped) this.#probe = this.#options.delay(PROBE_DELAY_MS, () => this.#recover());
  }

  /**
   * Tries the kept commands again, or an empty write when there are none, and is healthy once that commits.
   */
  #recover(): void {
    const batch = this.#waiting.slice(0, BATCH_MAX);
    try {
      this.#probeWrite();
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#failure = null;
    this.#options.onHealth?.(this.health);
    if (batch.length > 0) this.#arm();
  }

  /** A transaction that really allocates and syncs pages: an empty one would succeed on a full disk. */
  #probeWrite(): void {
    const { db } = this.#options;
    this.#begin.run();
    try {
      db.run("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', randomblob(8000))");
      this.#commit.run();
    } catch (error) {
      if (db.inTransaction) db.run("ROLLBACK");
      throw error;
    }
  }
}

class Failure {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

function unavailable(reason: string): AppError {
  return new AppError("storage_unavailable", "the store cannot be written at the moment", {
    cause: reason,
    retryAfterMs: RETRY_AFTER_MS,
  });
}

function stopping(): AppError {
  return new AppError("shutting_down", "the server is stopping");
}

function overloaded(): AppError {
  return new AppError("overloaded", "too many writes are waiting", { retryAfterMs: RETRY_AFTER_MS });
}

const FILE_ERRORS = [
  "SQLITE_FULL",
  "SQLITE_IOERR",
  "SQLITE_READONLY",
  "SQLITE_CORRUPT",
  "SQLITE_NOTADB",
  "SQLITE_BUSY",
];

/**
 * True when the file, not the command, is the problem. Codes come with suffixes such as SQLITE_IOERR_FSYNC.
 */
function isFileError(error: unknown): boolean {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" && FILE_ERRORS.some((prefix) => code.startsWith(prefix));
}
