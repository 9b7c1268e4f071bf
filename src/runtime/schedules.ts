/**
 * The verbs on schedules that every door shares: make, change, pause, resume, run now, retire. Timing only
 * changes with its words: whatever else is changed, a run that is due stays due.
 */
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { Page, PageInput } from "../domain/reads.ts";
import {
  isSameTiming,
  type NextRun,
  NO_NEXT_RUN,
  nextAfter,
  payloadOf,
  planOf,
  type Schedule,
  type ScheduleDefinition,
  type SkipCounts,
} from "../domain/schedule-definition.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { PrepareOutgoing } from "./outgoing.ts";
import type { ScheduleObjectStore } from "./ports.ts";

export interface SchedulesOptions {
  readonly clock: Clock;
  readonly store: ScheduleObjectStore;
  readonly directory: Directory;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "countRun" | "countSkipped">;
  readonly nextId: () => Id;
  readonly prepare: PrepareOutgoing;
  /** False when the disk budget is used up. */
  readonly hasRoom: () => boolean;
  /** The earliest due run may be another one now. */
  readonly onScheduleChanged: () => void;
}

/** Made through the native API. */
const DOOR = "native";

export class Schedules {
  readonly #options: SchedulesOptions;

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  /** By id or, among those in service, by name. AppError: not_found. */
  async find(project: string, key: { readonly id: Id } | { readonly name: string }): Promise<Schedule> {
    const { store } = this.#options;
    const found = await ("id" in key ? store.scheduleById(key.id) : store.scheduleNamed(project, key.name));
    if (found?.project !== project) throw noSchedule();
    return found;
  }

  list(filter: PageInput & { readonly project: string }): Promise<Page<Schedule>> {
    return this.#options.store.listSchedules(filter);
  }

  /** AppError: conflict (the name is taken), invalid_request (no run in the future, no such endpoint). */
  create(definition: ScheduleDefinition): Promise<Schedule> {
    const id = this.#options.nextId();
    return this.#put(definition, { id, timing: this.#firstRun(definition, id) });
  }

  /** As above; also declared_in_config, gone. */
  async update(schedule: Schedule, definition: ScheduleDefinition): Promise<Schedule> {
    assertOwn(schedule);
    const { id } = schedule;
    const isSame = isSameTiming(schedule.timing, definition.timing);
    const timing = isSame ? null : this.#firstRun(definition, id);
    return this.#put(definition, { id, timing });
  }

  /** No run until it is resumed; what waits is given up. Also for declared ones: it lasts over restarts. */
  async pause(schedule: Schedule): Promise<Schedule> {
    assertLiving(schedule);
    const { store, clock } = this.#options;
    const now = clock.now();
    const pause = { id: schedule.id, at: schedule.pausedAt ?? now, ...NO_NEXT_RUN, now };
    return this.#gaveUp(schedule, this.#changed("paused", await store.setSchedulePaused(pause)));
  }

  /** Goes on from now: what would have run meanwhile is not made up for. */
  async resume(schedule: Schedule): Promise<Schedule> {
    assertLiving(schedule);
    if (schedule.pausedAt === null) return schedule;
    const { store, clock } = this.#options;
    const now = clock.now();
    const plan = planOf(schedule);
    const next = plan === null ? NO_NEXT_RUN : nextAfter(plan, schedule.id, now);
    return this.#changed(
      "resumed",
      await store.setSchedulePaused({ id: schedule.id, at: null, ...next, now }),
    );
  }

  /**
   * Runs once, at once, whatever else is planned or under way. Returns the delivery's id. AppError: gone,
   * invalid_request (no endpoint), overloaded (the disk budget is used up).
   */
  async runNow(schedule: Schedule): Promise<Id> {
    assertLiving(schedule);
    const { store, clock, prepare, hasRoom } = this.#options;
    if (!hasRoom()) throw new AppError("overloaded", "the disk budget is used up");
    const now = clock.now();
    const endpoint = this.#endpointOf(schedule);
    const outgoing = prepare(endpoint, { payload: payloadOf(schedule, now), dueAt: now });
    const { delivery } = outgoing;
    let seqs: readonly number[] | null = null;
    try {
      const runs = [{ occurrenceAt: now, delivery }];
      seqs = await store.runSchedule({ seq: schedule.seq, runs, late: null, now });
    } finally {
      if (seqs === null) outgoing.abandon();
    }
    const [seq] = seqs ?? [];
    if (seq === undefined) throw new AppError("gone", "this schedule is no longer in service");
    outgoing.start(seq);
    this.#options.metrics.countRun(schedule.project, null);
    return delivery.id;
  }

  async remove(schedule: Schedule): Promise<Schedule> {
    assertOwn(schedule);
    const { store, clock } = this.#options;
    const removed = await store.retireSchedule(schedule.id, clock.now());
    return this.#gaveUp(schedule, this.#changed("removed", removed));
  }

  /** Given-up runs of a schedule by reason. */
  skips({ seq }: Schedule): Promise<SkipCounts> {
    return this.#options.store.scheduleSkips(seq);
  }

  /** Counts the runs that waited and wait no longer. */
  #gaveUp(before: Schedule, after: Schedule): Schedule {
    const count = after.skippedCount - before.skippedCount;
    if (count > 0) this.#options.metrics.countSkipped(after.project, "paused", count);
    return after;
  }

  #firstRun(definition: ScheduleDefinition, id: Id): NextRun & { readonly anchorAt: number } {
    const anchorAt = this.#options.clock.now();
    const plan = planOf({ timing: definition.timing, anchorAt });
    const next = plan === null ? NO_NEXT_RUN : nextAfter(plan, id, anchorAt);
    if (next.nextRunAt !== null) return { anchorAt, ...next };
    throw new AppError("invalid_request", "this schedule has no run in the future");
  }

  async #put(
    definition: ScheduleDefinition,
    { id, timing }: { id: Id; timing: (NextRun & { readonly anchorAt: number }) | null },
  ): Promise<Schedule> {
    const { store, clock } = this.#options;
    this.#endpointOf(definition);
    const put = await store.putSchedule({ id, door: DOOR, definition, timing, now: clock.now() });
    return this.#changed("put", put);
  }

  #endpointOf({ project, endpoint }: ScheduleDefinition): Endpoint {
    const found = this.#options.directory.endpointNamed(project, endpoint);
    if (found) return found;
    throw new AppError("invalid_request", `there is no endpoint "${endpoint}" in this project`);
  }

  #changed(change: string, schedule: Schedule | null): Schedule {
    if (schedule === null) throw noSchedule();
    const { log, onScheduleChanged } = this.#options;
    log.info("schedule.changed", { schedule: schedule.name, project: schedule.project, change });
    onScheduleChanged();
    return schedule;
  }
}

function assertLiving({ deletedAt }: Schedule): void {
  if (deletedAt !== null) throw new AppError("gone", "this schedule is no longer in service");
}

function assertOwn(schedule: Schedule): void {
  assertLiving(schedule);
  if (schedule.door === "config") {
    throw new AppError("declared_in_config", "this schedule is declared in the config file; change it there");
  }
}

function noSchedule(): AppError {
  return new AppError("not_found", "there is no such schedule in this project");
}
