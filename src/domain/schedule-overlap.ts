/** Whether a run may start while earlier ones of its schedule are not done. Pure. */

/**
 * What happens to a run when `activeMax` runs are active already: `skip` gives it up, `queue` lets it wait
 * for a free place, `allow` does not mind overlapping, so there is no limit unless one is set, and then it
 * waits too.
 */
export type OverlapPolicy = "skip" | "queue" | "allow";

/** `skip` is counted and shown, with the reason; the others lose nothing. */
export type OverlapDecision =
  | { readonly kind: "run" }
  | { readonly kind: "queue" }
  | { readonly kind: "skip"; readonly reason: "overlap" | "queue_full" };

export interface OverlapInput {
  readonly policy: OverlapPolicy;
  /** Deliveries of the schedule that are not finished, those waiting for a retry included. */
  readonly activeCount: number;
  /** Runs that wait because of an earlier decision. */
  readonly queuedCount: number;
  /** Null: what the policy means by itself, one for `skip` and `queue`, no limit for `allow`. */
  readonly activeMax: number | null;
}

/**
 * A schedule that falls behind for ever must not fill the store. Generous: two weeks of hourly runs and some.
 */
export const QUEUED_RUNS_MAX = 1_000;

/** Returns what to do with a run that is due. */
export function decideOverlap({
  policy,
  activeCount,
  queuedCount,
  activeMax,
}: OverlapInput): OverlapDecision {
  const limit = activeMax ?? (policy === "allow" ? Number.POSITIVE_INFINITY : 1);
  // Runs that wait go first, so a newcomer does not overtake them even when a place is free.
  if (activeCount + queuedCount < limit) return { kind: "run" };
  if (policy === "skip") return { kind: "skip", reason: "overlap" };
  return queuedCount < QUEUED_RUNS_MAX ? { kind: "queue" } : { kind: "skip", reason: "queue_full" };
}

/** Returns how many waiting runs may start now; the rest keep waiting. */
export function releasableCount(input: OverlapInput): number {
  const { policy, activeCount, queuedCount, activeMax } = input;
  const limit = activeMax ?? (policy === "allow" ? Number.POSITIVE_INFINITY : 1);
  return Math.min(queuedCount, Math.max(limit - activeCount, 0));
}
