/**
 * Waits until executions are final: what `wait` of a dispatch asks for. A settled attempt says when to look,
 * the store says what is so. What ends without an attempt (a cancel) is seen by the next look.
 */
import { HOUR, SECOND } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { DialectContext } from "../../http/dialect.ts";

/** Callers that wait at the same time; each listens to every settled attempt. */
const WAITING_MAX = 256;
/** Longer than the defaults of a config need; what is not final then is answered as it is. */
const WAIT_MAX_MS = HOUR;
const LOOK_EVERY_MS = 2 * SECOND;
const RETRY_AFTER_MS = SECOND;

export type WaitingContext = Pick<DialectContext, "clock" | "callbacks" | "probe">;

export class Waiting {
  readonly #context: WaitingContext;
  readonly #wakers = new Set<() => void>();
  #count = 0;
  #isStopping = false;

  constructor(context: WaitingContext) {
    this.#context = context;
  }

  /**
   * Runs `dispatch` and resolves with its ids when all of them are final, or after the longest wait. Throws
   * overloaded, and then nothing was dispatched.
   */
  async untilFinal(project: string, dispatch: () => Promise<readonly Id[]>): Promise<readonly Id[]> {
    if (this.#count >= WAITING_MAX) {
      throw new AppError("overloaded", "too many callers wait", { retryAfterMs: RETRY_AFTER_MS });
    }
    this.#count += 1;
    try {
      const ids = await dispatch();
      const endsAtMs = this.#context.clock.monotonicMs() + WAIT_MAX_MS;
      let left = ids;
      for (;;) {
        // Begun before the look, so that nothing that ends meanwhile is missed.
        const change = this.#nextChange(left);
        left = await this.#unfinished(project, left);
        const isOver = this.#isStopping || this.#context.clock.monotonicMs() >= endsAtMs;
        if (left.length === 0 || isOver) {
          change.cancel();
          return ids;
        }
        await change.promise;
      }
    } finally {
      this.#count -= 1;
    }
  }

  /** Lets everybody go: what is not final is answered as it is. */
  stop(): void {
    this.#isStopping = true;
    for (const wake of this.#wakers) wake();
  }

  async #unfinished(project: string, ids: readonly Id[]): Promise<readonly Id[]> {
    const left: Id[] = [];
    for (const id of ids) {
      const execution = await this.#context.callbacks.getCallbackExecution({
        project,
        id,
        withoutPayload: true,
      });
      if (execution?.delivery?.finishedAt === null) left.push(id);
    }
    return left;
  }

  #nextChange(ids: readonly Id[]): { readonly promise: Promise<void>; cancel(): void } {
    const { clock, probe } = this.#context;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.setWallTimer(LOOK_EVERY_MS, resolve);
    const off = probe.on("attempt.settled", ({ deliveryId }) => {
      if (ids.includes(deliveryId)) resolve();
    });
    this.#wakers.add(resolve);
    const cancel = () => {
      timer.cancel();
      off();
      this.#wakers.delete(resolve);
    };
    return { promise: promise.then(cancel), cancel };
  }
}
