/**
 * Schedules as pure functions of time. A plan says when; what is stored beside it is one number, the next
 * occurrence. An occurrence is the planned instant and names the run for ever; `dueAt` is when it is really
 * due, later by its jitter. Runs lie in [startAt, endAt). A run is never sought by walking from the
 * beginning: every answer costs the same after a minute and after ten years.
 */
import { type Cron, nextFireAt, noteOnFire, previousFireAt } from "./cron.ts";
import { foldPass, readLocal } from "./zone.ts";

export type Timing =
  | { readonly kind: "cron"; readonly cron: Cron }
  /** Runs at anchorAt, anchorAt + intervalMs, and so on: elapsed time, without drift. */
  | { readonly kind: "every"; readonly intervalMs: number; readonly anchorAt: number }
  /** Runs once. `note` says what DST did to the local time that `at` was made from. */
  | { readonly kind: "at"; readonly at: number; readonly note: string | null };

export interface Plan {
  readonly timing: Timing;
  /** A known IANA zone: the one cron fields are read in, and in which a preview speaks. */
  readonly zone: string;
  /** The first instant at which a run may lie; null: no limit. */
  readonly startAt: number | null;
  /** The first instant at which no run lies any more; null: no limit. */
  readonly endAt: number | null;
  /** Each run is put off by less than this, and never as far as the next run. 0: none. */
  readonly jitterMs: number;
}

/** Returns the first run strictly after an instant; null when there is none. */
export function nextRun(plan: Plan, after: number): number | null {
  const from = plan.startAt === null ? after : Math.max(after, plan.startAt - 1);
  const at = nextOf(plan, from);
  return at === null || (plan.endAt !== null && at >= plan.endAt) ? null : at;
}

/** Returns the last run strictly before an instant; null when there is none. */
export function previousRun(plan: Plan, before: number): number | null {
  const to = plan.endAt === null ? before : Math.min(before, plan.endAt);
  const at = previousOf(plan, to);
  return at === null || (plan.startAt !== null && at < plan.startAt) ? null : at;
}

function nextOf({ timing, zone }: Plan, after: number): number | null {
  switch (timing.kind) {
    case "cron":
      return nextFireAt(timing.cron, zone, after);
    case "every": {
      const { anchorAt, intervalMs } = timing;
      const count = Math.floor((after - anchorAt) / intervalMs) + 1;
      return anchorAt + Math.max(count, 0) * intervalMs;
    }
    case "at":
      return timing.at > after ? timing.at : null;
  }
}

function previousOf({ timing, zone }: Plan, before: number): number | null {
  switch (timing.kind) {
    case "cron":
      return previousFireAt(timing.cron, zone, before);
    case "every": {
      const { anchorAt, intervalMs } = timing;
      const count = Math.ceil((before - anchorAt) / intervalMs) - 1;
      return count < 0 ? null : anchorAt + count * intervalMs;
    }
    case "at":
      return timing.at < before ? timing.at : null;
  }
}

/**
 * A schedule's id and a run of it: what its jitter is made from, so that a restart comes to the same instant.
 */
export interface RunName {
  readonly scheduleId: string;
  readonly occurrenceAt: number;
}

/** Returns a number in [0, 1) that is the same for the same run always, and unlike that of any other. */
export function jitterOf({ scheduleId, occurrenceAt }: RunName): number {
  // FNV-1a over the text, then the finaliser of MurmurHash3: neighbouring instants differ in few bits only.
  let hash = 0x811c9dc5;
  const text = `${scheduleId}@${occurrenceAt}`;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/**
 * Returns when a run is due: its occurrence, put off by the part of the jitter window that `random` (in [0,
 * 1)) says. The window ends before the next run, so runs become due in their order and at most one is on its
 * way.
 */
export function dueAt(plan: Plan, occurrenceAt: number, random: number): number {
  if (plan.jitterMs === 0) return occurrenceAt;
  const nextAt = nextRun(plan, occurrenceAt);
  const windowMs = nextAt === null ? plan.jitterMs : Math.min(plan.jitterMs, nextAt - occurrenceAt);
  return occurrenceAt + Math.floor(windowMs * random);
}

/** One line of a preview. */
export interface PreviewedRun {
  readonly at: number;
  readonly local: string;
  readonly offset: string;
  /** What DST did: "gap: moved from 02:30", "fold: first of two"; null on ordinary days. */
  readonly note: string | null;
}

/** A preview is for reading. */
export const PREVIEW_COUNT_MAX = 1_000;

/** Returns the first `count` runs at or after an instant, without jitter, as people in the zone read them. */
export function preview(plan: Plan, from: number, count: number): PreviewedRun[] {
  const runs: PreviewedRun[] = [];
  let at = nextRun(plan, from - 1);
  while (at !== null && runs.length < Math.min(count, PREVIEW_COUNT_MAX)) {
    runs.push({ at, ...readLocal(at, plan.zone), note: noteOn(plan, at) });
    at = nextRun(plan, at);
  }
  return runs;
}

/** Returns what DST did to a run, for people; null when nothing. */
export function noteOn({ timing, zone }: Plan, occurrenceAt: number): string | null {
  if (timing.kind === "cron") return noteOnFire(timing.cron, zone, occurrenceAt);
  if (timing.kind === "at" && timing.note !== null) return timing.note;
  const pass = foldPass(occurrenceAt, zone);
  return pass === null ? null : `fold: ${pass} of two`;
}
