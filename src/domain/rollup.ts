/**
 * Sums over attempts and deliveries, per endpoint and minute: what success rates, latency percentiles and
 * time series are made of, so that no question about last week reads a million attempts.
 */
import { HOUR, MINUTE } from "./duration.ts";

export const ROLLUP_BUCKETS = { minute: MINUTE, hour: HOUR } as const;

export type RollupBucket = keyof typeof ROLLUP_BUCKETS;

/** In place of an endpoint's number: all endpoints of the project together. */
export const WHOLE_PROJECT = 0;

/**
 * Upper bounds of the latency buckets, in milliseconds: each 1.2 times the one before, from 1 ms to an hour,
 * so a percentile read from them is at most 20 % too high. Stored histograms are numbered by this list: it
 * may grow at its end and change nowhere else.
 */
export const LATENCY_BOUNDS_MS: readonly number[] = latencyBounds(1.2, HOUR);

function latencyBounds(factor: number, lastMs: number): number[] {
  const bounds = [1];
  for (let exact = factor; bounds.at(-1) !== lastMs; exact *= factor) {
    const bound = Math.min(Math.ceil(exact), lastMs);
    if (bound > (bounds.at(-1) ?? 0)) bounds.push(bound);
  }
  return bounds;
}

/** The number of attempts by latency bucket; only buckets with any. */
export type Histogram = Readonly<Record<number, number>>;

/** An attempt counts in the minute in which it was judged, a delivery in those of its beginning and end. */
export interface RollupCounts {
  /** Deliveries that came into being. */
  readonly created: number;
  /** Deliveries that ended so. A replayed one may end again. */
  readonly succeeded: number;
  readonly dead: number;
  readonly cancelled: number;
  readonly discarded: number;
  /** From the creation of what succeeded to its success, waits and retries included; all of it together. */
  readonly deliverySumMs: number;
  /** Requests made. What was never sent (blocked, refused by a breaker) is one, too. */
  readonly attempts: number;
  /** Handed out in pull mode. */
  readonly fetched: number;
  /** Attempts after a delivery's first. */
  readonly retries: number;
  readonly attemptsSucceeded: number;
  readonly attemptsFailed: number;
  readonly durationSumMs: number;
  readonly durationMaxMs: number;
  readonly durations: Histogram;
}

/** Counts to be added to one minute of one endpoint. */
export interface RollupDelta extends RollupCounts {
  readonly project: string;
  /** A profile that is summed up as a whole, too; null or absent: none. */
  readonly profile?: string | null;
  readonly lane: number;
  /** The beginning of the minute. */
  readonly at: number;
}

export interface RollupRow extends RollupCounts {
  /** The beginning of the minute or hour. */
  readonly at: number;
}

export interface RollupFilter {
  readonly project: string;
  /** The endpoint's number, or WHOLE_PROJECT. */
  readonly lane: number;
  readonly bucket: RollupBucket;
  /** from <= at < to; at most ROLLUP_ROWS_MAX rows are answered, the oldest first. */
  readonly from: number;
  readonly to: number;
}

/** The project whose WHOLE_PROJECT is one profile's share of a real one. No project's name has a slash. */
export function projectShare(project: string, profile: string): string {
  return `${project}/${profile}`;
}

/** A day of minutes and a little; two months of hours. */
export const ROLLUP_ROWS_MAX = 1_500;

export const NO_COUNTS: RollupCounts = {
  created: 0,
  succeeded: 0,
  dead: 0,
  cancelled: 0,
  discarded: 0,
  deliverySumMs: 0,
  attempts: 0,
  fetched: 0,
  retries: 0,
  attemptsSucceeded: 0,
  attemptsFailed: 0,
  durationSumMs: 0,
  durationMaxMs: 0,
  durations: {},
};

/** Returns the number of the bucket that a duration falls into. */
export function latencyBucket(durationMs: number): number {
  let low = 0;
  let high = LATENCY_BOUNDS_MS.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (durationMs <= (LATENCY_BOUNDS_MS[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function addCounts(a: RollupCounts, b: RollupCounts): RollupCounts {
  return {
    created: a.created + b.created,
    succeeded: a.succeeded + b.succeeded,
    dead: a.dead + b.dead,
    cancelled: a.cancelled + b.cancelled,
    discarded: a.discarded + b.discarded,
    deliverySumMs: a.deliverySumMs + b.deliverySumMs,
    attempts: a.attempts + b.attempts,
    fetched: a.fetched + b.fetched,
    retries: a.retries + b.retries,
    attemptsSucceeded: a.attemptsSucceeded + b.attemptsSucceeded,
    attemptsFailed: a.attemptsFailed + b.attemptsFailed,
    durationSumMs: a.durationSumMs + b.durationSumMs,
    durationMaxMs: Math.max(a.durationMaxMs, b.durationMaxMs),
    durations: addHistograms(a.durations, b.durations),
  };
}

export function addHistograms(a: Histogram, b: Histogram): Histogram {
  const sum: Record<number, number> = { ...a };
  for (const [bucket, count] of Object.entries(b)) sum[Number(bucket)] = (sum[Number(bucket)] ?? 0) + count;
  return sum;
}

/**
 * Returns the latency that `share` (0 to 1) of the attempts did not exceed, as the upper bound of its bucket
 * and no more than the largest one seen; null without attempts.
 */
export function percentileMs({ durations, durationMaxMs }: RollupCounts, share: number): number | null {
  const buckets = Object.entries(durations).map(([bucket, count]) => [Number(bucket), count] as const);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return null;
  const wanted = Math.max(1, Math.ceil(total * share));
  let seen = 0;
  for (const [bucket, count] of buckets.toSorted(([a], [b]) => a - b)) {
    seen += count;
    if (seen >= wanted) return Math.min(LATENCY_BOUNDS_MS[bucket] ?? durationMaxMs, durationMaxMs);
  }
  return durationMaxMs;
}

/** Returns the mean latency of what was sent, rounded; null without attempts. */
export function averageMs({ durations, durationSumMs }: RollupCounts): number | null {
  const total = Object.values(durations).reduce((sum, count) => sum + count, 0);
  return total === 0 ? null : Math.round(durationSumMs / total);
}

/** Returns the beginning of the bucket that an instant lies in. */
export function bucketStart(at: number, bucket: RollupBucket): number {
  return at - (at % ROLLUP_BUCKETS[bucket]);
}

/**
 * Returns one row per bucket from `from` to `to`, those without any counts included. `rows` are in order.
 */
export function fillSeries(rows: readonly RollupRow[], range: Omit<RollupFilter, "project" | "lane">) {
  const known = new Map(rows.map((row) => [row.at, row]));
  const filled: RollupRow[] = [];
  for (let at = bucketStart(range.from, range.bucket); at < range.to; at += ROLLUP_BUCKETS[range.bucket]) {
    filled.push(known.get(at) ?? { ...NO_COUNTS, at });
  }
  return filled;
}
