/**
 * Metrics and time series (protocol sections 8, 12.6 and 13). Read from the engine's sums by the minute and
 * hour, which are written as things happen: no question reads the messages themselves.
 */
import { DAY, HOUR, MINUTE } from "../../domain/duration.ts";
import {
  addCounts,
  NO_COUNTS,
  projectShare,
  type RollupBucket,
  type RollupCounts,
  type RollupRow,
  WHOLE_PROJECT,
} from "../../domain/rollup.ts";
import { Fault } from "./answer.ts";
import type { Call } from "./router.ts";
import type { Service } from "./service.ts";
import { average, ratio, showTime } from "./wire.ts";

interface Window {
  readonly lengthMs: number;
  readonly bucketMs: number;
  /** Of the sums that its buckets are made of. */
  readonly source: RollupBucket;
}

const WINDOWS: Readonly<Record<string, Window>> = {
  "1h": { lengthMs: HOUR, bucketMs: MINUTE, source: "minute" },
  "24h": { lengthMs: DAY, bucketMs: 15 * MINUTE, source: "minute" },
  "7d": { lengthMs: 7 * DAY, bucketMs: HOUR, source: "hour" },
  "30d": { lengthMs: 30 * DAY, bucketMs: 6 * HOUR, source: "hour" },
};

const USUAL = "24h";

export interface Series {
  readonly window: string;
  /** Ascending and without gaps; the last one is not over yet. */
  readonly buckets: readonly RollupRow[];
}

/** Returns the buckets of the window that a request asks for, of one lane or of all of a profile. */
export async function readSeries(
  call: Call,
  service: Service,
  { profile, lane }: { readonly profile: string; readonly lane: number | null },
): Promise<Series> {
  const window = call.query.text("window") ?? USUAL;
  const found = Object.hasOwn(WINDOWS, window) ? WINDOWS[window] : undefined;
  if (!found) throw new Fault("INVALID_REQUEST", `window must be one of ${Object.keys(WINDOWS).join(", ")}`);
  const { clock, reads, rollups } = service.context;
  const { lengthMs, bucketMs, source } = found;
  const now = clock.now();
  const last = now - (now % bucketMs);
  const from = last + bucketMs - lengthMs;
  await rollups.flush();
  const of =
    lane === null
      ? { project: projectShare(call.project, profile), lane: WHOLE_PROJECT }
      : { project: call.project, lane };
  const rows = await reads.readRollups({ ...of, bucket: source, from, to: now + 1 });
  const sums = new Map<number, RollupCounts>();
  for (const row of rows) {
    const at = row.at - (row.at % bucketMs);
    sums.set(at, addCounts(sums.get(at) ?? NO_COUNTS, row));
  }
  const buckets: RollupRow[] = [];
  for (let at = from; at <= last; at += bucketMs) buckets.push({ ...(sums.get(at) ?? NO_COUNTS), at });
  return { window, buckets };
}

export function showMetrics({ window, buckets }: Series) {
  const sum = buckets.reduce<RollupCounts>(addCounts, NO_COUNTS);
  const { created, succeeded, attempts, retries, durationSumMs } = sum;
  return {
    window,
    total_messages: created,
    succeeded,
    failed: failedOf(sum),
    retries,
    // What began before the window may succeed in it.
    success_rate: Math.min(1, ratio(succeeded, Math.max(created, succeeded))),
    avg_latency_ms: average(durationSumMs, attempts),
  };
}

/** What the metrics of messages that were taken in have beyond the others. */
export function showInboundMetrics(series: Series) {
  const { succeeded, deliverySumMs } = series.buckets.reduce<RollupCounts>(addCounts, NO_COUNTS);
  return { ...showMetrics(series), avg_delivery_time_ms: average(deliverySumMs, succeeded) };
}

/** An event that waits to be fetched and is deleted has not failed. */
export function showPullMetrics(series: Series) {
  return { ...showMetrics(series), failed: series.buckets.reduce((sum, { dead }) => sum + dead, 0) };
}

export function showSeries({ window, buckets }: Series) {
  return {
    window,
    buckets: buckets.map((row) => ({
      timestamp: showTime(row.at),
      succeeded: row.succeeded,
      failed: failedOf(row),
      retrying: row.retries,
      total: row.created,
      avg_latency_ms: average(row.durationSumMs, row.attempts),
    })),
  };
}

function failedOf({ dead, cancelled, discarded }: RollupCounts): number {
  return dead + cancelled + discarded;
}
