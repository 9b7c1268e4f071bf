/**
 * The caller's side of the read thread: a second connection on a thread of its own for queries whose cost no
 * index bounds, so that they never hold up the event loop.
 *
 *   idle      no thread                    <- at first, after a crash, after a query that took too long
 *   running   thread up, answers by id     <- first query
 *   closed    refuses everything           <- close()
 *
 * Queries run one after the other. When the thread dies, everything that waited for it is rejected and the
 * next query starts a new one.
 */
import { AppError } from "../domain/errors.ts";
import type { StoreClock } from "./contract.ts";
import type { Query } from "./queries.ts";

export interface ReadRequest {
  readonly id: number;
  readonly path: string;
  readonly query: Query;
}

export type ReadAnswer =
  | { readonly id: number; readonly isOk: true; readonly result: unknown }
  | { readonly id: number; readonly isOk: false; readonly reason: string };

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: AppError) => void;
  readonly timer: { cancel(): void };
}

export interface ReadThreadOptions {
  readonly path: string;
  readonly clock: Pick<StoreClock, "setWallTimer">;
  readonly waitingMax?: number;
  readonly timeoutMs?: number;
}

/** A page of people who all search at once; more means that somebody polls with searches. */
const WAITING_MAX = 64;
/** A count over some ten million rows still fits. */
const TIMEOUT_MS = 30_000;

/** In the executable, files are found by their path below src/, the common folder of its entry points. */
const ENTRY = Bun.isStandaloneExecutable
  ? "./storage/read-worker.js"
  : new URL("./read-worker.ts", import.meta.url).href;

export class ReadThread {
  readonly #options: ReadThreadOptions;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | null = null;
  #lastId = 0;
  #isClosed = false;

  constructor(options: ReadThreadOptions) {
    this.#options = options;
  }

  /** Rejects with overloaded, shutting_down, or internal_error when the query or the thread failed. */
  run<Result>(query: Query): Promise<Result> {
    if (this.#isClosed) return Promise.reject(new AppError("shutting_down", "the server is stopping"));
    const { path, clock, waitingMax = WAITING_MAX, timeoutMs = TIMEOUT_MS } = this.#options;
    if (this.#waiting.size >= waitingMax) {
      return Promise.reject(
        new AppError("overloaded", "too many searches are waiting", { retryAfterMs: 1_000 }),
      );
    }
    const thread = this.#thread ?? this.#start();
    const id = ++this.#lastId;
    return new Promise<Result>((resolve, reject) => {
      const timer = clock.setWallTimer(timeoutMs, () => this.#drop(thread, "the query took too long"));
      this.#waiting.set(id, { resolve, reject, timer });
      thread.postMessage({ id, path, query } satisfies ReadRequest);
    });
  }

  /** Ends the thread at once; what waits is rejected. */
  close(): void {
    this.#isClosed = true;
    if (this.#thread) this.#drop(this.#thread, "the server is stopping", "shutting_down");
  }

  #start(): Worker {
    const thread = new Worker(ENTRY, { smol: true });
    thread.onmessage = (event: MessageEvent<ReadAnswer>) => this.#settle(event.data);
    thread.onerror = (event) => this.#drop(thread, event.message);
    thread.addEventListener("close", () => this.#drop(thread, "the read thread ended"));
    this.#thread = thread;
    return thread;
  }

  #settle(answer: ReadAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    this.#waiting.delete(answer.id);
    waiting.timer.cancel();
    if (answer.isOk) waiting.resolve(answer.result as never);
    else waiting.reject(failed(answer.reason));
  }

  #drop(thread: Worker, reason: string, code: "internal_error" | "shutting_down" = "internal_error"): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    thread.terminate();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, timer } of waiting) {
      timer.cancel();
      reject(code === "internal_error" ? failed(reason) : new AppError(code, reason));
    }
  }
}

function failed(reason: string): AppError {
  return new AppError("internal_error", "the query failed", { cause: reason });
}
