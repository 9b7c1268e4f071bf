/**
 * Deliveries that a client of an API asks for, at most once per key: prepared with a place in their lane, so
 * that the bytes in memory go out once the insert has committed.
 */
import type { DeliveryState, NewPayload } from "../domain/delivery.ts";
import { MINUTE } from "../domain/duration.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { EraseResult, NewSend, SendKey, SendResult } from "../domain/sending.ts";
import type { Clock } from "./clock.ts";
import type { PrepareOutgoing } from "./outgoing.ts";

export interface SendsOptions {
  readonly clock: Clock;
  readonly store: {
    send(send: NewSend): Promise<SendResult>;
    erase(input: { id: Id; project: string; now: number }): Promise<EraseResult>;
  };
  readonly prepare: PrepareOutgoing;
  /** False when the disk budget is used up. */
  readonly hasRoom: () => boolean;
}

export interface SendDraft {
  readonly payload: NewPayload;
  /** JSON of the dialect. */
  readonly spec: string | null;
  readonly key: SendKey | null;
  readonly expiresAt: number | null;
}

/** `mismatch`: the key is in use for another content, and nothing was stored. */
export type Sent = { readonly id: Id; readonly state: DeliveryState; readonly isNew: boolean } | "mismatch";

/** Retention makes room once a minute. */
const FULL_RETRY_MS = MINUTE;

export class Sends {
  readonly #options: SendsOptions;

  constructor(options: SendsOptions) {
    this.#options = options;
  }

  /** Resolves after the commit. Rejects with an AppError (overloaded, ...), nothing stored. */
  async send(endpoint: Endpoint, draft: SendDraft): Promise<Sent> {
    const { clock, store, prepare, hasRoom } = this.#options;
    if (!hasRoom()) {
      throw new AppError("overloaded", "the disk budget is used up", { retryAfterMs: FULL_RETRY_MS });
    }
    const now = clock.now();
    const { payload, spec, key, expiresAt } = draft;
    const outgoing = prepare(endpoint, { payload, spec, dueAt: now });
    let result: SendResult | null = null;
    try {
      result = await store.send({ delivery: outgoing.delivery, key, expiresAt, now });
    } finally {
      if (result?.kind !== "created") outgoing.abandon();
    }
    if (result.kind === "mismatch") return "mismatch";
    if (result.kind === "known") return { id: result.id, state: result.state, isNew: false };
    outgoing.start(result.seq);
    return { id: outgoing.delivery.id, state: outgoing.delivery.state, isNew: true };
  }

  /** Takes the body of a delivery away for good and ends it; its row stays to be seen. */
  erase(project: string, id: Id): Promise<EraseResult> {
    const { clock, store } = this.#options;
    return store.erase({ id, project, now: clock.now() });
  }
}
