/**
 * Where log lines go, written many at a time. Losing lines is the lesser evil: a reader that is gone, a disk
 * that is full or a pipe that nobody empties must neither end nor stop a process that has deliveries to make.
 * What was lost is counted, and told in a line of its own as soon as one can be written.
 */
import { type Clock, standStill } from "./clock.ts";

export interface LogOutputOptions {
  readonly clock: Pick<Clock, "setWallTimer">;
  /** Writes what it can of the bytes and returns how many; its errors have the `code` of write(2). */
  readonly write: (bytes: Uint8Array) => number;
  /** Makes the line that tells how many were lost. */
  readonly lostLine: (count: number) => string;
  /** Lines wait until this many characters are together, or until FLUSH_EVERY_MS. */
  readonly bufferChars: number;
}

const FLUSH_EVERY_MS = 500;
/** What waits for a reader that is slow; beyond it, lines are lost. */
const HELD_CHARS_MAX = 1_048_576;
/** How often the last lines are tried on a pipe that is full, and the pause between. */
const LAST_TRIES_MAX = 50;
const LAST_PAUSE_MS = 10;

export class LogOutput {
  readonly #options: LogOutputOptions;
  #waiting: string[] = [];
  #waitingChars = 0;
  /** Of a chunk that was taken in part. */
  #rest: Uint8Array | null = null;
  #lostCount = 0;
  #isArmed = false;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  /** `line` ends with a line feed. */
  write(line: string): void {
    if (this.#waitingChars + line.length > HELD_CHARS_MAX) {
      this.#lostCount += 1;
      return;
    }
    this.#waiting.push(line);
    this.#waitingChars += line.length;
    // With something left over the pipe is full, and asking it at every line would cost more than it brings.
    if (this.#rest === null && this.#waitingChars >= this.#options.bufferChars) this.#flush();
    else this.#arm();
  }

  /** Writes everything; waits half a second at most for a pipe that is full. */
  flush(): void {
    this.#flush();
    for (let tries = 1; this.#rest !== null && tries < LAST_TRIES_MAX; tries += 1) {
      standStill(LAST_PAUSE_MS);
      this.#flush();
    }
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#options.clock.setWallTimer(FLUSH_EVERY_MS, () => {
      this.#isArmed = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#rest !== null && !this.#put(this.#rest, 0)) return;
    const lines = this.#waiting;
    if (lines.length === 0) return;
    const lostCount = this.#lostCount;
    if (lostCount > 0) lines.unshift(this.#options.lostLine(lostCount));
    this.#waiting = [];
    this.#waitingChars = 0;
    this.#lostCount = 0;
    this.#put(Buffer.from(lines.join("")), lines.length + Math.max(0, lostCount - 1));
  }

  /** False while a part is left over. What cannot be written at all counts as `lineCount` lost lines. */
  #put(bytes: Uint8Array, lineCount: number): boolean {
    this.#rest = null;
    let done = 0;
    try {
      while (done < bytes.length) done += this.#options.write(bytes.subarray(done));
      return true;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "EAGAIN" || code === "EBUSY") {
        this.#rest = bytes.subarray(done);
        this.#arm();
        return false;
      }
      this.#lostCount += Math.max(1, lineCount);
      return true;
    }
  }
}
