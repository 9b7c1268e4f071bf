/** Wire types of schedules, and the way from a request to a definition. */
import { type Static, Type } from "@sinclair/typebox";
import { contentOf, headerProblem } from "../../domain/content.ts";
import { DAY, formatDuration, parseDuration } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import { showId } from "../../domain/id.ts";
import type { JsonText } from "../../domain/json-span.ts";
import { type PreviewedRun, preview } from "../../domain/schedule.ts";
import { scheduleNameProblem } from "../../domain/schedule-check.ts";
import {
  type Content,
  type Schedule,
  type ScheduleDefinition,
  SKIP_REASONS,
  type SkipCounts,
} from "../../domain/schedule-definition.ts";
import { DEFAULT_ALL, type MissedPolicy } from "../../domain/schedule-missed.ts";
import { readPlan, type ScheduleSpec, type SpecProblem } from "../../domain/schedule-spec.ts";
import { INSTANT, named, nullable, oneOf, showInstant, showOptionalInstant } from "./schemas.ts";

export const TIMING_MEMBERS = {
  cron: Type.Optional(Type.String({ examples: ["0 3 * * *"] })),
  every: Type.Optional(Type.String({ examples: ["15m"] })),
  at: Type.Optional(Type.String({ examples: ["2026-12-01T09:00:00"] })),
  timezone: Type.Optional(Type.String({ description: "IANA; UTC when left out." })),
  start: Type.Optional(Type.String({ description: "No run before." })),
  end: Type.Optional(Type.String({ description: "No run then or later." })),
  jitter: Type.Optional(Type.String({ description: "Each run is put off by a part of this." })),
};

const MISSED = oneOf(["skip", "once", "all"], "What happens to runs that were missed.");
const OVERLAP = oneOf(["skip", "queue", "allow"], "What happens to a run while another one is not done.");
const NAME = Type.String({ pattern: "^[A-Za-z0-9_-]{1,64}$" });
const COUNT = Type.Integer({ minimum: 1, maximum: 1_000 });
const HEADERS = Type.Record(Type.String(), Type.String());

export const CONTENT_MEMBERS = {
  body: Type.Optional(Type.String({ description: "Sent as it is." })),
  json: Type.Optional(Type.Unknown({ description: "Sent as JSON, instead of body." })),
  headers: Type.Optional(HEADERS),
};

const CHANGE_MEMBERS = {
  ...TIMING_MEMBERS,
  missed: Type.Optional(MISSED),
  missedMax: Type.Optional(COUNT),
  missedAgeMax: Type.Optional(Type.String({ description: "A duration. Both go with missed = all." })),
  overlap: Type.Optional(OVERLAP),
  concurrency: Type.Optional(COUNT),
  ...CONTENT_MEMBERS,
};

export const NEW_SCHEDULE = Type.Object(
  { name: NAME, endpoint: Type.String({ description: "Its name." }), ...CHANGE_MEMBERS },
  { additionalProperties: false, description: "Exactly one of cron, every and at." },
);

export const SCHEDULE_CHANGE = Type.Object(
  {
    endpoint: Type.Optional(Type.String()),
    ...CHANGE_MEMBERS,
    start: Type.Optional(nullable(Type.String())),
    end: Type.Optional(nullable(Type.String())),
    jitter: Type.Optional(nullable(Type.String())),
    concurrency: Type.Optional(nullable(COUNT)),
  },
  {
    additionalProperties: false,
    description:
      "What is left out stays; cron, every and at replace each other. " +
      "Null takes start, end, jitter or concurrency away.",
  },
);

export const RUN = named("PlannedRun", {
  at: INSTANT,
  local: Type.String({ description: "In the schedule's zone." }),
  offset: Type.String(),
  note: nullable(Type.String({ description: "What DST did." })),
});

const MEMBERS = {
  id: Type.String({ examples: ["sch_01970000000070008000000000000000"] }),
  name: Type.String(),
  door: Type.String({ description: "Where it was made: config or native." }),
  timing: Type.Object(TIMING_MEMBERS, { additionalProperties: false }),
  missed: MISSED,
  missedMax: nullable(Type.Integer()),
  missedAgeMax: nullable(Type.String()),
  overlap: OVERLAP,
  concurrency: nullable(Type.Integer({ description: "Null: one, or without a limit for allow." })),
  endpoint: Type.String({ description: "Its name." }),
  state: oneOf(["active", "paused", "ended", "retired"]),
  nextRunAt: nullable(INSTANT),
  nextDueAt: nullable(Type.String({ format: "date-time", description: "With its jitter." })),
  lastRunAt: nullable(INSTANT),
  runCount: Type.Integer(),
  skippedCount: Type.Integer(),
  lastSkip: nullable(
    Type.Object({ at: INSTANT, reason: oneOf(SKIP_REASONS) }, { additionalProperties: false }),
  ),
  late: nullable(
    Type.Object(
      { lastMs: Type.Integer(), mostMs: Type.Integer() },
      { additionalProperties: false, description: "From when a run was due until it was stored." },
    ),
  ),
  pausedAt: nullable(INSTANT),
  createdAt: INSTANT,
  updatedAt: INSTANT,
  retiredAt: nullable(INSTANT),
};

export const SCHEDULE = named("Schedule", MEMBERS);

export const SCHEDULE_DETAIL = named("ScheduleDetail", {
  ...MEMBERS,
  headers: HEADERS,
  body: Type.String(),
  skips: Type.Partial(
    Type.Object(Object.fromEntries(SKIP_REASONS.map((reason) => [reason, Type.Integer()]))),
    {
      additionalProperties: false,
      description: "skippedCount by reason.",
    },
  ),
  problem: nullable(
    Type.String({ description: "Why its times can no longer be read, which is why it has ended." }),
  ),
  nextRuns: Type.Array(RUN, { description: "Up to five, as planned: without jitter." }),
});

const NEXT_RUNS = 5;

export function showSchedule(schedule: Schedule): Static<typeof SCHEDULE> {
  const { missed, lastSkip } = schedule;
  return {
    id: showId("schedule", schedule.id),
    name: schedule.name,
    door: schedule.door,
    timing: schedule.timing as Static<typeof SCHEDULE>["timing"],
    missed: missed.kind,
    missedMax: missed.kind === "all" ? missed.max : null,
    missedAgeMax: missed.kind === "all" ? formatDuration(missed.ageMaxMs) : null,
    overlap: schedule.overlap,
    concurrency: schedule.activeMax,
    endpoint: schedule.endpoint,
    state: stateOf(schedule),
    nextRunAt: showOptionalInstant(schedule.nextRunAt),
    nextDueAt: showOptionalInstant(schedule.nextDueAt),
    lastRunAt: showOptionalInstant(schedule.lastRunAt),
    runCount: schedule.runCount,
    skippedCount: schedule.skippedCount,
    lastSkip: lastSkip && { at: showInstant(lastSkip.at), reason: lastSkip.reason },
    late: schedule.late && { ...schedule.late },
    pausedAt: showOptionalInstant(schedule.pausedAt),
    createdAt: showInstant(schedule.createdAt),
    updatedAt: showInstant(schedule.updatedAt),
    retiredAt: showOptionalInstant(schedule.deletedAt),
  };
}

export function showScheduleDetail(schedule: Schedule, skips: SkipCounts): Static<typeof SCHEDULE_DETAIL> {
  const reading = readPlan(schedule.timing, schedule.anchorAt);
  const { nextRunAt, content } = schedule;
  const runs = reading.ok && nextRunAt !== null ? preview(reading.plan, nextRunAt, NEXT_RUNS) : [];
  return {
    ...showSchedule(schedule),
    headers: { ...content.headers },
    body: content.body,
    skips,
    problem: reading.ok ? null : describeProblems(reading.problems),
    nextRuns: runs.map(showRun),
  };
}

function describeProblems(problems: readonly SpecProblem[]): string {
  return problems.map(({ key, problem }) => `${key}: ${problem}`).join("; ");
}

export function showRun({ at, ...rest }: PreviewedRun): Static<typeof RUN> {
  return { at: showInstant(at), ...rest };
}

function stateOf({ deletedAt, pausedAt, nextRunAt }: Schedule): Static<typeof SCHEDULE>["state"] {
  if (deletedAt !== null) return "retired";
  if (pausedAt !== null) return "paused";
  return nextRunAt === null ? "ended" : "active";
}

/** Returns the plan of a request's words; throws invalid_request with every problem. */
export function requirePlan(timing: ScheduleSpec, anchorAt: number) {
  const reading = readPlan(timing, anchorAt);
  if (reading.ok) return reading.plan;
  throw new AppError("invalid_request", describeProblems(reading.problems), {
    details: { problems: reading.problems },
  });
}

type TimingWords = { readonly [Key in keyof typeof TIMING_MEMBERS]?: string | null | undefined };

/** Returns the words of a timing alone, those that were not given left out. */
export function timingOf(words: TimingWords): ScheduleSpec {
  const { cron, every, at, timezone, start, end, jitter } = words;
  const given = Object.entries({ cron, every, at, timezone, start, end, jitter });
  return Object.fromEntries(given.filter(([, word]) => word !== undefined && word !== null));
}

type ContentWords = Static<ReturnType<typeof contentObject>>;
const contentObject = () => Type.Object(CONTENT_MEMBERS);

/**
 * `written` is the request that the words were read from: its json is taken as it stands there, because a
 * parsed one has lost digits. Throws invalid_request for both kinds of body, and for headers that cannot be
 * sent.
 */
export function readContent({ body: text, json, headers = {} }: ContentWords, written: JsonText): Content {
  if (text !== undefined && json !== undefined) {
    throw new AppError("invalid_request", "give body or json, not both");
  }
  for (const [name, value] of Object.entries(headers)) {
    const problem = headerProblem(name, value);
    if (problem !== null) throw new AppError("invalid_request", problem);
  }
  const span = written.members().get("json");
  const content = contentOf({ text, json, headers });
  return span === undefined ? content : { ...content, body: written.text(span) };
}

/** Returns the definition behind a request for a new schedule. */
export function readDefinition(
  project: string,
  words: Static<typeof NEW_SCHEDULE>,
  written: JsonText,
): ScheduleDefinition {
  const problem = scheduleNameProblem(words.name);
  if (problem !== null) throw new AppError("invalid_request", `name: ${problem}`);
  const missed = readMissed(words, { kind: "once" });
  return {
    project,
    name: words.name,
    timing: { timezone: "UTC", ...timingOf(words) },
    missed,
    // To make up for every missed run and then skip all but the first would be an odd wish.
    overlap: words.overlap ?? (missed.kind === "all" ? "queue" : "skip"),
    activeMax: words.concurrency ?? null,
    endpoint: words.endpoint,
    content: readContent(words, written),
  };
}

/** Returns a schedule's definition with what a request wants changed. */
export function changeDefinition(
  { project, name, timing, missed, overlap, activeMax, endpoint, content }: Schedule,
  words: Static<typeof SCHEDULE_CHANGE>,
  written: JsonText,
): ScheduleDefinition {
  return {
    ...{ project, name },
    timing: changeTiming(timing, words),
    missed: readMissed(words, missed),
    overlap: words.overlap ?? overlap,
    activeMax: words.concurrency === undefined ? activeMax : words.concurrency,
    endpoint: words.endpoint ?? endpoint,
    content: changeContent(content, words, written),
  };
}

function changeTiming(timing: ScheduleSpec, words: TimingWords): ScheduleSpec {
  const given = timingOf(words);
  const isMoved = given.cron !== undefined || given.every !== undefined || given.at !== undefined;
  const replaced = isMoved ? (["cron", "every", "at"] as const) : [];
  const dropped = (["start", "end", "jitter"] as const).filter((key) => words[key] === null);
  const gone: readonly string[] = [...replaced, ...dropped];
  const kept = Object.entries(timing).filter(([key]) => !gone.includes(key));
  return { ...Object.fromEntries(kept), ...given };
}

/** A new body keeps the headers but its type, new headers keep the body with its type. */
function changeContent(content: Content, words: ContentWords, written: JsonText): Content {
  const { body, json, headers } = words;
  const hasBody = body !== undefined || json !== undefined;
  if (!hasBody && headers === undefined) return content;
  const { "content-type": type, ...others } = content.headers;
  if (hasBody) return readContent({ ...words, headers: headers ?? others }, written);
  const changed = readContent(words, written);
  const typed = type === undefined ? {} : { "content-type": type };
  return { headers: { ...typed, ...changed.headers }, body: content.body };
}

interface MissedWords {
  readonly missed?: MissedPolicy["kind"] | undefined;
  readonly missedMax?: number | undefined;
  readonly missedAgeMax?: string | undefined;
}

function readMissed({ missed, missedMax, missedAgeMax }: MissedWords, known: MissedPolicy): MissedPolicy {
  const kind = missed ?? known.kind;
  if (kind !== "all") {
    if (missedMax === undefined && missedAgeMax === undefined) return { kind };
    throw new AppError("invalid_request", "missedMax and missedAgeMax go with missed = all");
  }
  const base = known.kind === "all" ? known : DEFAULT_ALL;
  const ageMaxMs = missedAgeMax === undefined ? base.ageMaxMs : parseDuration(missedAgeMax);
  if (ageMaxMs === null || ageMaxMs > 3_650 * DAY) {
    throw new AppError("invalid_request", `missedAgeMax: "${missedAgeMax}" is no duration such as "7d"`);
  }
  return { kind, max: missedMax ?? base.max, ageMaxMs };
}
