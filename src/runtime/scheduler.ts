/**
 * Makes the runs of schedules when they are due. One timer, for the earliest of them; the store knows the
 * rest, so what is not due costs nothing.
 *
 *   resting   the timer is set for the earliest due run, or not at all
 *   ticking   pages of due schedules are decided and stored until none is left; all of them as of the instant
 *             at which the tick began, so that a long tick makes nobody late
 *   full      the disk budget is used up: what is due stays due, and there is a look once a second. What is
 *             late when there is room again is missed, and its policy says what becomes of it
 *
 * The next run is stored, and moves on in the transaction that stores the deliveries. Whenever the process
 * dies, and however its clock is set, a run is therefore made once: what is due is read from the store, and
 * what was decided about a schedule that has changed meanwhile is not applied.
 */
import { SECOND } from "../domain/duration.ts";
import { AppError } from "../domain/errors.ts";
import { type DueSchedule, latenessOf, NO_NEXT_RUN, payloadOf } from "../domain/schedule-definition.ts";
import {
  type Decided,
  decideStep,
  type StartingRun,
  startableCount,
  startWaiting,
} from "../domain/schedule-step.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Outgoing, PrepareOutgoing } from "./outgoing.ts";
import type { ScheduleStore } from "./ports.ts";

export interface SchedulerOptions {
  readonly clock: Clock;
  readonly store: ScheduleStore;
  readonly directory: Directory;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "countRun" | "countSkipped">;
  readonly prepare: PrepareOutgoing;
  /** False when the disk budget is used up. */
  readonly hasRoom: () => boolean;
  /** Runs when the present turn of the event loop is over: between two slices requests are served. */
  readonly defer: (fire: () => void) => void;
}

/**
 * Schedules read at once, which share a commit. With 20,000 due, 64 kept turns of the event loop at 4 ms
 * beside 6 to 9 with 128, and the last was handed over no later; 512 and more made turns of 10 ms and up.
 */
const PAGE = 64;
/** A slice of deciding; longer ones would be felt by requests. */
const SLICE_MS = 4;
/** After a write that failed. The store tries itself once a second. */
const RETRY_MS = SECOND;

export class Scheduler {
  readonly #options: SchedulerOptions;
  /** Schedules of which runs wait for a place; empty as a rule. */
  readonly #waiting = new Set<number>();
  /** Deliveries that have ended since the last release, by number. */
  #ended: number[] = [];
  #timer: { readonly at: number; readonly timer: Timer } | null = null;
  #tick: Promise<void> | null = null;
  #isRunning = false;
  #isLookWanted = false;
  #isReleaseWanted = false;
  #isFull = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** True when everything due is stored and nothing is on its way. */
  isSettled(now: number): boolean {
    if (!this.#isRunning) return true;
    return this.#tick === null && (this.#timer === null || this.#timer.at > now);
  }

  async start(): Promise<void> {
    this.#isRunning = true;
    for (const seq of await this.#options.store.schedulesWithWaiting()) this.#waiting.add(seq);
    this.#isReleaseWanted = this.#waiting.size > 0;
    this.#look();
  }

  /** Ends after the page under way. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.timer.cancel();
    this.#timer = null;
    await this.#tick;
  }

  /** Something has changed: a schedule was made, moved or resumed, or an endpoint came. */
  noteChanged(): void {
    this.#isReleaseWanted = this.#waiting.size > 0;
    this.#look();
  }

  #look(): void {
    this.#isLookWanted = true;
    if (!this.#isRunning) return;
    this.#tick ??= this.#run().finally(() => {
      this.#tick = null;
      if (this.#isLookWanted) this.#look();
    });
  }

  /**
   * The delivery of this number has ended, and runs of its schedule may wait for that. Without a number: many
   * have, or an endpoint came, and any schedule may have been waiting.
   */
  noteFinished(seq?: number): void {
    if (this.#waiting.size === 0) return;
    if (seq === undefined) this.#isReleaseWanted = true;
    else this.#ended.push(seq);
    this.#look();
  }

  async #run(): Promise<void> {
    const { clock, store, log, hasRoom } = this.#options;
    try {
      while (this.#isLookWanted && this.#isRunning) {
        this.#isLookWanted = false;
        if (this.#waitsForRoom()) return;
        const now = clock.now();
        await this.#releaseAll();
        while (this.#isRunning && hasRoom() && (await this.#firePage(now))) await this.#pause();
        const nextAt = await store.nextScheduleDueAt();
        // It became due while this tick was busy.
        if (nextAt !== null && nextAt <= clock.now()) this.#isLookWanted = true;
        this.#arm(nextAt);
      }
    } catch (error) {
      if (!(error instanceof AppError)) log.error("scheduler.failed", { error: String(error) });
      else log.warn("scheduler.delayed", { reason: error.message });
      if (this.#waiting.size > 0) this.#isReleaseWanted = true;
      this.#isLookWanted = false;
      this.#arm(clock.now() + RETRY_MS);
    }
  }

  /** Returns whether there is no room for runs now; then it looks again in a while. */
  #waitsForRoom(): boolean {
    const { hasRoom, clock, log } = this.#options;
    const wasFull = this.#isFull;
    this.#isFull = !hasRoom();
    if (!this.#isFull) return false;
    if (!wasFull) log.warn("scheduler.delayed", { reason: "the disk budget is used up" });
    // Which deliveries end meanwhile need not be remembered.
    this.#ended = [];
    this.#isReleaseWanted = this.#waiting.size > 0;
    this.#arm(clock.now() + RETRY_MS);
    return true;
  }

  #arm(at: number | null): void {
    this.#timer?.timer.cancel();
    this.#timer = null;
    if (at === null || !this.#isRunning) return;
    const timer = this.#options.clock.setTimer(at, () => {
      this.#timer = null;
      this.#look();
    });
    this.#timer = { at, timer };
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.defer(resolve));
  }

  /** Returns whether there may be more. */
  async #firePage(now: number): Promise<boolean> {
    const { clock, store } = this.#options;
    const due = await store.dueSchedules(now, PAGE);
    const writes: Promise<void>[] = [];
    let since = clock.monotonicMs();
    for (const schedule of due) {
      writes.push(this.#fire(schedule, now));
      if (clock.monotonicMs() - since < SLICE_MS) continue;
      await this.#pause();
      since = clock.monotonicMs();
    }
    const results = await Promise.allSettled(writes);
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    return due.length === PAGE;
  }

  async #fire(schedule: DueSchedule, now: number): Promise<void> {
    const { store, log } = this.#options;
    const decided = decideStep(schedule, now);
    if (decided === null) {
      log.error("schedule.unreadable", { schedule: schedule.name, project: schedule.project });
    }
    const outgoing = decided === null ? [] : this.#prepareAll(schedule, decided.starts);
    const missing = outgoing === null && decided !== null ? decided.starts.length : 0;
    const skips = [...(decided?.skips ?? [])];
    if (missing > 0) skips.push({ count: missing, reason: "no_endpoint" });
    const { nextRunAt, nextDueAt } = decided ?? NO_NEXT_RUN;
    const stored = await this.#commit(schedule, outgoing ?? [], () =>
      store.fireSchedule({
        seq: schedule.seq,
        fromRunAt: schedule.nextRunAt ?? 0,
        fromUpdatedAt: schedule.updatedAt,
        ...{ nextRunAt, nextDueAt, skips, now },
        queued: decided?.queued ?? [],
        runs: (outgoing ?? []).map(toRun),
        late: latenessOf(outgoing ?? []),
      }),
    );
    if (!stored || decided === null) return;
    if (decided.queued.length > 0) this.#waiting.add(schedule.seq);
    this.#report(schedule, { ...decided, starts: outgoing === null ? [] : decided.starts, skips });
  }

  /** Null when there is nobody to send it to. */
  #prepareAll(schedule: DueSchedule, runs: readonly StartingRun[]): PreparedOutgoing[] | null {
    const { directory, prepare } = this.#options;
    const endpoint = directory.endpointNamed(schedule.project, schedule.endpoint);
    if (!endpoint) return runs.length === 0 ? [] : null;
    return runs.map(({ occurrenceAt, fireAt, dueAt }) => ({
      ...{ occurrenceAt, fireAt, dueAt },
      outgoing: prepare(endpoint, {
        payload: payloadOf(schedule, occurrenceAt),
        dueAt: fireAt,
        scheduledAt: occurrenceAt,
      }),
    }));
  }

  /** Starts what was stored; false when the schedule had changed and nothing was. */
  async #commit(
    { project }: DueSchedule,
    prepared: readonly PreparedOutgoing[],
    write: () => Promise<readonly number[] | null>,
  ): Promise<boolean> {
    let seqs: readonly number[] | null = null;
    try {
      seqs = await write();
    } finally {
      if (seqs === null) for (const { outgoing } of prepared) outgoing.abandon();
    }
    if (seqs === null) return false;
    const { clock, metrics } = this.#options;
    const now = clock.now();
    for (const [index, { outgoing, dueAt, fireAt }] of prepared.entries()) {
      outgoing.start(seqs[index] ?? 0);
      metrics.countRun(project, Math.max(0, Math.max(now, fireAt) - dueAt));
    }
    return true;
  }

  #report({ name, project }: DueSchedule, { starts, queued, skips, isCountExact }: Decided): void {
    const { log, metrics } = this.#options;
    const late = starts.map(({ occurrenceAt }) => new Date(occurrenceAt).toISOString());
    if (late.length > 0) log.info("schedule.ran", { schedule: name, project, occurrences: late });
    if (queued.length > 0) log.info("schedule.queued", { schedule: name, project, count: queued.length });
    for (const { count, reason } of skips) {
      metrics.countSkipped(project, reason, count);
      log.warn("schedule.skipped", { schedule: name, project, reason, count, isCountExact });
    }
  }

  async #releaseAll(): Promise<void> {
    const ended = this.#ended.splice(0);
    const isAll = this.#isReleaseWanted;
    this.#isReleaseWanted = false;
    // With many schedules waiting, a look at each of them for every delivery that ends would never end.
    for (const seq of isAll ? this.#waiting : await this.#schedulesOf(ended)) {
      if (!(await this.#release(seq))) this.#waiting.delete(seq);
    }
  }

  /** Returns the schedules of these deliveries of which runs wait. */
  async #schedulesOf(deliveries: readonly number[]): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    for (const seq of deliveries) {
      const schedule = await this.#options.store.scheduleOfDelivery(seq);
      if (schedule !== null && this.#waiting.has(schedule)) found.add(schedule);
    }
    return found;
  }

  /** Returns whether runs of this schedule still wait. */
  async #release(seq: number): Promise<boolean> {
    const { store, clock } = this.#options;
    const schedule = await store.scheduleOfSeq(seq);
    if (!schedule || schedule.queuedCount === 0) return false;
    const count = startableCount(schedule);
    if (count === 0) return true;
    const now = clock.now();
    const runs = startWaiting(schedule, await store.waitingRuns(seq, count), now);
    const prepared = this.#prepareAll(schedule, runs);
    // Without an endpoint they wait on: it may come back.
    if (prepared === null) return true;
    try {
      const release = { seq, runs: prepared.map(toRun), late: latenessOf(prepared), now };
      await this.#commit(schedule, prepared, () => store.releaseRuns(release));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "conflict") throw error;
    }
    return true;
  }
}

interface PreparedOutgoing extends StartingRun {
  readonly outgoing: Outgoing;
}

function toRun({ occurrenceAt, outgoing }: PreparedOutgoing) {
  return { occurrenceAt, delivery: outgoing.delivery };
}
