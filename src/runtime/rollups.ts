/**
 * Sums up what commits change, per endpoint and minute, and adds the sums to the store every second and at
 * stop. Kept apart from the commits themselves on purpose: within them, an attempt would cost four more rows.
 * A process that is killed takes the counts of its last second with it; no delivery depends on them.
 */
import type { AttemptRecord } from "../domain/attempt.ts";
import type { StoreChange } from "../domain/change.ts";
import type { Transition } from "../domain/delivery.ts";
import { NATIVE_PROFILE } from "../domain/native-profile.ts";
import { bucketStart, latencyBucket, type RollupDelta } from "../domain/rollup.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";

export interface RollupStore {
  addRollups(deltas: readonly RollupDelta[]): Promise<void>;
}

export interface RollupsOptions {
  readonly clock: Clock;
  readonly store: RollupStore;
  readonly directory: Pick<Directory, "endpointOfLane" | "sourceOfSeq">;
  readonly log: Log;
}

/** What a kill may cost, against one small transaction per interval. */
const FLUSH_EVERY_MS = 1_000;
/** Sums of one command: each is four rows. */
const FLUSH_ITEMS = 64;
/** Sums that wait while the store cannot be written; beyond it the oldest are given up. */
const PENDING_MAX = 20_000;

type Open = { -readonly [Name in keyof RollupDelta]: RollupDelta[Name] } & {
  durations: Record<number, number>;
};

export class Rollups {
  readonly #options: RollupsOptions;
  /** The minute that is being summed up, per lane. */
  readonly #open = new Map<number, Open>();
  #pending: RollupDelta[] = [];
  #timer: Timer | null = null;
  #flushing: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: RollupsOptions) {
    this.#options = options;
  }

  /** Takes what a commit changed. */
  note(changes: readonly StoreChange[]): void {
    for (const change of changes) {
      if (change.kind === "created") this.#noteCreated(change.delivery.lane, change);
      else if (change.kind === "moved") this.#noteMoved(change.change);
    }
  }

  /** Resolves when everything noted so far is in the store, or the store would not take it. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#pending.push(...this.#open.values());
    this.#open.clear();
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.flush();
  }

  #noteCreated(lane: number, { createdAt }: Extract<StoreChange, { kind: "created" }>): void {
    const sum = this.#sum(lane, createdAt);
    if (sum) sum.created += 1;
  }

  #noteMoved(change: Transition): void {
    const sum = this.#sum(change.lane, change.at);
    if (!sum) return;
    if (change.to === "fetched") sum.fetched += 1;
    const { to, at, attempt, createdAt } = change;
    // The clock may be set back.
    if (to === "succeeded" && createdAt !== undefined) sum.deliverySumMs += Math.max(0, at - createdAt);
    if (to === "succeeded" || to === "dead" || to === "cancelled" || to === "discarded") sum[to] += 1;
    if (attempt !== null) countAttempt(sum, attempt, change.from === "awaiting");
  }

  /** Null for lanes that nobody asks about: those of sources in pull mode, unless they have a profile. */
  #sum(lane: number, at: number): Open | null {
    const minute = bucketStart(at, "minute");
    const known = this.#open.get(lane);
    if (known?.at === minute) return known;
    if (known) this.#pending.push(known);
    const { directory } = this.#options;
    const owner = lane > 0 ? directory.endpointOfLane(lane) : directory.sourceOfSeq(-lane);
    if (!owner || (lane < 0 && owner.profile === undefined)) return null;
    const profile = owner.profile === NATIVE_PROFILE.name ? null : (owner.profile ?? null);
    const sum = newSum({ project: owner.project, lane, at: minute, profile });
    this.#open.set(lane, sum);
    this.#arm();
    return sum;
  }

  #arm(): void {
    if (this.#timer !== null || this.#isStopped) return;
    this.#timer = this.#options.clock.setWallTimer(FLUSH_EVERY_MS, () => void this.flush());
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending.slice(0, FLUSH_ITEMS);
      try {
        await this.#options.store.addRollups(batch);
      } catch (error) {
        this.#keep(error);
        return;
      }
      this.#pending = this.#pending.slice(batch.length);
    }
  }

  /** The store would not take them now; the next flush tries again. */
  #keep(error: unknown): void {
    const excess = this.#pending.length - PENDING_MAX;
    if (excess > 0) {
      this.#pending = this.#pending.slice(excess);
      this.#options.log.warn("rollups.given_up", { count: excess, error: String(error) });
    }
    this.#arm();
  }
}

function newSum(of: Pick<RollupDelta, "project" | "lane" | "at" | "profile">): Open {
  const ended = { succeeded: 0, dead: 0, cancelled: 0, discarded: 0, deliverySumMs: 0 };
  const tried = { attempts: 0, retries: 0, attemptsSucceeded: 0, attemptsFailed: 0 };
  return {
    ...of,
    created: 0,
    fetched: 0,
    ...ended,
    ...tried,
    durationSumMs: 0,
    durationMaxMs: 0,
    durations: {},
  };
}

/** `isReport`: a receiver finishes an attempt that was counted when it was sent. */
function countAttempt(sum: Open, attempt: AttemptRecord, isReport: boolean): void {
  if (attempt.outcome === "succeeded") sum.attemptsSucceeded += 1;
  else if (attempt.outcome === "failed") sum.attemptsFailed += 1;
  if (isReport) return;
  sum.attempts += 1;
  if (attempt.number > 1) sum.retries += 1;
  const { durationMs } = attempt;
  sum.durationSumMs += durationMs;
  sum.durationMaxMs = Math.max(sum.durationMaxMs, durationMs);
  const bucket = latencyBucket(durationMs);
  sum.durations[bucket] = (sum.durations[bucket] ?? 0) + 1;
}
