/**
 * An engine with a dozen schedules and everything that can go wrong with time, beside the model of each
 * (schedule-model.ts). After every step the deliveries that were made are compared with those that the models
 * want, so a difference shows at the instant at which it arises.
 */
import { expect } from "bun:test";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import { AppError } from "../../src/domain/errors.ts";
import type { Schedule, ScheduleDefinition } from "../../src/domain/schedule-definition.ts";
import type { Store } from "../../src/storage/contract.ts";
import { readWallClock, walk } from "../domain/cron-walk.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeRandom } from "../support/fake-random.ts";
import { ScriptedSender } from "../support/scripted-sender.ts";
import { ScheduleModel } from "./schedule-model.ts";

export const START = Date.UTC(2026, 0, 1);
/** Behind the end of the simulation, so that every list has a next occurrence. */
const MARGIN_MS = 60 * DAY;

type Days = { readonly weekday: number } | null;

/** A cron in words that the walk understands, beside its text. */
interface WalkedCron {
  readonly text: string;
  readonly zone: string;
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly isMinuteOpen?: boolean;
  readonly isHourOpen?: boolean;
  readonly days?: Days;
}

interface Plan {
  readonly name: string;
  readonly definition: Partial<ScheduleDefinition>;
  readonly occurrences: (endAt: number) => number[];
  readonly jitterMs?: number;
}

function cronPlan(name: string, cron: WalkedCron, definition: Partial<ScheduleDefinition>): Plan {
  const { text, zone } = cron;
  const timing = { cron: text, timezone: zone, ...definition.timing };
  return { name, definition: { ...definition, timing }, occurrences: (endAt) => walkCron(cron, endAt) };
}

function walkCron({ text, zone, minutes, hours, days = null, ...open }: WalkedCron, endAt: number): number[] {
  const { isMinuteOpen = false, isHourOpen = false } = open;
  const any = { text: "*", any: true, has: () => true };
  const isDay = (day: Date) => day.getUTCDay() === days?.weekday;
  const schedule = {
    text,
    minute: { text: "", has: (value: number) => minutes.includes(value), isOpen: isMinuteOpen },
    hour: { text: "", has: (value: number) => hours.includes(value), isOpen: isHourOpen },
    month: { text: "*", has: () => true, isOpen: true },
    dayOfMonth: any,
    dayOfWeek: days === null ? any : { text: "", any: false, has: isDay },
  };
  // Strictly after the instant at which the schedule is made.
  return walk(schedule, readWallClock(zone, START, endAt), START + 1);
}

function everyPlan(name: string, intervalMs: number, definition: Partial<ScheduleDefinition>): Plan {
  const timing = { every: `${intervalMs / MINUTE}m` };
  const occurrences = (endAt: number) => {
    const list: number[] = [];
    for (let at = START + intervalMs; at < endAt; at += intervalMs) list.push(at);
    return list;
  };
  return { name, definition: { timing, ...definition }, occurrences };
}

const onceAt = Date.UTC(2026, 0, 9, 11);
const EVERY_HOUR = Array.from({ length: 24 }, (_, hour) => hour);
const SLOW = { endpoint: "slow" } as const;

const PLANS: readonly Plan[] = [
  cronPlan(
    "berlin",
    { text: "30 2 * * *", zone: "Europe/Berlin", minutes: [30], hours: [2] },
    { missed: { kind: "once" } },
  ),
  cronPlan(
    "new-york",
    {
      text: "*/15 2 * * *",
      zone: "America/New_York",
      minutes: [0, 15, 30, 45],
      hours: [2],
      isMinuteOpen: true,
    },
    { missed: { kind: "skip" } },
  ),
  cronPlan(
    "lord-howe",
    { text: "45 1 * * *", zone: "Australia/Lord_Howe", minutes: [45], hours: [1] },
    { missed: { kind: "all", max: 2, ageMaxMs: 3 * DAY } },
  ),
  cronPlan(
    "casablanca",
    { text: "0 9 * * MON", zone: "Africa/Casablanca", minutes: [0], hours: [9], days: { weekday: 1 } },
    { missed: { kind: "once" } },
  ),
  {
    ...cronPlan(
      "jittered",
      { text: "0 */6 * * *", zone: "UTC", minutes: [0], hours: [0, 6, 12, 18], isHourOpen: true },
      { missed: { kind: "skip" }, timing: { jitter: "30m" } },
    ),
    jitterMs: 30 * MINUTE,
  },
  everyPlan("hourly", HOUR, { missed: { kind: "all", max: 5, ageMaxMs: 12 * HOUR } }),
  everyPlan("odd", 7 * HOUR + 13 * MINUTE, { missed: { kind: "once" } }),
  everyPlan("slow-skip", 3 * HOUR, { ...SLOW, overlap: "skip", missed: { kind: "once" } }),
  cronPlan(
    "slow-queue",
    { text: "20 * * * *", zone: "America/Sao_Paulo", minutes: [20], hours: EVERY_HOUR, isHourOpen: true },
    { ...SLOW, overlap: "queue", missed: { kind: "all", max: 3, ageMaxMs: DAY } },
  ),
  everyPlan("slow-two", 2 * HOUR, { ...SLOW, overlap: "allow", activeMax: 2, missed: { kind: "once" } }),
  {
    name: "once",
    definition: {
      timing: { at: "2026-01-09T12:00:00", timezone: "Europe/Berlin" },
      missed: { kind: "once" },
    },
    occurrences: () => [onceAt],
  },
];

/** What happens to the writing of runs: nothing; never written; or written, and nobody hears of it. */
type Trouble = "none" | "unwritten" | "unheard";

export interface Tally {
  readonly steps: number;
  readonly runs: number;
  readonly skipped: number;
  readonly outages: number;
  readonly crashes: number;
  readonly clockSteps: number;
}

export class ScheduleYear {
  readonly clock = new FakeClock(START);
  readonly random: FakeRandom;
  readonly models = new Map<string, ScheduleModel>();
  readonly #receiver = new ScriptedSender(this.clock);
  readonly #setup: EngineSetup;
  readonly #deliveryIds = new Map<string, string>();
  #run: TestEngine | null = null;
  #trouble: Trouble = "none";
  #newestSeq: string | null = null;
  readonly tally = { steps: 0, runs: 0, skipped: 0, outages: 0, crashes: 0, clockSteps: 0 };

  constructor(seed: number, path: string) {
    this.random = new FakeRandom(seed);
    this.#receiver.always(receiverUrl("slow"), 500);
    this.#setup = {
      path,
      clock: this.clock,
      receiver: this.#receiver,
      seed,
      // What goes to "slow" is not done before somebody cancels it.
      endpoints: [
        { name: "app" },
        { name: "slow", retry: { kind: "ladder", delaysMs: [900 * DAY], jitter: 0 }, concurrency: 64 },
      ],
      schedules: PLANS.map(({ name, definition }) => ({ overlap: "allow", ...definition, name })),
      wrap: (store) => this.#wrap(store),
    };
  }

  async begin(endAt: number): Promise<void> {
    await this.start();
    for (const { name, definition, occurrences, jitterMs = 0 } of PLANS) {
      const { id } = await this.stored(name);
      const { missed = { kind: "once" }, overlap = "allow", activeMax = null } = definition;
      const setup = { name, id, occurrences: occurrences(endAt + MARGIN_MS), jitterMs };
      this.models.set(name, new ScheduleModel({ ...setup, missed, overlap, activeMax }));
    }
  }

  get run(): TestEngine {
    if (this.#run === null) throw new Error("nothing runs");
    return this.#run;
  }

  async start(): Promise<void> {
    this.#run = await startEngine(this.#setup);
  }

  async stop(): Promise<void> {
    await this.run.close();
    this.#run = null;
    this.#trouble = "none";
  }

  async stored(name: string): Promise<Schedule> {
    const schedule = await this.run.store.scheduleNamed("default", name);
    if (schedule === null) throw new Error(`no schedule ${name}`);
    return schedule;
  }

  /** The next instant at which one of the models wants to be looked at. */
  get nextDueAt(): number {
    const dues = [...this.models.values()].map(({ nextDueAt }) => nextDueAt ?? Number.POSITIVE_INFINITY);
    return Math.min(...dues);
  }

  /** Moves the clock, lets the engine act, and compares with what a look wants. */
  async goTo(at: number): Promise<void> {
    await this.run.advance(at - this.clock.now());
    await this.#compare((model) => model.look(this.clock.now()));
  }

  /** The clock is set; nobody is told. */
  async stepClock(byMs: number): Promise<void> {
    this.tally.clockSteps += 1;
    this.clock.step(byMs);
    await this.goTo(this.clock.now());
  }

  /** Down for so long; then what waits is released and what is due is decided. */
  async outage(lengthMs: number): Promise<void> {
    this.tally.outages += 1;
    await this.stop();
    this.clock.step(lengthMs);
    await this.start();
    await this.#compare((model) => [...model.release(), ...model.look(this.clock.now())]);
    await this.compareState();
  }

  /** Goes to an instant at which runs are due and dies while they are stored. */
  async crash(at: number, trouble: Trouble, downMs: number): Promise<void> {
    this.tally.crashes += 1;
    this.#trouble = trouble;
    await this.run.advance(at - this.clock.now());
    await this.#compare((model) => (trouble === "unheard" ? model.look(this.clock.now()) : []));
    await this.outage(downMs);
  }

  /** Ends one of the deliveries that are under way for ever. */
  async finishOne(): Promise<void> {
    const slow = [...this.models.values()].filter((model) => model.name.startsWith("slow"));
    const candidates = slow.filter((model) => model.active.length > 0);
    if (candidates.length === 0) return;
    const model = this.random.pick(candidates);
    const occurrence = this.random.pick(model.active);
    await this.run.engine.commands.cancel(
      "default",
      this.#deliveryIds.get(keyOf(model.name, occurrence)) ?? "",
    );
    await this.run.settle();
    model.finish(occurrence);
    await this.#compare((one) => [...(one === model ? one.release() : []), ...one.look(this.clock.now())]);
  }

  async togglePause(): Promise<void> {
    const model = this.random.pick([...this.models.values()].filter(({ name }) => name !== "once"));
    const schedule = await this.stored(model.name);
    if (model.isPaused) {
      await this.run.engine.schedules.resume(schedule);
      model.resume(this.clock.now());
    } else {
      await this.run.engine.schedules.pause(schedule);
      model.pause();
    }
    await this.run.settle();
    await this.#compare((one) => one.look(this.clock.now()));
  }

  /** The same file is read again. */
  async reload(): Promise<void> {
    await this.run.declare(this.#setup);
    await this.run.settle();
    await this.#compare((one) => one.look(this.clock.now()));
  }

  /** Counters and next runs as the store has them. */
  async compareState(): Promise<void> {
    for (const model of this.models.values()) {
      const schedule = await this.stored(model.name);
      const { name, nextRunAt, runCount, skippedCount } = schedule;
      const skips = await this.run.store.scheduleSkips(schedule.seq);
      const skipped = Object.values(model.skipped).reduce((sum, count) => sum + count, 0);
      const wanted = { name, nextRunAt: model.nextRunAt, runCount: model.runCount, skippedCount: skipped };
      expect({ name, nextRunAt, runCount, skippedCount, skips }).toEqual({ ...wanted, skips: model.skipped });
    }
  }

  /** Occurrences of a schedule that the receiver has seen. */
  seenOf(name: string): Set<string> {
    const own = this.#receiver.sent.filter(({ headers }) => headers.get("postern-schedule") === name);
    return new Set(own.map(({ headers }) => headers.get("postern-occurrence") ?? ""));
  }

  /** Compares the deliveries made since the last time with the runs that the models make now. */
  async #compare(runsOf: (model: ScheduleModel) => readonly number[]): Promise<void> {
    const wanted = [...this.models.values()].flatMap((model) =>
      runsOf(model).map((at) => keyOf(model.name, at)),
    );
    const made: string[] = [];
    for (const { schedule, scheduledAt, id, createdAt } of await this.#newDeliveries()) {
      const key = keyOf(schedule ?? "", scheduledAt);
      expect(this.#deliveryIds.has(key)).toBe(false);
      expect(createdAt).toBe(this.clock.now());
      this.#deliveryIds.set(key, id);
      made.push(key);
    }
    expect({ now: iso(this.clock.now()), made: made.sort() }).toEqual({
      now: iso(this.clock.now()),
      made: wanted.sort(),
    });
    this.tally.steps += 1;
    this.tally.runs += made.length;
    // What goes to "app" is done when the engine has settled.
    for (const model of this.models.values()) {
      if (!model.name.startsWith("slow")) model.active.splice(0);
    }
  }

  async #newDeliveries() {
    const found: Awaited<ReturnType<Store["listDeliveries"]>>["data"][number][] = [];
    let cursor: string | null = null;
    for (;;) {
      const page: Awaited<ReturnType<Store["listDeliveries"]>> = await this.run.store.listDeliveries({
        ...{ project: "default", limit: 20, cursor },
      });
      for (const row of page.data) {
        if (row.id === this.#newestSeq) return this.#noted(found);
        found.push(row);
      }
      cursor = page.nextCursor;
      if (cursor === null) return this.#noted(found);
    }
  }

  #noted<Row extends { readonly id: string }>(found: readonly Row[]): readonly Row[] {
    this.#newestSeq = found[0]?.id ?? this.#newestSeq;
    return found;
  }

  #wrap(store: Store): Store {
    const gone = () => new AppError("shutting_down", "the process is gone");
    return new Proxy(store, {
      get: (target, name) => {
        if (name !== "fireSchedule" || this.#trouble === "none") return Reflect.get(target, name);
        if (this.#trouble === "unwritten") return () => Promise.reject(gone());
        return async (step: Parameters<Store["fireSchedule"]>[0]) => {
          await target.fireSchedule(step);
          throw gone();
        };
      },
    });
  }
}

function keyOf(schedule: string, occurrenceAt: number): string {
  return `${schedule} ${iso(occurrenceAt)}`;
}

export function iso(at: number): string {
  return new Date(at).toISOString();
}

export const OUTAGES_MS = [3 * SECOND, 14 * SECOND, 40 * SECOND, 20 * MINUTE, 5 * HOUR, 26 * HOUR, 4 * DAY];
export const STEPS_MS = [
  -9 * HOUR,
  -HOUR,
  -7 * MINUTE,
  -20 * SECOND,
  5 * SECOND,
  3 * MINUTE,
  2 * HOUR,
  8 * HOUR,
];
