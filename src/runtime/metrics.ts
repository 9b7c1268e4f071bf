/** Counters fed by outcomes as they happen; a scrape reads them and never touches the store. */
import type { AttemptRecord } from "../domain/attempt.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { RejectionReason } from "../domain/rejection.ts";
import type { SkipReason } from "../domain/schedule-definition.ts";

/** Upper bounds in milliseconds: from a neighbour on the same machine to the longest usual timeout. */
export const DURATION_BUCKETS_MS = [
  1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 30_000,
] as const;

/**
 * Upper bounds in milliseconds, from what a timer takes to an outage of a day. 20 is what the design aims at.
 */
export const LATENESS_BUCKETS_MS = [
  1, 2, 5, 10, 20, 50, 100, 500, 1_000, 5_000, 15_000, 60_000, 600_000, 3_600_000, 86_400_000,
] as const;

/** Of all schedules of a project: one series per schedule would be too many. */
export interface ScheduleCounters {
  runs: number;
  readonly skipped: Partial<Record<SkipReason, number>>;
  lateSumMs: number;
  /** As `durations` below. */
  readonly late: number[];
}

export interface EndpointCounters {
  readonly name: string;
  readonly project: string;
  succeeded: number;
  failed: number;
  awaiting: number;
  dead: number;
  durationSumMs: number;
  /** One more than the bounds: the last holds what took longer. Not cumulative. */
  readonly durations: number[];
}

export interface SourceCounters {
  accepted: number;
  duplicates: number;
  readonly rejected: Partial<Record<RejectionReason, number>>;
}

export class Metrics {
  readonly endpoints = new Map<string, EndpointCounters>();
  readonly sources = new Map<string, SourceCounters>();
  /** By project. */
  readonly schedules = new Map<string, ScheduleCounters>();
  /** Of all endpoints together, since the start. */
  attemptCount = 0;
  /**
   * Requests to sources that do not exist: a counter and no row, so that nobody can fill the disk with them.
   */
  unknownSourceCount = 0;
  refusedForLoadCount = 0;

  countAttempt(endpoint: Endpoint, attempt: AttemptRecord, to: DeliveryState): void {
    const counters = this.#endpoint(endpoint);
    this.attemptCount += 1;
    counters[attempt.outcome] += 1;
    if (to === "dead") counters.dead += 1;
    counters.durationSumMs += attempt.durationMs;
    const index = DURATION_BUCKETS_MS.findIndex((bound) => attempt.durationMs <= bound);
    const at = index === -1 ? DURATION_BUCKETS_MS.length : index;
    counters.durations[at] = (counters.durations[at] ?? 0) + 1;
  }

  countAccepted(source: string, isDuplicate: boolean): void {
    const counters = this.#source(source);
    if (isDuplicate) counters.duplicates += 1;
    else counters.accepted += 1;
  }

  countRejected(source: string, reason: RejectionReason): void {
    const { rejected } = this.#source(source);
    rejected[reason] = (rejected[reason] ?? 0) + 1;
  }

  /** A run was handed to its lane, so long after it was due; null: nobody planned it. */
  countRun(project: string, lateMs: number | null): void {
    const counters = this.#schedules(project);
    counters.runs += 1;
    if (lateMs === null) return;
    counters.lateSumMs += lateMs;
    const index = LATENESS_BUCKETS_MS.findIndex((bound) => lateMs <= bound);
    const at = index === -1 ? LATENESS_BUCKETS_MS.length : index;
    counters.late[at] = (counters.late[at] ?? 0) + 1;
  }

  countSkipped(project: string, reason: SkipReason, count: number): void {
    const { skipped } = this.#schedules(project);
    skipped[reason] = (skipped[reason] ?? 0) + count;
  }

  #schedules(project: string): ScheduleCounters {
    const known = this.schedules.get(project);
    if (known) return known;
    const made: ScheduleCounters = {
      runs: 0,
      skipped: {},
      lateSumMs: 0,
      late: new Array(LATENESS_BUCKETS_MS.length + 1).fill(0),
    };
    this.schedules.set(project, made);
    return made;
  }

  #endpoint(endpoint: Endpoint): EndpointCounters {
    const known = this.endpoints.get(endpoint.id);
    if (known) return known;
    const made: EndpointCounters = {
      name: endpoint.name,
      project: endpoint.project,
      succeeded: 0,
      failed: 0,
      awaiting: 0,
      dead: 0,
      durationSumMs: 0,
      durations: new Array(DURATION_BUCKETS_MS.length + 1).fill(0),
    };
    this.endpoints.set(endpoint.id, made);
    return made;
  }

  #source(name: string): SourceCounters {
    const known = this.sources.get(name);
    if (known) return known;
    const made: SourceCounters = { accepted: 0, duplicates: 0, rejected: {} };
    this.sources.set(name, made);
    return made;
  }
}
