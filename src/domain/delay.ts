/**
 * When a one-off is due, as callers write it: after a delay, or at a moment with or without an offset. Pure.
 */
import { DAY, parseDuration, SECOND } from "./duration.ts";
import { parseDate, parseInstant, parseLocal } from "./instant.ts";
import { formatWallBeside, resolveLocal, spanAt } from "./zone.ts";

/** A century: far beyond any use, and far from the end of what a date can hold. */
export const DELAY_MAX_MS = 36_500 * DAY;

export type DelayReading =
  | { readonly ok: true; readonly delayMs: number }
  | { readonly ok: false; readonly problem: string };

export type MomentReading =
  | { readonly ok: true; readonly at: number; readonly note: string | null }
  | { readonly ok: false; readonly problem: string };

/** Reads a delay: a duration ("1d2h30m15s"), or seconds as a number or as digits. Zero means at once. */
export function readDelay(value: string | number): DelayReading {
  const delayMs = delayOf(value);
  if (delayMs === null) {
    return { ok: false, problem: `"${value}" is no delay: write "1d2h30m15s" or a number of seconds` };
  }
  if (delayMs > DELAY_MAX_MS) return { ok: false, problem: `"${value}" is more than a century` };
  return { ok: true, delayMs };
}

function delayOf(value: string | number): number | null {
  if (typeof value === "string" && !/^\d+$/.test(value)) return parseDuration(value);
  const delayMs = Math.round(Number(value) * SECOND);
  return delayMs >= 0 && Number.isSafeInteger(delayMs) ? delayMs : null;
}

/**
 * Reads a moment: RFC 3339 with an offset, else a local date and time (or a date alone, which is its first
 * moment) in the zone. A local time in a gap is the first valid instant after it, one in a fold the first of
 * the two; the note says so. The zone must be known.
 */
export function readMoment(text: string, zone: string): MomentReading {
  const at = parseInstant(text);
  if (at !== null) return { ok: true, at, note: null };
  const wallMs = parseLocal(text) ?? parseDate(text);
  if (wallMs === null) {
    const example = "2026-12-01T09:00:00";
    return {
      ok: false,
      problem: `"${text}" is no time: write "${example}Z", or "${example}" for local time`,
    };
  }
  const { at: resolvedAt, kind } = resolveLocal(wallMs, zone);
  if (kind === "exact") return { ok: true, at: resolvedAt, note: null };
  const landedMs = resolvedAt + spanAt(resolvedAt, zone).offsetMs;
  const note =
    kind === "fold" ? "fold: first of two" : `gap: moved from ${formatWallBeside(wallMs, landedMs)}`;
  return { ok: true, at: resolvedAt, note };
}
