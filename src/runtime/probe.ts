/**
 * Named signals of things that have happened, so that tests wait for a fact and never for a time. Nobody
 * listens in production, where a signal costs one lookup in an empty map.
 */

export interface ProbeSignals {
  "attempt.settled": { readonly deliveryId: string; readonly state: string; readonly attempt: number };
  "lane.parked": { readonly lane: number; readonly to: "held" | "queued" };
  "source.released": { readonly lanes: number };
  "store.health": { readonly isHealthy: boolean };
  "bulk.done": { readonly bulkId: string };
  "retention.swept": { readonly deleted: number };
}

type Listener = (value: never) => void;

export class Probe {
  readonly #listeners = new Map<string, Set<Listener>>();

  signal<K extends keyof ProbeSignals>(name: K, value: ProbeSignals[K]): void {
    if (this.#listeners.size === 0) return;
    for (const listener of this.#listeners.get(name) ?? []) listener(value as never);
  }

  /** Calls back on every signal until the returned function is called. */
  on<K extends keyof ProbeSignals>(name: K, listener: (value: ProbeSignals[K]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set<Listener>();
    this.#listeners.set(name, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(name);
    };
  }

  /** Resolves with the first signal of that name that fits, from now on. */
  next<K extends keyof ProbeSignals>(
    name: K,
    fits: (value: ProbeSignals[K]) => boolean = () => true,
  ): Promise<ProbeSignals[K]> {
    return new Promise((resolve) => {
      const stop = this.on(name, (value) => {
        if (!fits(value)) return;
        stop();
        resolve(value);
      });
    });
  }
}
