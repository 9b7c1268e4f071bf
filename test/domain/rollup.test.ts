import { describe, expect, test } from "bun:test";
import {
  addCounts,
  averageMs,
  fillSeries,
  LATENCY_BOUNDS_MS,
  latencyBucket,
  NO_COUNTS,
  percentileMs,
  type RollupCounts,
} from "../../src/domain/rollup.ts";

function countsOf(durationsMs: readonly number[]): RollupCounts {
  const durations: Record<number, number> = {};
  for (const ms of durationsMs) durations[latencyBucket(ms)] = (durations[latencyBucket(ms)] ?? 0) + 1;
  const durationSumMs = durationsMs.reduce((sum, ms) => sum + ms, 0);
  return { ...NO_COUNTS, durations, durationSumMs, durationMaxMs: Math.max(0, ...durationsMs) };
}

test("the bounds rise from a millisecond to an hour by at most a fifth, or by one", () => {
  expect(LATENCY_BOUNDS_MS[0]).toBe(1);
  expect(LATENCY_BOUNDS_MS.at(-1)).toBe(3_600_000);
  for (const [index, bound] of LATENCY_BOUNDS_MS.entries()) {
    const before = LATENCY_BOUNDS_MS[index - 1];
    if (before !== undefined) expect(bound).toBeLessThanOrEqual(Math.max(before + 1, before * 1.2 + 1));
  }
});

test("a duration falls into the first bucket that is not below it, the longest into the last", () => {
  for (const ms of [0, 1, 2, 7, 99, 100, 30_000, 3_600_000, 9_000_000]) {
    const expected = LATENCY_BOUNDS_MS.findIndex((bound) => ms <= bound);
    expect(latencyBucket(ms)).toBe(expected === -1 ? LATENCY_BOUNDS_MS.length - 1 : expected);
  }
});

describe("A percentile", () => {
  const ladder = countsOf(Array.from({ length: 1_000 }, (_, n) => n + 1));

  test.each([
    0.01, 0.5, 0.9, 0.95, 0.99, 1,
  ])("of %p is never below the exact one, nor 21 %% above it", (share) => {
    const exact = Math.ceil(1_000 * share);
    const read = percentileMs(ladder, share) ?? 0;
    expect(read).toBeGreaterThanOrEqual(exact);
    expect(read).toBeLessThanOrEqual(exact * 1.21 + 1);
  });

  test("is never above the longest duration seen", () => {
    expect(percentileMs(countsOf([1_003]), 0.99)).toBe(1_003);
  });

  test("of nothing is none, and so is the average", () => {
    expect(percentileMs(NO_COUNTS, 0.5)).toBeNull();
    expect(averageMs(NO_COUNTS)).toBeNull();
  });

  test("of a sum is that of all attempts together", () => {
    const sum = addCounts(countsOf([1, 1, 1]), countsOf([500]));
    expect([percentileMs(sum, 0.5), percentileMs(sum, 1), averageMs(sum)]).toEqual([1, 500, 126]);
  });
});

test("a series has a row for every bucket, also where nothing happened", () => {
  const range = { bucket: "minute", from: 60_000, to: 240_000 } as const;
  const rows = fillSeries([{ ...NO_COUNTS, at: 120_000, created: 3 }], range);
  expect(rows.map(({ at, created }) => [at, created])).toEqual([
    [60_000, 0],
    [120_000, 3],
    [180_000, 0],
  ]);
});
