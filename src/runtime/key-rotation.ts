/**
 * Changes the master key while everything runs. The order is what makes it safe to be killed anywhere: the
 * new key is on disk beside the old one before anything is sealed under it, the store remembers that it is
 * changing before the first row changes, and the key file is replaced only when nothing needs the old key.
 *
 *   idle -> rotate()   one at a time; a second call is refused
 *   idle -> resume()   at start, when the last process did not get to the end
 *   stop() ends after the step under way; the next start goes on
 */
import { AppError } from "../domain/errors.ts";
import type { Log } from "./log.ts";
import type { Random } from "./random.ts";

export interface RotationStore<Cursor> {
  readonly isKeyRotating: boolean;
  hasMasterKey(key: Uint8Array): boolean;
  beginKeyRotation(key: Uint8Array): Promise<void>;
  reseal(
    cursor: Cursor,
    limit: number,
  ): Promise<{ readonly resealedCount: number; readonly next: Cursor | null }>;
  finishKeyRotation(): Promise<void>;
}

/** The file that the key is read from at start. */
export interface KeyFile {
  stage(key: Uint8Array): void;
  promote(): void;
}

export interface KeyRotationOptions<Cursor> {
  readonly store: RotationStore<Cursor>;
  readonly first: Cursor;
  /** Null when the key comes from elsewhere: then the operator has to change it there. */
  readonly keyFile: KeyFile | null;
  readonly random: Random;
  readonly log: Log;
}

const KEY_BYTES = 32;
/** Rows per transaction: some 2 ms of AES and writing, so that no acknowledgement waits for more. */
const STEP_ROWS = 100;

export class KeyRotation<Cursor> {
  readonly #options: KeyRotationOptions<Cursor>;
  #running: Promise<number> | null = null;
  #isStopping = false;

  constructor(options: KeyRotationOptions<Cursor>) {
    this.#options = options;
  }

  /**
   * Seals everything under a new key and resolves with how many values that were. Without a key it makes one,
   * which needs a key file to keep it in. AppError: conflict, invalid_request.
   */
  rotate(given: Uint8Array | null): Promise<number> {
    const { store, keyFile, random } = this.#options;
    if (this.#running) throw new AppError("conflict", "the master key is being changed already");
    if (given === null && keyFile === null) {
      throw new AppError("invalid_request", "the master key stands in the configuration: give the new one");
    }
    const key = given ?? random.bytes(KEY_BYTES);
    if (store.hasMasterKey(key)) throw new AppError("invalid_request", "that is the master key already");
    return this.#run(async () => {
      keyFile?.stage(key);
      await store.beginKeyRotation(key);
    });
  }

  /** Ends what an earlier process began. Not awaited by the start: nothing waits for it. */
  resume(): void {
    if (!this.#options.store.isKeyRotating || this.#running) return;
    this.#run(async () => {}).catch((error: unknown) => {
      this.#options.log.error("master_key.rotation_stopped", { error: String(error) });
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running?.catch(() => {});
  }

  #run(begin: () => Promise<void>): Promise<number> {
    const running = this.#work(begin).finally(() => {
      this.#running = null;
    });
    this.#running = running;
    return running;
  }

  async #work(begin: () => Promise<void>): Promise<number> {
    const { store, keyFile, log } = this.#options;
    await begin();
    log.info("master_key.rotation_started");
    let total = 0;
    for (;;) {
      const count = await this.#walk();
      total += count;
      // A walk that changed nothing has seen that nothing is left.
      if (count === 0) break;
    }
    await store.finishKeyRotation();
    keyFile?.promote();
    log.info("master_key.rotated", { resealed: total, isKeyFileReplaced: keyFile !== null });
    return total;
  }

  async #walk(): Promise<number> {
    const { store, first } = this.#options;
    let count = 0;
    for (let cursor: Cursor | null = first; cursor !== null; ) {
      if (this.#isStopping) throw new AppError("shutting_down", "the server is stopping; a start goes on");
      const step: Awaited<ReturnType<RotationStore<Cursor>["reseal"]>> = await store.reseal(
        cursor,
        STEP_ROWS,
      );
      count += step.resealedCount;
      cursor = step.next;
    }
    return count;
  }
}
