/**
 * What a schedule must do, said a second time and as plainly as it can be: all occurrences of the year stand
 * in a list that a walk through every minute has made, and each look at the clock goes through that list. It
 * shares no code with the scheduler but the number that jitter is made from and the bound of a queue.
 */

import { jitterOf } from "../../src/domain/schedule.ts";
import type { MissedPolicy } from "../../src/domain/schedule-missed.ts";
import type { OverlapPolicy } from "../../src/domain/schedule-overlap.ts";
import { QUEUED_RUNS_MAX } from "../../src/domain/schedule-overlap.ts";

/** Up to here nobody calls it an outage. */
const HICCUP_MS = 15_000;

export interface ModelSetup {
  readonly name: string;
  readonly id: string;
  /** Ascending; at least one behind the end of the simulation. */
  readonly occurrences: readonly number[];
  readonly jitterMs: number;
  readonly missed: MissedPolicy;
  readonly overlap: OverlapPolicy;
  readonly activeMax: number | null;
}

export class ScheduleModel {
  readonly name: string;
  /** Occurrences whose deliveries are not finished. */
  readonly active: number[] = [];
  readonly skipped: Record<string, number> = {};
  runCount = 0;
  isPaused = false;
  readonly #setup: ModelSetup;
  readonly #waiting: number[] = [];
  #next = 0;

  constructor(setup: ModelSetup) {
    this.name = setup.name;
    this.#setup = setup;
  }

  get nextRunAt(): number | null {
    return this.isPaused ? null : (this.#setup.occurrences[this.#next] ?? null);
  }

  /** When it must be looked at next. */
  get nextDueAt(): number | null {
    return this.isPaused ? null : this.#dueAt(this.#next);
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Returns the occurrences that a look at this instant makes runs of. */
  look(now: number): number[] {
    const due: number[] = [];
    let firstDueAt: number | null = null;
    for (let index = this.#next; !this.isPaused; index += 1) {
      const dueAt = this.#dueAt(index);
      if (dueAt === null || dueAt > now) break;
      firstDueAt ??= dueAt;
      due.push(index);
    }
    if (firstDueAt === null) return [];
    this.#next += due.length;
    const kept = now - firstDueAt <= HICCUP_MS ? due : this.#keep(due, now);
    this.#skip("missed", due.length - kept.length);
    return kept.flatMap((index) => this.#begin(this.#setup.occurrences[index] ?? 0));
  }

  /** Starts what waits, as far as there is room. */
  release(): number[] {
    if (this.isPaused) return [];
    const room = Math.max(0, this.#limit - this.active.length);
    const started = this.#waiting.splice(0, room);
    this.#start(started);
    return started;
  }

  finish(occurrence: number): void {
    this.active.splice(this.active.indexOf(occurrence), 1);
  }

  pause(): void {
    this.isPaused = true;
    this.#skip("paused", this.#waiting.splice(0).length);
  }

  resume(now: number): void {
    this.isPaused = false;
    const { occurrences } = this.#setup;
    const index = occurrences.findIndex((at) => at > now);
    this.#next = index === -1 ? occurrences.length : index;
  }

  #dueAt(index: number): number | null {
    const { occurrences, jitterMs, id: scheduleId } = this.#setup;
    const occurrenceAt = occurrences[index];
    if (occurrenceAt === undefined) return null;
    const windowMs = Math.min(jitterMs, (occurrences[index + 1] ?? Number.POSITIVE_INFINITY) - occurrenceAt);
    return occurrenceAt + Math.floor(windowMs * jitterOf({ scheduleId, occurrenceAt }));
  }

  #keep(due: readonly number[], now: number): readonly number[] {
    const { missed, occurrences } = this.#setup;
    if (missed.kind === "once") return due.slice(0, 1);
    const newest = due.slice(-1);
    if (missed.kind === "skip") return newest.filter((index) => now - (this.#dueAt(index) ?? 0) <= HICCUP_MS);
    const young = due.filter((index) => (occurrences[index] ?? 0) >= now - missed.ageMaxMs);
    return young.slice(-missed.max);
  }

  #begin(occurrence: number): number[] {
    if (this.active.length + this.#waiting.length < this.#limit) {
      this.#start([occurrence]);
      return [occurrence];
    }
    if (this.#setup.overlap === "skip") this.#skip("overlap", 1);
    else if (this.#waiting.length >= QUEUED_RUNS_MAX) this.#skip("queue_full", 1);
    else this.#waiting.push(occurrence);
    return [];
  }

  #start(occurrences: readonly number[]): void {
    this.active.push(...occurrences);
    this.runCount += occurrences.length;
  }

  get #limit(): number {
    const { activeMax, overlap } = this.#setup;
    return activeMax ?? (overlap === "allow" ? Number.POSITIVE_INFINITY : 1);
  }

  #skip(reason: string, count: number): void {
    if (count > 0) this.skipped[reason] = (this.skipped[reason] ?? 0) + count;
  }
}
