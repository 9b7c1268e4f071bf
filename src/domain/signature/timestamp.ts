/** Timestamps that senders sign, and whether they are fresh. */

import { MINUTE, SECOND } from "../duration.ts";
import type { Refusal } from "./types.ts";

export const TOLERANCE_DEFAULT_MS = 5 * MINUTE;

export interface SignedTime {
  readonly at: number;
  /** What the sender counts in. A sender that counts seconds cannot be held to fractions of one. */
  readonly unitMs: number;
}

const DIGITS = /^\d{1,15}$/;

/** 10^11 s lies in the year 5138 and 10^11 ms in 1973, so the size tells the unit. */
const MILLISECONDS_FROM = 100_000_000_000;

/** Reads whole Unix seconds; null when the text is anything else. */
export function parseUnixSeconds(text: string): SignedTime | null {
  return DIGITS.test(text) ? { at: Number(text) * SECOND, unitMs: SECOND } : null;
}

/** Reads Unix seconds or milliseconds, told apart by their size; null when the text is neither. */
export function parseUnixTime(text: string): SignedTime | null {
  if (!DIGITS.test(text)) return null;
  const count = Number(text);
  return count >= MILLISECONDS_FROM ? { at: count, unitMs: 1 } : { at: count * SECOND, unitMs: SECOND };
}

/**
 * Returns a refusal when the time is further than the tolerance from `now`, either way; the edge is inside.
 */
export function refuseStale(time: SignedTime, now: number, toleranceMs: number): Refusal | null {
  const skewMs = time.at - Math.floor(now / time.unitMs) * time.unitMs;
  if (Math.abs(skewMs) <= toleranceMs) return null;
  const skewSeconds = skewMs / SECOND;
  const toleranceSeconds = toleranceMs / SECOND;
  const distance = `${Math.abs(skewSeconds)} s ${skewMs > 0 ? "ahead of" : "behind"} our clock`;
  return {
    ok: false,
    reason: "timestamp_out_of_tolerance",
    detail: `The timestamp is ${distance}; ${toleranceSeconds} s are allowed.`,
    diagnosis: { skewSeconds, toleranceSeconds },
  };
}
