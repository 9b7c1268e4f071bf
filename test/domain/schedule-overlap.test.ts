import { describe, expect, test } from "bun:test";
import {
  decideOverlap,
  type OverlapInput,
  type OverlapPolicy,
  QUEUED_RUNS_MAX,
  releasableCount,
} from "../../src/domain/schedule-overlap.ts";

/** Policy, active, waiting, limit, and what comes of it. */
type Row = [OverlapPolicy, number, number, number | null, string];

function decide(input: OverlapInput): string {
  const decision = decideOverlap(input);
  return decision.kind === "skip" ? decision.reason : decision.kind;
}

describe("A run that is due", () => {
  const rows: Row[] = [
    ["skip", 0, 0, null, "run"],
    ["skip", 1, 0, null, "overlap"],
    ["skip", 1, 0, 2, "run"],
    ["skip", 2, 0, 2, "overlap"],
    ["skip", 3, 0, 2, "overlap"],
    ["queue", 0, 0, null, "run"],
    ["queue", 1, 0, null, "queue"],
    ["queue", 1, 5, null, "queue"],
    ["queue", 0, 1, null, "queue"],
    ["queue", 1, 1, 3, "run"],
    ["queue", 1, 2, 3, "queue"],
    ["queue", 1, QUEUED_RUNS_MAX - 1, null, "queue"],
    ["queue", 1, QUEUED_RUNS_MAX, null, "queue_full"],
    ["allow", 0, 0, null, "run"],
    ["allow", 1_000_000, 0, null, "run"],
    ["allow", 3, 0, 4, "run"],
    ["allow", 4, 0, 4, "queue"],
    ["allow", 4, QUEUED_RUNS_MAX, 4, "queue_full"],
  ];

  test.each(rows)("under %s with %p active, %p waiting and a limit of %p: %s", (...row) => {
    const [policy, activeCount, queuedCount, activeMax, decision] = row;
    expect(decide({ policy, activeCount, queuedCount, activeMax })).toBe(decision);
  });
});

describe("Runs that wait", () => {
  const rows: [...Row, number][] = [
    ["queue", 1, 3, null, "one is active", 0],
    ["queue", 0, 3, null, "none is active", 1],
    ["queue", 1, 3, 3, "two places are free", 2],
    ["queue", 0, 2, 5, "more places are free than run", 2],
    ["queue", 7, 3, 5, "the limit was lowered", 0],
    ["allow", 9, 3, null, "the limit was lifted", 3],
  ];

  test.each(rows)("under %s with %p active, %p waiting and a limit of %p, as %s: %p start", (...row) => {
    const [policy, activeCount, queuedCount, activeMax, , count] = row;
    expect(releasableCount({ policy, activeCount, queuedCount, activeMax })).toBe(count);
  });
});
