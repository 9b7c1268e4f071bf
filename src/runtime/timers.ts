/** One-off deliveries that somebody asks for: now, after a delay, or at a moment. */
import type { NewDelivery, NewPayload } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { Clock } from "./clock.ts";
import type { Outgoing, PrepareOutgoing } from "./outgoing.ts";

export interface TimersOptions {
  readonly clock: Clock;
  readonly store: {
    createDelivery(delivery: NewDelivery & { readonly payload: NewPayload }, now: number): Promise<number>;
  };
  readonly prepare: PrepareOutgoing;
  /** False when the disk budget is used up. */
  readonly hasRoom: () => boolean;
}

export interface TimerDraft {
  readonly payload: NewPayload;
  readonly dueAt: number;
  /** The number of the delivery that it is made for. */
  readonly parentSeq?: number;
  /** JSON for the strategies of its endpoint, or who is told of its end. */
  readonly spec?: string | null;
}

export class Timers {
  readonly #options: TimersOptions;

  constructor(options: TimersOptions) {
    this.#options = options;
  }

  /** Resolves with the delivery's id after the commit. What is due in the past is due at once. */
  async create(endpoint: Endpoint, draft: TimerDraft): Promise<Id> {
    const { clock, store, prepare, hasRoom } = this.#options;
    if (!hasRoom()) throw new AppError("overloaded", "the disk budget is used up");
    const now = clock.now();
    const outgoing: Outgoing = prepare(endpoint, { ...draft, dueAt: Math.max(draft.dueAt, now) });
    let seq: number | null = null;
    try {
      seq = await store.createDelivery(outgoing.delivery, now);
    } finally {
      if (seq === null) outgoing.abandon();
    }
    outgoing.start(seq);
    return outgoing.delivery.id;
  }
}
