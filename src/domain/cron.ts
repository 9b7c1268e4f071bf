/**
 * Cron expressions in a time zone. croner matches fields, on local times read as if they were UTC (`wallMs`,
 * see zone.ts); what a missing or repeated local time means is decided here, span by span of constant offset.
 * croner's own DST handling is not used: by its default rule `0,30 2 * * *` is lost in Berlin's gap and a
 * missing day at Apia fires nothing. Its UTC path is also ten to twenty times as fast.
 *
 * The rule:
 *
 *   fixed    the second, minute and hour fields are plain values and lists: `30 2 * * *`, `0 9,17 * *
 *            MON-FRI`. In a fold an occurrence fires in the first pass only. All that a gap swallows fires
 *            once, at the gap's end, even when the gap is a whole missing day.
 *   elapsed  one of those fields has `*`, a step or a range: it follows elapsed time. In a fold it fires in
 *            both passes. In a gap it fires nothing and goes on behind it, with one exception: an hour that
 *            the hour field names by itself, such as the 2 of `0-59/15 2 * * *`, and that the gap swallows
 *            whole, would not go on until the next day; it fires once, at the gap's end.
 *
 * Two occurrences that come to one instant are one. No occurrence lies after the year 2999, where croner
 * stops.
 */
import { CronDate, CronPattern } from "croner";
import { type CronSyntax, readCronSyntax } from "./cron-grammar.ts";
import { HOUR } from "./duration.ts";
import { foldPass, formatWallBeside, type OffsetSpan, spanAt } from "./zone.ts";

/** A checked cron expression. Small: the compiled form lives in a bounded cache. */
export interface Cron {
  /** As the user wrote it. */
  readonly text: string;
  /** The same in six fields of numbers; what croner compiles. */
  readonly pattern: string;
  readonly pace: "fixed" | "elapsed";
  /** True when the hour field is plain values, so that an elapsed schedule has hours of its own. */
  readonly hasNamedHours: boolean;
}

export type CronParse =
  | { readonly ok: true; readonly cron: Cron }
  | { readonly ok: false; readonly problems: readonly string[] };

interface Entry {
  readonly cron: Cron;
  readonly matcher: CronPattern;
}

/** croner finds nothing later. */
const LAST_AT = Date.UTC(3000, 0, 1);
/** Where the search for a first occurrence starts; any date would do. */
const EPOCH_OF_SEARCH = Date.UTC(2000, 0, 1);

/** An entry takes about 3 KB. Few texts serve many schedules; whoever has more pays 20 µs per miss. */
const ENTRIES_MAX = 2_048;
const entries = new Map<string, Entry>();

/**
 * Returns the expression ready for use, or every problem it has. Impossible dates are one: they never fire.
 */
export function parseCron(text: string): CronParse {
  const known = entries.get(text);
  if (known) return { ok: true, cron: known.cron };
  const read = readCronSyntax(text);
  if (!read.ok) return read;
  const entry = compile(text, read.syntax);
  if (entry === null) return { ok: false, problems: ["never fires: no month has such a day"] };
  return { ok: true, cron: entry.cron };
}

function compile(text: string, syntax: CronSyntax): Entry | null {
  const { pattern, hasOpenTime, hasOpenHours } = syntax;
  const matcher = new CronPattern(pattern, undefined, { mode: "6-part" });
  // croner keeps a flag for each of 10,000 years, which it does not read when the year is free: 80 KB per
  // pattern.
  if (matcher.starYear) matcher.year = [];
  if (nextWall(matcher, EPOCH_OF_SEARCH) === null) return null;
  const cron: Cron = Object.freeze({
    text,
    pattern,
    pace: hasOpenTime ? "elapsed" : "fixed",
    hasNamedHours: !hasOpenHours,
  });
  const oldest = entries.size >= ENTRIES_MAX ? entries.keys().next().value : undefined;
  if (oldest !== undefined) entries.delete(oldest);
  const entry = { cron, matcher };
  entries.set(text, entry);
  return entry;
}

function matcherOf(cron: Cron): CronPattern {
  const known = entries.get(cron.text);
  if (known) return known.matcher;
  const read = readCronSyntax(cron.text);
  const entry = read.ok ? compile(cron.text, read.syntax) : null;
  if (entry === null) throw new Error(`${JSON.stringify(cron.text)} was not made by parseCron`);
  return entry.matcher;
}

/**
 * Returns the first instant strictly after `after` at which the expression fires in the zone; null when there
 * is none before the year 3000. The zone must be known.
 */
export function nextFireAt(cron: Cron, zone: string, after: number): number | null {
  if (after >= LAST_AT) return null;
  const matcher = matcherOf(cron);
  let span = spanAt(after, zone);
  let from = Math.max(after + span.offsetMs, firstWall(cron, span) - 1);
  let searchedFrom = from;
  let wall = nextWall(matcher, from);
  while (wall !== null) {
    const endWall = span.endAt + span.offsetMs;
    if (wall < endWall) return wall - span.offsetMs;
    // Whatever a gap swallows lies from here on, so `wall` is the first of it if there is any.
    const gap = { from: endWall, to: span.endAt + span.nextOffsetMs };
    if (wall < gap.to && catchesUp(cron, matcher, gap)) return span.endAt;
    span = spanAt(span.endAt, zone);
    from = firstWall(cron, span) - 1;
    // Behind a gap the last match may lie before the new start, in a fold the new start before the last
    // search.
    if (from >= wall || from < searchedFrom) {
      wall = nextWall(matcher, from);
      searchedFrom = from;
    }
  }
  return null;
}

/**
 * Returns the last instant strictly before `before` at which the expression fires in the zone; null when
 * there is none. The same instants as nextFireAt, from the other side: what missed runs are counted back
 * with.
 */
export function previousFireAt(cron: Cron, zone: string, before: number): number | null {
  const matcher = matcherOf(cron);
  let span = spanAt(before - 1, zone);
  let to = before + span.offsetMs;
  let searchedTo = to;
  let wall = previousWall(matcher, to);
  while (wall !== null) {
    if (wall >= firstWall(cron, span)) return wall - span.offsetMs;
    const gap = { from: span.startAt + span.previousOffsetMs, to: span.startAt + span.offsetMs };
    if (gap.to > gap.from && catchesUp(cron, matcher, gap)) return span.startAt;
    span = spanAt(span.startAt - 1, zone);
    to = span.endAt + span.offsetMs;
    if (to <= wall || to > searchedTo) {
      wall = previousWall(matcher, to);
      searchedTo = to;
    }
  }
  return null;
}

/**
 * Returns what DST did to an occurrence, for people: "gap: moved from 02:30", "fold: first of two"; else
 * null.
 */
export function noteOnFire(cron: Cron, zone: string, at: number): string | null {
  const span = spanAt(at, zone);
  const gap = { from: span.startAt + span.previousOffsetMs, to: span.startAt + span.offsetMs };
  const matcher = matcherOf(cron);
  if (at === span.startAt && gap.to > gap.from && catchesUp(cron, matcher, gap)) {
    const isOwn = nextWall(matcher, gap.to - 1) === gap.to;
    const swallowed = formatWallBeside(nextWall(matcher, gap.from - 1) ?? gap.from, gap.to);
    return isOwn ? `gap: also stands for ${swallowed}` : `gap: moved from ${swallowed}`;
  }
  const pass = foldPass(at, zone);
  return pass === null ? null : `fold: ${pass} of two`;
}

/** Returns the first local time of a span that counts: a fixed schedule has had the repeated part already. */
function firstWall(cron: Cron, span: OffsetSpan): number {
  const isRepeated = cron.pace === "fixed" && span.previousOffsetMs > span.offsetMs;
  return span.startAt + (isRepeated ? span.previousOffsetMs : span.offsetMs);
}

/** Local times from `from` up to, not including, `to`. */
interface WallRange {
  readonly from: number;
  readonly to: number;
}

/** Tells whether the end of a gap fires for what the gap swallowed. */
function catchesUp(cron: Cron, matcher: CronPattern, gap: WallRange): boolean {
  if (cron.pace === "elapsed" && !cron.hasNamedHours) return false;
  let wall = nextWall(matcher, gap.from - 1);
  while (wall !== null && wall < gap.to) {
    if (cron.pace === "fixed") return true;
    const hour = { from: Math.floor(wall / HOUR) * HOUR, to: Math.floor(wall / HOUR) * HOUR + HOUR };
    if (isSwallowed(matcher, hour, gap)) return true;
    wall = nextWall(matcher, hour.to - 1);
  }
  return false;
}

/** Tells whether no occurrence of the hour lies before or behind the gap. */
function isSwallowed(matcher: CronPattern, hour: WallRange, gap: WallRange): boolean {
  const first = nextWall(matcher, hour.from - 1);
  if (first !== null && first < gap.from) return false;
  if (hour.to <= gap.to) return true;
  const behind = nextWall(matcher, gap.to - 1);
  return behind === null || behind >= hour.to;
}

/**
 * Returns the first matching local time strictly after `wallMs`. An offset of 0 keeps croner out of time
 * zones.
 */
function nextWall(matcher: CronPattern, wallMs: number): number | null {
  return new CronDate(new Date(wallMs), 0).increment(matcher, {}, false)?.getTime() ?? null;
}

function previousWall(matcher: CronPattern, wallMs: number): number | null {
  return new CronDate(new Date(wallMs), 0).decrement(matcher, {}, false)?.getTime() ?? null;
}
