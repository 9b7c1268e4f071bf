/**
 * Forgets what is old enough, in small steps with the event loop free between them, and keeps the file
 * under its budget: logs and bodies of finished deliveries go first, pending ones never. When even that is
 * not enough, `isFull` tells the front door to refuse.
 */
import type { GoneObject } from "../domain/access.ts";
import { DAY, MINUTE } from "../domain/duration.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Log } from "./log.ts";
import type { Probe } from "./probe.ts";

export type PurgeKind =
  | "delivered"
  | "executions"
  | "logs"
  | "dead"
  | "unfetched"
  | "events"
  | "rejections"
  | "dedupe"
  | "schedules"
  | "objects"
  | "expired_bodies"
  | "rollup_minutes"
  | "rollup_hours"
  | "bulks"
  | "processes"
  | "finished_logs"
  | "bodies"
  | "dead_bodies"
  | "pages";

export interface PurgeStore {
  purge(input: { readonly kind: PurgeKind; readonly before: number; readonly limit: number }): Promise<{
    readonly deletedCount: number;
    readonly isDone: boolean;
    readonly gone?: readonly GoneObject[];
  }>;
  usedBytes(): number;
}

export interface RetentionOptions {
  readonly clock: Clock;
  readonly store: PurgeStore;
  readonly log: Log;
  readonly probe: Probe;
  /** How long each kind is kept, in milliseconds. */
  readonly keepMs: {
    readonly delivered: number;
    readonly dead: number;
    readonly events: number;
    readonly rejections: number;
    readonly metrics: number;
    /** What functions logged, and their executions that succeeded. */
    readonly logs: number;
  };
  readonly diskBytesMax: number;
  /** Definitions that are in the store no more. */
  readonly onGone: (gone: readonly GoneObject[]) => void;
  /** How long the clock goes between two sweeps; a minute when absent. */
  readonly sweepEveryMs?: number;
}

const SWEEP_EVERY_MS = MINUTE;
/** Sums by the minute are for looking closely at what has just happened. */
const MINUTES_KEPT_MS = 2 * DAY;
/** Rows looked at per transaction: a few milliseconds of work between two turns of the event loop. */
const STEP_ROWS = 500;
/** At the fastest ingest this is a few MiB of slack. */
const FULL_CHECK_MS = 100;
/** Bodies go when this share of the budget is in use, so that the front door need not refuse. */
const TRIM_SHARE = 0.9;

const TRIM_WORDS = {
  finished_logs: "retention.logs_dropped",
  bodies: "retention.bodies_dropped",
  dead_bodies: "retention.dead_bodies_dropped",
} as const;

export class Retention {
  readonly #options: RetentionOptions;
  #timer: Timer | null = null;
  #sweep: Promise<void> = Promise.resolve();
  #isRunning = false;
  #isSweeping = false;
  #isFull = false;
  #checkFullAtMs = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#isRunning = true;
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.cancel();
    await this.#sweep;
  }

  /** True when no sweep is under way. */
  isSettled(): boolean {
    return !this.#isSweeping;
  }

  /** True when the budget is used up: the front door refuses. Measured at most every FULL_CHECK_MS. */
  isFull(): boolean {
    const { clock, store, diskBytesMax } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs >= this.#checkFullAtMs) {
      this.#checkFullAtMs = nowMs + FULL_CHECK_MS;
      this.#isFull = store.usedBytes() >= diskBytesMax;
    }
    return this.#isFull;
  }

  #arm(): void {
    if (!this.#isRunning) return;
    const { clock, log, sweepEveryMs = SWEEP_EVERY_MS } = this.#options;
    this.#timer = clock.setTimer(clock.now() + sweepEveryMs, () => {
      this.#isSweeping = true;
      this.#sweep = this.sweep()
        .catch((error: unknown) => log.warn("retention.failed", { error: String(error) }))
        .then(() => {
          this.#isSweeping = false;
          this.#arm();
        });
    });
  }

  /** One full round. Also what the timer runs. */
  async sweep(): Promise<void> {
    const { clock, keepMs, probe, log } = this.#options;
    const now = clock.now();
    let deleted = 0;
    deleted += await this.#purge("delivered", now - keepMs.delivered);
    deleted += await this.#purge("executions", now - keepMs.logs);
    deleted += await this.#purge("logs", now - keepMs.logs);
    deleted += await this.#purge("dead", now - keepMs.dead);
    const unfetched = await this.#purge("unfetched", now - keepMs.events);
    if (unfetched > 0) log.warn("retention.unfetched_dropped", { count: unfetched });
    deleted += unfetched;
    deleted += await this.#purge("events", now - keepMs.events);
    deleted += await this.#purge("rejections", now - keepMs.rejections);
    deleted += await this.#purge("expired_bodies", now);
    deleted += await this.#purge("dedupe", now);
    deleted += await this.#purge("schedules", now - keepMs.dead);
    // Nothing that is kept may still want the name of what it came from or went to.
    const kept = Math.max(keepMs.dead, keepMs.delivered, keepMs.events);
    deleted += await this.#purge("objects", now - kept);
    deleted += await this.#purge("rollup_minutes", now - Math.min(MINUTES_KEPT_MS, keepMs.metrics));
    deleted += await this.#purge("rollup_hours", now - keepMs.metrics);
    deleted += await this.#purge("bulks", now - keepMs.dead);
    deleted += await this.#purge("processes", now - keepMs.dead);
    const trimmed = await this.#trim();
    if (deleted + trimmed > 0) await this.#purge("pages", now);
    if (deleted > 0) log.info("retention.swept", { deleted });
    probe.signal("retention.swept", { deleted: deleted + trimmed });
  }

  async #purge(kind: PurgeKind, before: number): Promise<number> {
    let deleted = 0;
    for (;;) {
      const step = await this.#options.store.purge({ kind, before, limit: STEP_ROWS });
      deleted += step.deletedCount;
      if (step.gone) this.#options.onGone(step.gone);
      if (step.isDone || !this.#isRunning) return deleted;
    }
  }

  /** Logs go first, bodies of dead letters last: without them there is nothing to replay. */
  async #trim(): Promise<number> {
    const { store, diskBytesMax, log } = this.#options;
    let trimmed = 0;
    for (const kind of ["finished_logs", "bodies", "dead_bodies"] as const) {
      let count = 0;
      while (store.usedBytes() > diskBytesMax * TRIM_SHARE) {
        const step = await store.purge({ kind, before: 0, limit: STEP_ROWS });
        count += step.deletedCount;
        if (step.isDone || !this.#isRunning) break;
      }
      if (count > 0) log.warn(TRIM_WORDS[kind], { count });
      trimmed += count;
    }
    return trimmed;
  }
}
