/**
 * Parking: when a lane closes or opens, what waits in it says so too. The lane itself has been closed or
 * opened by then, and nothing here decides what is sent; a sweep walks the stored backlog in the background,
 * step by step.
 */
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { ParkStore } from "./ports.ts";
import type { Probe } from "./probe.ts";

export interface ParkingOptions {
  readonly clock: Clock;
  readonly store: ParkStore;
  readonly log: Log;
  readonly probe: Probe;
  readonly onDue: (lane: number, dueAt: number) => void;
}

/** `held` when the lane was closed, `queued` when it was opened. */
export type ParkTarget = "held" | "queued";

/** Rows parked or unparked per transaction. */
const PARK_STEP = 500;

export class Parking {
  readonly #options: ParkingOptions;
  /** One sweep per lane at a time; a newer one makes the older stop. */
  readonly #sweeps = new Map<number, symbol>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: ParkingOptions) {
    this.#options = options;
  }

  /** Walks the lane's backlog in the background. */
  sweep(lane: number, to: ParkTarget): void {
    this.#track(this.#sweepLane(lane, to));
  }

  /** Parks a single delivery that came back to a lane which had closed meanwhile. */
  parkOne({ lane, dueAt, seq }: { lane: number; dueAt: number; seq: number }): void {
    const step = { lane, to: "held", dueBy: dueAt, limit: 1, after: { dueAt, seq: seq - 1 } } as const;
    this.#track(
      this.#options.store.parkLane(step).then(
        () => {},
        (error: unknown) => this.#warn(lane, "held", error),
      ),
    );
  }

  /** True when no sweep is under way. */
  isSettled(): boolean {
    return this.#running.size === 0;
  }

  /** Ends sweeps after their present step. */
  async stop(): Promise<void> {
    this.#sweeps.clear();
    await Promise.all(this.#running);
  }

  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.then(() => this.#running.delete(work));
  }

  async #sweepLane(lane: number, to: ParkTarget): Promise<void> {
    const sweep = Symbol(to);
    this.#sweeps.set(lane, sweep);
    const { store, clock, probe, onDue } = this.#options;
    try {
      let after: { dueAt: number; seq: number } | null = null;
      do {
        const dueBy = Number.MAX_SAFE_INTEGER;
        const step: Awaited<ReturnType<ParkStore["parkLane"]>> = await store.parkLane({
          lane,
          to,
          dueBy,
          limit: PARK_STEP,
          after,
        });
        after = step.next;
      } while (after !== null && this.#sweeps.get(lane) === sweep);
    } catch (error) {
      this.#warn(lane, to, error);
    }
    if (this.#sweeps.get(lane) === sweep) this.#sweeps.delete(lane);
    if (to === "queued") onDue(lane, clock.now());
    probe.signal("lane.parked", { lane, to });
  }

  /** Only the shown state lags behind. */
  #warn(lane: number, to: ParkTarget, error: unknown): void {
    this.#options.log.warn("lane.park_unfinished", { lane, to, error: String(error) });
  }
}
