import { expect, test } from "bun:test";
import { MINUTE } from "../../src/domain/duration.ts";
import type { QueuedRelease, Schedule, ScheduleStep } from "../../src/domain/schedule-definition.ts";
import { createScheduleReads } from "../../src/storage/schedule-reads.ts";
import type { ScheduleWrite } from "../../src/storage/schedules.ts";
import { declareSchedule } from "../support/engine.ts";
import { NOW, newDelivery, newId, newPayload } from "../support/factory.ts";
import { type BareStore, openBareStore } from "../support/store.ts";

const NEXT = NOW + MINUTE;

function put(store: BareStore, change: Partial<ScheduleWrite> = {}): Schedule {
  const write = {
    id: newId(),
    door: "native",
    definition: declareSchedule({}),
    timing: { anchorAt: NOW, nextRunAt: NEXT, nextDueAt: NEXT },
    now: NOW,
    ...change,
  };
  return store.apply({ verb: "putSchedule", write }) as Schedule;
}

function runOf(occurrenceAt: number) {
  return { occurrenceAt, delivery: { ...newDelivery(), payload: newPayload() } };
}

/** What one look at a schedule that is due comes to: one run, and the next a minute later. */
function stepOf(schedule: Schedule, change: Partial<ScheduleStep> = {}): ScheduleStep {
  return {
    seq: schedule.seq,
    fromRunAt: NEXT,
    fromUpdatedAt: schedule.updatedAt,
    nextRunAt: NEXT + MINUTE,
    nextDueAt: NEXT + MINUTE,
    runs: [runOf(NEXT)],
    queued: [],
    skips: [],
    late: { lastMs: 3, mostMs: 3 },
    now: NEXT + 3,
    ...change,
  };
}

const fire = (store: BareStore, step: ScheduleStep) => store.apply({ verb: "fireSchedule", step });
const release = (store: BareStore, change: Omit<QueuedRelease, "late">) =>
  store.apply({ verb: "releaseRuns", release: { late: null, ...change } });

/** Every row that schedules have a part in. */
function rows(store: BareStore): unknown {
  const tables = ["schedule", "schedule_run", "schedule_skip", "delivery", "queue", "payload"];
  return tables.map((table) => store.db.query(`SELECT * FROM ${table}`).all());
}

function read(store: BareStore, { id }: Schedule): Schedule | null {
  return createScheduleReads(store.db).scheduleById(id);
}

test("a step stores its runs, moves the schedule on and counts, in one", () => {
  const store = openBareStore();
  const schedule = put(store);
  const queued = [NEXT + 1, NEXT + 2];
  const skips = [{ reason: "missed" as const, count: 4 }];
  expect(fire(store, stepOf(schedule, { queued, skips }))).toEqual([expect.any(Number)]);
  expect(read(store, schedule)).toMatchObject({
    nextRunAt: NEXT + MINUTE,
    lastRunAt: NEXT,
    runCount: 1,
    skippedCount: 4,
    late: { lastMs: 3, mostMs: 3 },
    lastSkip: { reason: "missed", at: NEXT + 3 },
  });
  const reads = createScheduleReads(store.db);
  expect(reads.waitingRuns(schedule.seq, 10)).toEqual(queued);
  expect(reads.scheduleSkips(schedule.seq)).toEqual({ missed: 4 });
  const delivery = store.db.query("SELECT schedule_seq, scheduled_at, state FROM delivery").all();
  expect(delivery).toEqual([{ schedule_seq: schedule.seq, scheduled_at: NEXT, state: "queued" }]);
});

test("the same step again changes nothing: whoever decided it twice made one run", () => {
  const store = openBareStore();
  const step = stepOf(put(store));
  fire(store, step);
  const before = rows(store);
  expect(fire(store, { ...step, runs: [runOf(NEXT)] })).toBeNull();
  expect(rows(store)).toEqual(before);
});

test.each([
  ["another run is next", { fromRunAt: NEXT - MINUTE }],
  ["the schedule was changed since", { fromUpdatedAt: NOW - 1 }],
  ["there is no such schedule", { seq: 99 }],
])("a step is not applied when %s", (_name, change) => {
  const store = openBareStore();
  const step = stepOf(put(store), change);
  const before = rows(store);
  expect(fire(store, step)).toBeNull();
  expect(rows(store)).toEqual(before);
});

test.each(["setSchedulePaused", "retireSchedule"] as const)("nor after %s", (verb) => {
  const store = openBareStore();
  const schedule = put(store);
  const none = { nextRunAt: null, nextDueAt: null };
  const { id } = schedule;
  if (verb === "retireSchedule") store.apply({ verb, id, now: NOW });
  else store.apply({ verb, pause: { id, at: NOW, now: NOW, ...none } });
  const before = rows(store);
  expect(fire(store, stepOf(schedule))).toBeNull();
  expect(rows(store)).toEqual(before);
});

test("the worst lateness is kept, the newest is shown beside it", () => {
  const store = openBareStore();
  const schedule = put(store);
  fire(store, stepOf(schedule, { late: { lastMs: 10, mostMs: 500 } }));
  const second = { fromRunAt: NEXT + MINUTE, nextRunAt: NEXT + 2 * MINUTE, nextDueAt: NEXT + 2 * MINUTE };
  fire(store, stepOf(schedule, { ...second, runs: [runOf(NEXT + MINUTE)], late: { lastMs: 0, mostMs: 0 } }));
  expect(read(store, schedule)?.late).toEqual({ lastMs: 0, mostMs: 500 });
});

test("a step without a run keeps the last run and its lateness", () => {
  const store = openBareStore();
  const schedule = put(store);
  fire(store, stepOf(schedule));
  const second = { fromRunAt: NEXT + MINUTE, nextRunAt: null, nextDueAt: null };
  fire(store, stepOf(schedule, { ...second, runs: [], late: null }));
  expect(read(store, schedule)).toMatchObject({ lastRunAt: NEXT, nextRunAt: null, late: { lastMs: 3 } });
});

test("runs that waited are released once; a second release is a conflict and stores nothing", () => {
  const store = openBareStore();
  const { seq } = put(store);
  const schedule = { seq };
  const step = stepOf(createScheduleReads(store.db).scheduleOfSeq(seq) as Schedule, {
    runs: [],
    late: null,
    queued: [NEXT, NEXT + 1],
  });
  fire(store, step);
  expect(release(store, { seq, runs: [runOf(NEXT)], now: NEXT + 5 })).toEqual([expect.any(Number)]);
  const before = rows(store);
  // The second of these waits still: the whole release is refused, and rolled back with what it had done.
  const again = () => release(store, { seq, runs: [runOf(NEXT + 1), runOf(NEXT)], now: NEXT + 6 });
  expect(again).toThrow(expect.objectContaining({ code: "conflict" }));
  expect(rows(store)).toEqual(before);
  expect(createScheduleReads(store.db).waitingRuns(schedule.seq, 10)).toEqual([NEXT + 1]);
});

test("a retired schedule releases nothing, and a run on demand finds it gone", () => {
  const store = openBareStore();
  const { id, seq } = put(store);
  store.apply({ verb: "retireSchedule", id, now: NOW });
  const runs = { seq, runs: [runOf(NOW)], late: null, now: NOW };
  expect(store.apply({ verb: "runSchedule", release: runs })).toBeNull();
  expect(store.db.query("SELECT * FROM delivery").all()).toEqual([]);
});

test("a second schedule of a name is a conflict, unless the first is retired or of another project", () => {
  const store = openBareStore();
  const first = put(store);
  const before = rows(store);
  expect(() => put(store)).toThrow(expect.objectContaining({ code: "conflict" }));
  expect(rows(store)).toEqual(before);
  put(store, { definition: declareSchedule({ project: "other" }) });
  store.apply({ verb: "retireSchedule", id: first.id, now: NOW });
  expect(put(store).seq).toBeGreaterThan(first.seq);
});

test("putting a schedule again keeps what happened to it, and its next run unless its times are new", () => {
  const store = openBareStore();
  const schedule = put(store);
  fire(store, stepOf(schedule));
  const definition = declareSchedule({ overlap: "skip" });
  const same = put(store, { id: schedule.id, definition, timing: null, now: NOW });
  expect(same).toMatchObject({ nextRunAt: NEXT + MINUTE, runCount: 1, overlap: "skip", anchorAt: NOW });
  // Always later than before, or a step that was decided meanwhile would still be applied.
  expect(same.updatedAt).toBeGreaterThan(schedule.updatedAt);
  const timing = { anchorAt: NOW + 7, nextRunAt: NOW + 9, nextDueAt: NOW + 9 };
  expect(put(store, { id: schedule.id, timing })).toMatchObject({ anchorAt: NOW + 7, nextRunAt: NOW + 9 });
});

test.each([
  ["a due time before the run", "UPDATE schedule SET next_due_at = next_run_at - 1"],
  ["a due time without a run", "UPDATE schedule SET next_run_at = NULL"],
  ["a next run while paused", "UPDATE schedule SET paused_at = 1"],
  ["a next run of a retired one", "UPDATE schedule SET deleted_at = 1"],
  ["a skip without a reason", "UPDATE schedule SET last_skip_at = 1"],
  ["a negative lateness", "UPDATE schedule SET last_late_ms = -1, late_ms_max = 0"],
  ["a worst lateness below the last", "UPDATE schedule SET last_late_ms = 2, late_ms_max = 1"],
  ["a count of nothing", "INSERT INTO schedule_skip VALUES (1, 'missed', 0)"],
])("the file refuses %s", (_name, sql) => {
  const store = openBareStore();
  put(store);
  expect(() => store.db.run(sql)).toThrow("CHECK constraint failed");
});

test("a retired schedule is forgotten with its counts when its last delivery is, and no sooner", () => {
  const store = openBareStore();
  const living = put(store, { definition: declareSchedule({ name: "living" }) });
  const [kept, gone] = ["kept", "gone"].map((name) => put(store, { definition: declareSchedule({ name }) }));
  if (!kept || !gone) throw new Error("not made");
  fire(store, stepOf(kept, { skips: [{ reason: "overlap", count: 1 }] }));
  fire(store, stepOf(gone, { runs: [], late: null, skips: [{ reason: "overlap", count: 1 }] }));
  for (const { id } of [kept, gone]) store.apply({ verb: "retireSchedule", id, now: NOW });
  const purge = (before: number) =>
    store.apply({ verb: "purge", input: { kind: "schedules", before, limit: 100 } });
  expect(purge(NOW - 1)).toEqual({ deletedCount: 0, isDone: true });
  expect(purge(NOW)).toEqual({ deletedCount: 1, isDone: true });
  expect(read(store, gone)).toBeNull();
  expect(read(store, kept)).not.toBeNull();
  expect(read(store, living)).not.toBeNull();
  expect(store.db.query("SELECT schedule_seq FROM schedule_skip").all()).toEqual([
    { schedule_seq: kept.seq },
  ]);
});
