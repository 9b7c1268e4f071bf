/**
 * Makes due what paused sources took in: after one of them was resumed or retired, and once at start, for a
 * process that died in between. One walk at a time; what is asked for during a walk is a further one.
 */
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import { isClosed } from "./lane.ts";
import type { Log } from "./log.ts";
import type { Parking } from "./parking.ts";
import type { Probe } from "./probe.ts";

export interface ReleaseStore {
  releaseHeld(input: {
    readonly now: number;
    readonly limit: number;
    readonly after: number | null;
  }): Promise<{
    readonly lanes: readonly number[];
    readonly next: number | null;
  }>;
}

export interface ReleasesOptions {
  readonly clock: Clock;
  readonly store: ReleaseStore;
  readonly directory: Directory;
  readonly parking: Parking;
  readonly log: Log;
  readonly probe: Probe;
  readonly onDue: (lane: number, dueAt: number) => void;
}

/** Rows looked at per transaction. */
const RELEASE_STEP = 500;

export class Releases {
  readonly #options: ReleasesOptions;
  #walk: Promise<void> | null = null;
  #isWanted = false;
  #isStopped = false;

  constructor(options: ReleasesOptions) {
    this.#options = options;
  }

  /** Walks in the background. */
  sweep(): void {
    this.#isWanted = true;
    this.#walk ??= this.#run().finally(() => {
      this.#walk = null;
    });
  }

  /** True when no walk is under way. */
  isSettled(): boolean {
    return this.#walk === null;
  }

  /** Ends after the present step. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#walk;
  }

  async #run(): Promise<void> {
    const { log, probe } = this.#options;
    const lanes = new Set<number>();
    try {
      while (this.#isWanted && !this.#isStopped) {
        this.#isWanted = false;
        await this.#walkOnce(lanes);
      }
    } catch (error) {
      // They stay held, and the next resume or start finds them.
      log.warn("source.release_unfinished", { error: String(error) });
    }
    this.#isWanted = false;
    probe.signal("source.released", { lanes: lanes.size });
  }

  async #walkOnce(lanes: Set<number>): Promise<void> {
    const { clock, store } = this.#options;
    let after: number | null = null;
    do {
      const step: Awaited<ReturnType<ReleaseStore["releaseHeld"]>> = await store.releaseHeld({
        now: clock.now(),
        limit: RELEASE_STEP,
        after,
      });
      for (const lane of step.lanes) {
        lanes.add(lane);
        this.#noteDue(lane);
      }
      after = step.next;
    } while (after !== null && !this.#isStopped);
  }

  /** A lane may be closed on its own account; what comes to it is parked like everything else in it. */
  #noteDue(lane: number): void {
    const { clock, directory, parking, onDue } = this.#options;
    const endpoint = directory.endpointOfLane(lane);
    if (endpoint && isClosed(endpoint)) parking.sweep(lane, "held");
    onDue(lane, clock.now());
  }
}
