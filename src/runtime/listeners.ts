/**
 * Connected clients that take deliveries in place of an HTTP request. A dialect attaches one Listener per
 * lane while somebody is connected for it, and the dispatcher asks here before every attempt. What a listener
 * says becomes the attempt's outcome like any answer does: same record, same policy, same transition.
 *
 *   nobody attached    the attempt goes out over HTTP
 *   attached           the listener takes it (a promise), or is full: then the delivery goes back to its
 * lane,
 *                      in place of a growing buffer in memory
 */
import type { Outcome } from "../domain/attempt.ts";
import type { EnvelopeInput } from "../domain/strategy.ts";

/** A listener's word on an attempt; nothing is interpreted any more. */
export interface Verdict {
  readonly kind: "verdict";
  readonly outcome: Outcome;
}

/** Null: given up untouched, as if it had never been offered. */
export type Taken = Promise<Verdict | null>;

export interface Listener {
  /** Never rejects. `full`: whoever is connected has enough for now. Null: nobody is there after all. */
  offer(input: EnvelopeInput): Taken | "full" | null;
  /** Ends what it has taken with null, at once. */
  abort(): void;
  readonly counts: ListenerCounts;
}

export interface ListenerCounts {
  /** Clients. */
  readonly connected: number;
  /** Deliveries that they have and have not answered. */
  readonly unanswered: number;
}

export class Listeners {
  readonly #byLane = new Map<number, Listener>();

  attach(lane: number, listener: Listener): void {
    this.#byLane.set(lane, listener);
  }

  detach(lane: number): void {
    this.#byLane.delete(lane);
  }

  /** Null when the attempt is for HTTP. */
  offer(lane: number, inputOf: () => EnvelopeInput): Taken | "full" | null {
    return this.#byLane.get(lane)?.offer(inputOf()) ?? null;
  }

  /** Over all lanes. */
  counts(): ListenerCounts {
    let [connected, unanswered] = [0, 0];
    for (const { counts } of this.#byLane.values()) {
      connected += counts.connected;
      unanswered += counts.unanswered;
    }
    return { connected, unanswered };
  }

  abortAll(): void {
    for (const listener of this.#byLane.values()) listener.abort();
  }
}
