/**
 * From the words of a `[[schedule]]` or an API request to a plan, or to every problem at once, each under the
 * key that the caller wrote. Pure; the config, the API and the command line read schedules through this one
 * function.
 */
import { parseCron } from "./cron.ts";
import { readMoment } from "./delay.ts";
import { DAY, formatDuration, parseDuration, SECOND } from "./duration.ts";
import { nextRun, type Plan, type Timing } from "./schedule.ts";
import { canonicalZone } from "./zone.ts";

/** Texts as written; exactly one of cron, every and at. */
export interface ScheduleSpec {
  readonly cron?: string | undefined;
  /** A duration: "15m". */
  readonly every?: string | undefined;
  /** RFC 3339, or a local time in the zone. */
  readonly at?: string | undefined;
  /** UTC when left out. */
  readonly timezone?: string | undefined;
  /** Moments like `at`: no run before start, none at end or later. */
  readonly start?: string | undefined;
  readonly end?: string | undefined;
  /** A duration: each run is put off by a part of it. */
  readonly jitter?: string | undefined;
}

export interface SpecProblem {
  readonly key: keyof ScheduleSpec;
  readonly problem: string;
}

export type PlanReading =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly problems: readonly SpecProblem[] };

/** A shorter interval is a loop, not a schedule. */
const INTERVAL_MIN_MS = SECOND;
/** Longer ones are a mistake in the unit. */
const INTERVAL_MAX_MS = 3_650 * DAY;
const JITTER_MAX_MS = DAY;

type Complain = (key: keyof ScheduleSpec, problem: string) => null;

/**
 * Returns the plan of a specification. `anchorAt` is what `every` counts from when there is no `start`: the
 * instant at which the schedule was created, stored with it, so that reading it again does not move its runs.
 */
export function readPlan(spec: ScheduleSpec, anchorAt: number): PlanReading {
  const problems: SpecProblem[] = [];
  const complain: Complain = (key, problem) => {
    problems.push({ key, problem });
    return null;
  };
  const zone = readZone(spec, complain);
  const startAt = readMomentOf(spec, "start", zone, complain)?.at ?? null;
  const endAt = readMomentOf(spec, "end", zone, complain)?.at ?? null;
  const jitterMs = readSpan(spec, "jitter", { min: 0, max: JITTER_MAX_MS }, complain) ?? 0;
  const timing = readTiming(spec, { zone, anchorAt: startAt ?? anchorAt }, complain);
  if (timing === null || problems.length > 0) return { ok: false, problems };
  const plan: Plan = { timing, zone, startAt, endAt, jitterMs };
  const firstAt = timing.kind === "at" ? timing.at : (startAt ?? anchorAt);
  if (nextRun(plan, firstAt - 1) !== null) return { ok: true, plan };
  complain(endAt === null ? timing.kind : "end", "leaves no run between start and end");
  return { ok: false, problems };
}

function readZone({ timezone = "UTC" }: ScheduleSpec, complain: Complain): string {
  const zone = canonicalZone(timezone);
  if (zone === null) complain("timezone", `"${timezone}" is no IANA time zone such as Europe/Berlin`);
  // The rest is read as in UTC, for its own problems.
  return zone ?? "UTC";
}

type MomentKey = "at" | "start" | "end";

function readMomentOf(spec: ScheduleSpec, key: MomentKey, zone: string, complain: Complain) {
  const text = spec[key];
  if (text === undefined) return null;
  const moment = readMoment(text, zone);
  return moment.ok ? moment : complain(key, moment.problem);
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

function readSpan(spec: ScheduleSpec, key: "every" | "jitter", bounds: Bounds, complain: Complain) {
  const text = spec[key];
  if (text === undefined) return null;
  const spanMs = parseDuration(text);
  if (spanMs === null) return complain(key, `"${text}" is no duration such as 15m or 1h30m`);
  if (spanMs >= bounds.min && spanMs <= bounds.max) return spanMs;
  return complain(key, `"${text}" is not ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}`);
}

interface TimingContext {
  readonly zone: string;
  readonly anchorAt: number;
}

function readTiming(spec: ScheduleSpec, context: TimingContext, complain: Complain): Timing | null {
  const given = (["cron", "every", "at"] as const).filter((key) => spec[key] !== undefined);
  const [kind, second] = given;
  if (kind === undefined) return complain("cron", "give one of cron, every and at");
  if (second !== undefined)
    return complain(second, `stands beside ${kind}: give only one of cron, every and at`);
  if (kind === "at") {
    const moment = readMomentOf(spec, "at", context.zone, complain);
    return moment && { kind, at: moment.at, note: moment.note };
  }
  if (kind === "every") {
    const bounds = { min: INTERVAL_MIN_MS, max: INTERVAL_MAX_MS };
    const intervalMs = readSpan(spec, "every", bounds, complain);
    return intervalMs === null ? null : { kind, intervalMs, anchorAt: context.anchorAt };
  }
  const parsed = parseCron(spec.cron ?? "");
  if (parsed.ok) return { kind, cron: parsed.cron };
  for (const problem of parsed.problems) complain("cron", problem);
  return null;
}
