/** Reads of schedules: what is due, one by id or name, pages of them, and what waits. */
import type { Database } from "bun:sqlite";
import type { Id } from "../domain/id.ts";
import type { Page, PageInput } from "../domain/reads.ts";
import {
  ACTIVE_COUNT_MAX,
  type DueSchedule,
  type Schedule,
  type ScheduleDefinition,
  type SkipCounts,
  type SkipReason,
} from "../domain/schedule-definition.ts";
import { idBytes, idText } from "./ids.ts";
import { pageBounds, toPage } from "./page.ts";

export interface ScheduleRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  name: string;
  door: string;
  spec: string;
  anchor_at: number;
  next_run_at: number | null;
  next_due_at: number | null;
  paused_at: number | null;
  run_count: number;
  skipped_count: number;
  last_run_at: number | null;
  last_skip_at: number | null;
  last_skip_reason: SkipReason | null;
  created_at: number;
  updated_at: number;
  last_late_ms: number | null;
  late_ms_max: number | null;
  deleted_at: number | null;
}

interface DueRecord extends ScheduleRecord {
  active_count: number;
  queued_count: number;
}

/** Both along indexes that hold nothing else; the first ends where counting on would change no decision. */
const ACTIVITY = `(SELECT count(*) FROM (SELECT 1 FROM delivery d
    WHERE d.schedule_seq = s.seq AND d.finished_at IS NULL LIMIT ${ACTIVE_COUNT_MAX})) AS active_count,
  (SELECT count(*) FROM schedule_run r WHERE r.schedule_seq = s.seq) AS queued_count`;

export const DUE_SCHEDULES_SQL = `SELECT s.*, ${ACTIVITY} FROM schedule s
  WHERE s.next_due_at <= ? AND s.next_due_at IS NOT NULL ORDER BY s.next_due_at, s.seq LIMIT ?`;

const WAITING_SQL = `SELECT DISTINCT schedule_seq AS seq FROM schedule_run`;

/** What takes a place at an endpoint: due or leased by the queue's key, and what waits for a retry. */
const ENDPOINT_ACTIVITY = `SELECT
  (SELECT count(*) FROM (SELECT 1 FROM queue q WHERE q.lane = e.seq AND q.due_at <= $now
    LIMIT ${ACTIVE_COUNT_MAX}))
  + (SELECT count(*) FROM (SELECT 1 FROM delivery d WHERE d.endpoint_seq = e.seq AND d.state = 'retrying'
    AND d.due_at > $now LIMIT ${ACTIVE_COUNT_MAX})) AS active_count
  FROM endpoint e WHERE e.project = $project AND e.name = $endpoint AND e.deleted_at IS NULL`;

export function createScheduleReads(db: Database) {
  const due = db.query<DueRecord, [number, number]>(DUE_SCHEDULES_SQL);
  const next = db.query<{ at: number | null }, []>(
    "SELECT min(next_due_at) AS at FROM schedule WHERE next_due_at IS NOT NULL",
  );
  const bySeq = db.query<DueRecord, [number]>(`SELECT s.*, ${ACTIVITY} FROM schedule s WHERE s.seq = ?`);
  const ofDelivery = db.query<{ schedule_seq: number | null }, [number]>(
    "SELECT schedule_seq FROM delivery WHERE seq = ?",
  );
  const byId = db.query<ScheduleRecord, [Uint8Array]>("SELECT * FROM schedule WHERE id = ?");
  const byName = db.query<ScheduleRecord, [string, string]>(
    "SELECT * FROM schedule WHERE project = ? AND name = ? AND deleted_at IS NULL",
  );
  const ofDoor = db.query<ScheduleRecord, [string]>("SELECT * FROM schedule WHERE door = ? ORDER BY seq");
  const list = db.query<ScheduleRecord, [string, number, number]>(
    `SELECT * FROM schedule WHERE project = ? AND seq < ? AND deleted_at IS NULL ORDER BY seq DESC LIMIT ?`,
  );
  const waiting = db.query<{ seq: number }, []>(WAITING_SQL);
  const waitingRuns = db.query<{ occurrence_at: number }, [number, number]>(
    "SELECT occurrence_at FROM schedule_run WHERE schedule_seq = ? ORDER BY occurrence_at LIMIT ?",
  );
  const skips = db.query<{ reason: SkipReason; count: number }, [number]>(
    "SELECT reason, count FROM schedule_skip WHERE schedule_seq = ?",
  );
  const endpointActivity = db.query<{ active_count: number }, Record<string, string | number>>(
    ENDPOINT_ACTIVITY,
  );
  const withScope = (schedule: DueSchedule, now: number): DueSchedule => {
    if (schedule.activeScope !== "endpoint") return schedule;
    const { project, endpoint } = schedule;
    const found = endpointActivity.get({ now, project, endpoint });
    return { ...schedule, activeCount: found?.active_count ?? 0 };
  };
  const read = (record: ScheduleRecord | null) => (record ? readSchedule(record) : null);
  return {
    dueSchedules: (now: number, limit: number): DueSchedule[] =>
      due.all(now, limit).map((record) => withScope(readDue(record), now)),
    nextScheduleDueAt: (): number | null => next.get()?.at ?? null,
    scheduleOfSeq: (seq: number): DueSchedule | null => {
      const record = bySeq.get(seq);
      return record ? readDue(record) : null;
    },
    scheduleOfDelivery: (seq: number): number | null => ofDelivery.get(seq)?.schedule_seq ?? null,
    scheduleById: (id: Id): Schedule | null => read(byId.get(idBytes(id))),
    scheduleNamed: (project: string, name: string): Schedule | null => read(byName.get(project, name)),
    schedulesOfDoor: (door: string): Schedule[] => ofDoor.all(door).map(readSchedule),
    listSchedules: (filter: PageInput & { readonly project: string }): Page<Schedule> => {
      const { before, limit } = pageBounds(filter);
      return toPage(list.all(filter.project, before, limit + 1).map(readSchedule), limit);
    },
    scheduleSkips: (seq: number): SkipCounts =>
      Object.fromEntries(skips.all(seq).map(({ reason, count }) => [reason, count])),
    schedulesWithWaiting: (): number[] => waiting.all().map(({ seq }) => seq),
    waitingRuns: (seq: number, limit: number): number[] =>
      waitingRuns.all(seq, limit).map(({ occurrence_at }) => occurrence_at),
  };
}

function readDue(record: DueRecord): DueSchedule {
  return {
    ...readSchedule(record),
    activeCount: record.active_count,
    queuedCount: record.queued_count,
  };
}

export function readSchedule(record: ScheduleRecord): Schedule {
  const { last_skip_at: skippedAt, last_skip_reason: reason, last_late_ms: lastMs } = record;
  return {
    ...(JSON.parse(record.spec) as Omit<ScheduleDefinition, "project" | "name">),
    seq: record.seq,
    id: idText(record.id),
    project: record.project,
    name: record.name,
    door: record.door,
    anchorAt: record.anchor_at,
    nextRunAt: record.next_run_at,
    nextDueAt: record.next_due_at,
    pausedAt: record.paused_at,
    runCount: record.run_count,
    skippedCount: record.skipped_count,
    lastRunAt: record.last_run_at,
    late: lastMs === null ? null : { lastMs, mostMs: record.late_ms_max ?? lastMs },
    lastSkip: skippedAt === null || reason === null ? null : { at: skippedAt, reason },
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    deletedAt: record.deleted_at,
  };
}
