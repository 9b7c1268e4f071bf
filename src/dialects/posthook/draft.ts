/**
 * A schedule request, read and checked (reference sections 5.1 and 7). What the SDKs check before they send
 * is checked here all the same: not every one of them does.
 */
import { DAY, HOUR, MINUTE, SECOND } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import { parseInstant, parseLocal } from "../../domain/instant.ts";
import type { JsonText, Span } from "../../domain/json-span.ts";
import { canonicalZone, resolveLocal } from "../../domain/zone.ts";
import { readOverride } from "./retry.ts";
import type { HookSpec } from "./spec.ts";

export interface HookDraft {
  readonly spec: HookSpec;
  /** JSON text, as it came. */
  readonly data: Uint8Array;
  readonly postAt: number;
}

/** Section 3.3: 64 KB of data; what surrounds it does not count (open question 21). */
export const DATA_BYTES_MAX = 65_536;
const PATH_CHARS_MAX = 2_048;
const POST_IN_MAX_MS = 365 * DAY;
const EMPTY_DATA = new TextEncoder().encode("{}");
const MODES = ["postAt", "postAtLocal", "postIn"] as const;

/** Throws invalid_request and body_too_large. */
export function readDraft(json: JsonText, now: number): HookDraft {
  const members = json.members();
  const given = json.value as Readonly<Record<string, unknown>>;
  const path = readPath(given.path);
  const data = readData(json, members.get("data"));
  const postAt = readPostAt(given, now);
  const { retryOverride = null } = given;
  if (retryOverride === null) return { spec: { path }, data, postAt };
  return { spec: { path, retryOverride: readOverride(retryOverride) }, data, postAt };
}

/** It is appended to the project's domain, so it must not be able to lead anywhere else. */
function readPath(path: unknown): string {
  if (typeof path !== "string" || path === "") throw new AppError("invalid_request", "path is required");
  if (!path.startsWith("/")) throw new AppError("invalid_request", 'path must begin with "/"');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  if (path.length > PATH_CHARS_MAX || /[\x00-\x20\x7f#]/.test(path) || !URL.canParse(`http://x${path}`)) {
    throw new AppError("invalid_request", "path is not the path of a URL");
  }
  return path;
}

/**
 * Absent data becomes an empty object, since handlers read fields off it; everything else stays what it is.
 */
function readData(json: JsonText, span: Span | undefined): Uint8Array {
  if (span === undefined) return EMPTY_DATA;
  const data = json.slice(span);
  if (data.byteLength > DATA_BYTES_MAX) throw new AppError("body_too_large", "data is larger than 64 KB");
  return data;
}

function readPostAt(given: Readonly<Record<string, unknown>>, now: number): number {
  const modes = MODES.filter((mode) => (given[mode] ?? null) !== null);
  const [mode] = modes;
  if (mode === undefined || modes.length > 1) {
    throw new AppError("invalid_request", "exactly one of postAt, postAtLocal and postIn is required");
  }
  const value = given[mode];
  const timezone = given.timezone ?? null;
  if (timezone !== null && mode !== "postAtLocal") {
    throw new AppError("invalid_request", "timezone goes with postAtLocal only");
  }
  if (mode === "postAtLocal") return readPostAtLocal(value, timezone);
  return mode === "postAt" ? readTime(value, "postAt") : now + readPostIn(value);
}

/** RFC 3339 with any offset. */
export function readTime(value: unknown, name: string): number {
  const at = typeof value === "string" ? parseInstant(value) : null;
  if (at === null) throw new AppError("invalid_request", `${name} must be an RFC 3339 time`);
  return at;
}

/** Section 7.2: in a gap the first valid instant after it, in a fold the earlier one. */
function readPostAtLocal(value: unknown, timezone: unknown): number {
  const wallMs = typeof value === "string" ? parseLocal(value) : null;
  if (wallMs === null) {
    throw new AppError("invalid_request", "postAtLocal must be YYYY-MM-DDTHH:MM:SS without an offset");
  }
  if (timezone === null || timezone === "") {
    throw new AppError("invalid_request", "timezone is required with postAtLocal");
  }
  const zone = typeof timezone === "string" ? canonicalZone(timezone) : null;
  if (zone === null) throw new AppError("invalid_request", "timezone is no IANA time zone");
  return resolveLocal(wallMs, zone).at;
}

/** Section 7.3: each unit at most once, largest first, whole numbers. */
function readPostIn(value: unknown): number {
  const match =
    typeof value === "string" ? /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(value) : null;
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = match ?? [];
  const ms = Number(days) * DAY + Number(hours) * HOUR + Number(minutes) * MINUTE + Number(seconds) * SECOND;
  if (match === null || ms < SECOND || ms > POST_IN_MAX_MS) {
    throw new AppError("invalid_request", 'postIn must be a duration from "1s" to "365d" such as "1h30m"');
  }
  return ms;
}
