/**
 * Endpoints that do nothing but fail, and since when: after a time of the rule's choice they are to be
 * disabled. In memory for every endpoint that is failing, and in the store once that has lasted, so that an
 * endpoint that fails now and then costs no write and one that fails for days is remembered over a restart.
 */
import type { Outcome } from "../domain/attempt.ts";
import { MINUTE } from "../domain/duration.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Log } from "./log.ts";

export interface FailingOptions {
  readonly store: {
    setFailingSince(lane: number, since: number | null): Promise<void>;
    failingSince(): Promise<readonly { readonly lane: number; readonly since: number }[]>;
  };
  readonly log: Log;
}

interface Failing {
  /** What failed at another address says nothing about this one; null: as it was at the last stop. */
  url: string | null;
  readonly since: number;
  isStored: boolean;
}

/** A restart may forget an outage that is younger. */
const STORE_AFTER_MS = MINUTE;

export class FailingEndpoints {
  readonly #options: FailingOptions;
  readonly #failing = new Map<number, Failing>();

  constructor(options: FailingOptions) {
    this.#options = options;
  }

  async load(): Promise<void> {
    for (const { lane, since } of await this.#options.store.failingSince()) {
      this.#failing.set(lane, { url: null, since, isStored: true });
    }
  }

  /** Since when the endpoint has done nothing but fail; null: it has not. */
  since({ lane }: Pick<Endpoint, "lane">): number | null {
    return this.#failing.get(lane)?.since ?? null;
  }

  /** Takes an outcome in. True: it has been failing for at least `limitMs`. */
  record(endpoint: Endpoint, outcome: Outcome, limitMs: number | null, now: number): boolean {
    const { lane, url } = endpoint;
    if (outcome.kind !== "failed") {
      this.forget(endpoint);
      return false;
    }
    const known = this.#failing.get(lane);
    if (known === undefined || (known.url !== null && known.url !== url)) {
      this.forget(endpoint);
      this.#failing.set(lane, { url, since: now, isStored: false });
      return false;
    }
    known.url = url;
    const lastedMs = now - known.since;
    if (limitMs !== null && lastedMs >= limitMs) return true;
    if (limitMs !== null && !known.isStored && lastedMs >= STORE_AFTER_MS) {
      known.isStored = true;
      this.#store(lane, known.since);
    }
    return false;
  }

  forget({ lane }: Pick<Endpoint, "lane">): void {
    const known = this.#failing.get(lane);
    if (known === undefined) return;
    this.#failing.delete(lane);
    if (known.isStored) this.#store(lane, null);
  }

  /** Not awaited: what is lost is how long an outage has lasted. */
  #store(lane: number, since: number | null): void {
    this.#options.store.setFailingSince(lane, since).catch((error: unknown) => {
      this.#options.log.warn("endpoint.failing_not_stored", { lane, error: String(error) });
    });
  }
}
