/**
 * Time zones: between instants (epoch ms) and local times, by the runtime's own zone data (Temporal).
 *
 * A local time is carried as `wallMs`: the milliseconds that its digits would be in UTC. That makes it an
 * ordinary number to compare and to search in; only the functions here turn it into an instant. A zone is a
 * row of spans with one offset each, and every question about DST is a question about two neighbouring spans:
 *
 *   gap   the offset grows: the local times between the two do not exist; the first valid instant is the
 *         transition
 *   fold  the offset shrinks: the local times between the two happen twice; the first of the two counts
 *
 * Names are looked up, never built from tables of our own. The cache only saves time: the answers do not
 * depend on it.
 */

/** A stretch of time in which a zone's offset does not change. */
export interface OffsetSpan {
  /** First instant; -Infinity when the zone has no earlier transition. */
  readonly startAt: number;
  /** First instant of the next span; Infinity when the zone has no later transition. */
  readonly endAt: number;
  /** Local time minus UTC. */
  readonly offsetMs: number;
  /** The offset of the span before this one; `offsetMs` when there is none. */
  readonly previousOffsetMs: number;
  /** The offset of the span after this one; `offsetMs` when there is none. */
  readonly nextOffsetMs: number;
}

/** What a local time comes to. */
export interface ResolvedLocal {
  readonly at: number;
  readonly kind: "exact" | "gap" | "fold";
}

/** An instant as a person in the zone reads it. */
export interface LocalReading {
  /** "2026-03-29T03:00:00", with ".250" only when there are milliseconds. */
  readonly local: string;
  /** "+02:00"; seconds follow where history had them. */
  readonly offset: string;
}

/**
 * Only names: Temporal and Intl would also take "+01:00" and whole timestamps, which are no zones with rules.
 */
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/;

/**
 * Returns an IANA zone's name in its usual spelling, links such as "US/Eastern" unchanged; null when unknown.
 */
export function canonicalZone(name: string): string | null {
  if (!ZONE_NAME.test(name)) return null;
  try {
    return zoned(0, name).timeZoneId;
  } catch {
    return null;
  }
}

export function isKnownZone(name: string): boolean {
  return canonicalZone(name) !== null;
}

/** The spans asked for last, per zone: schedules that are due together share them, over a transition too. */
const recentSpans = new Map<string, readonly OffsetSpan[]>();
const RECENT_SPANS_MAX = 4;

/** Returns the span that holds the instant. The zone must be known; throws RangeError when it is not. */
export function spanAt(at: number, zone: string): OffsetSpan {
  const recent = recentSpans.get(zone) ?? [];
  for (const span of recent) if (at >= span.startAt && at < span.endAt) return span;
  const here = zoned(at, zone);
  const next = here.getTimeZoneTransition("next");
  // "previous" is strictly before, so ask one millisecond later: the instant may be a transition itself.
  const start = zoned(at + 1, zone).getTimeZoneTransition("previous");
  const offsetMs = offsetOf(here);
  const span: OffsetSpan = {
    startAt: start === null ? Number.NEGATIVE_INFINITY : start.epochMilliseconds,
    endAt: next === null ? Number.POSITIVE_INFINITY : next.epochMilliseconds,
    offsetMs,
    previousOffsetMs: start === null ? offsetMs : offsetOf(zoned(start.epochMilliseconds - 1, zone)),
    nextOffsetMs: next === null ? offsetMs : offsetOf(next),
  };
  recentSpans.set(zone, [span, ...recent.slice(0, RECENT_SPANS_MAX - 1)]);
  return span;
}

/**
 * Returns the instant of a local time. In a gap that is the first valid instant after it, which is the
 * transition itself and not the time shifted by the gap's length; in a fold it is the first of the two.
 */
export function resolveLocal(wallMs: number, zone: string): ResolvedLocal {
  const local = zoned(wallMs, "UTC").toPlainDateTime();
  const earlier = local.toZonedDateTime(zone, { disambiguation: "earlier" });
  const earlierAt = earlier.epochMilliseconds;
  const laterAt = local.toZonedDateTime(zone, { disambiguation: "later" }).epochMilliseconds;
  if (earlierAt === laterAt) return { at: earlierAt, kind: "exact" };
  const isGap = earlierAt + offsetOf(earlier) !== wallMs;
  // In a gap "earlier" reads the time with the offset that comes after, so the transition lies ahead of it.
  return isGap ? { at: spanAt(earlierAt, zone).endAt, kind: "gap" } : { at: earlierAt, kind: "fold" };
}

/**
 * Returns which of the two passes through a repeated local time an instant belongs to; null for all others.
 */
export function foldPass(at: number, zone: string): "first" | "second" | null {
  const { startAt, endAt, offsetMs, previousOffsetMs, nextOffsetMs } = spanAt(at, zone);
  const wallMs = at + offsetMs;
  if (nextOffsetMs < offsetMs && wallMs >= endAt + nextOffsetMs) return "first";
  if (previousOffsetMs > offsetMs && wallMs < startAt + previousOffsetMs) return "second";
  return null;
}

export function readLocal(at: number, zone: string): LocalReading {
  const { offsetMs } = spanAt(at, zone);
  return { local: formatWall(at + offsetMs), offset: formatOffset(offsetMs) };
}

/**
 * Returns the digits of a local time: "2026-03-29T03:00:00", with ".250" only when there are milliseconds.
 */
function formatWall(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/(?:\.000)?Z$/, "");
}

/**
 * Returns a local time as one beside another: "02:30", or "2011-12-30 09:00" when the other has another date.
 */
export function formatWallBeside(wallMs: number, otherMs: number): string {
  const [date = "", time = ""] = formatWall(wallMs).split("T");
  const shortTime = time.replace(/:00$/, "");
  return formatWall(otherMs).startsWith(date) ? shortTime : `${date} ${shortTime}`;
}

/** Returns "+01:00", "-03:30", "+00:00", or "-00:44:30" where history had seconds. */
export function formatOffset(offsetMs: number): string {
  const text = new Date(Math.abs(offsetMs)).toISOString().slice(11, 19).replace(/:00$/, "");
  return `${offsetMs < 0 ? "-" : "+"}${text}`;
}

function zoned(at: number, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
}

function offsetOf(here: Temporal.ZonedDateTime): number {
  return here.offsetNanoseconds / 1_000_000;
}
