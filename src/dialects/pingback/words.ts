/** Spans of time as Pingback's users write them. Pure. */
import { DAY, HOUR, MINUTE, SECOND } from "../../domain/duration.ts";

export type Reading =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly problem: string };

const UNIT_MS: Readonly<Record<string, number>> = { d: DAY, h: HOUR, m: MINUTE, s: SECOND };
const DELAY_MAX_S = 30 * 24 * 3_600;
const NOT_POSITIVE = "Delay must be a positive number of seconds";

/** Reads the delay of a trigger (pingback.md 2.5); absent and null mean none. */
export function readDelay(value: unknown): Reading {
  if (value === undefined || value === null) return { ok: true, ms: 0 };
  if (typeof value === "number") {
    return value > 0 ? bounded(Math.floor(value) * SECOND) : { ok: false, problem: NOT_POSITIVE };
  }
  if (typeof value !== "string") return { ok: false, problem: invalidDelay(JSON.stringify(value)) };
  const isPlain = /^\d+$/.test(value);
  if (!isPlain && !/^(\d+[dhms])+$/.test(value)) return { ok: false, problem: invalidDelay(value) };
  const ms = isPlain ? Number(value) * SECOND : sumOf(value);
  return ms === 0 ? { ok: false, problem: NOT_POSITIVE } : bounded(ms);
}

function bounded(ms: number): Reading {
  if (ms <= DELAY_MAX_S * SECOND) return { ok: true, ms };
  return { ok: false, problem: `Delay exceeds maximum of ${DELAY_MAX_S} seconds (30 days)` };
}

function invalidDelay(shown: string): string {
  return `Invalid delay format: "${shown}". Use seconds, or a string such as "15m", "2h" or "1d2h30m".`;
}

/**
 * Reads the timeout of a function (pingback.md 4.3): hours, minutes and seconds, bare digits for seconds;
 * milliseconds are rounded up to whole seconds. Null: not said.
 */
export function readTimeout(text: string | undefined, maxMs: number): Reading | null {
  if (text === undefined || text === "") return null;
  const ms = timeoutMs(text);
  if (ms === null) {
    return { ok: false, problem: `Invalid timeout "${text}": write "30s", "5m" or "1h"` };
  }
  if (ms < SECOND) return { ok: false, problem: `Invalid timeout "${text}": at least one second` };
  if (ms > maxMs)
    return { ok: false, problem: `Invalid timeout "${text}": at most ${maxMs / SECOND} seconds` };
  return { ok: true, ms };
}

function timeoutMs(text: string): number | null {
  if (/^\d+$/.test(text)) return Number(text) * SECOND;
  const inMs = /^(\d+)ms$/.exec(text)?.[1];
  if (inMs !== undefined) return Math.ceil(Number(inMs) / SECOND) * SECOND;
  return /^(\d+[hms])+$/.test(text) ? sumOf(text) : null;
}

function sumOf(text: string): number {
  let ms = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)([dhms])/g)) {
    ms += Number(digits) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return ms;
}
