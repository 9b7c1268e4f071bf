/** Schedules in the file: made, changed, paused, retired. Their runs are in schedule-runs.ts. */
import type { Database } from "bun:sqlite";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { NextRun, Schedule, ScheduleDefinition } from "../domain/schedule-definition.ts";
import { isConstraint } from "./database.ts";
import { idBytes } from "./ids.ts";
import { readSchedule, type ScheduleRecord } from "./schedule-reads.ts";
import { createSkips } from "./schedule-runs.ts";

export interface ScheduleWrite {
  readonly id: Id;
  readonly door: string;
  readonly definition: ScheduleDefinition;
  /** A new timing with its first run; null keeps what an existing one has. A paused one has no next run. */
  readonly timing: (NextRun & { readonly anchorAt: number }) | null;
  readonly now: number;
}

/** `at` null: not paused any more. */
export interface SchedulePause extends NextRun {
  readonly id: Id;
  readonly at: number | null;
  readonly now: number;
}

const PUT_SQL = `INSERT INTO schedule (id, project, name, door, spec, anchor_at, next_run_at, next_due_at,
    created_at, updated_at)
  VALUES ($id, $project, $name, $door, $spec, $anchorAt, $nextRunAt, $nextDueAt, $now, $now)
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, spec = excluded.spec,
    updated_at = max(excluded.updated_at, updated_at + 1),
    anchor_at = CASE WHEN $isTimed THEN excluded.anchor_at ELSE anchor_at END,
    next_run_at = CASE WHEN paused_at IS NOT NULL THEN NULL
      WHEN $isTimed THEN excluded.next_run_at ELSE next_run_at END,
    next_due_at = CASE WHEN paused_at IS NOT NULL THEN NULL
      WHEN $isTimed THEN excluded.next_due_at ELSE next_due_at END,
    deleted_at = NULL
  RETURNING *`;

type Values = Record<string, string | number | Uint8Array | null>;

export function createScheduleWrites(db: Database) {
  const put = db.query<ScheduleRecord, Values>(PUT_SQL);
  const pause = db.query<ScheduleRecord, (number | null | Uint8Array)[]>(
    `UPDATE schedule SET paused_at = ?, next_run_at = ?, next_due_at = ?, updated_at = max(?, updated_at + 1)
     WHERE id = ? AND deleted_at IS NULL RETURNING *`,
  );
  const retire = db.query<ScheduleRecord, [number, Uint8Array]>(
    `UPDATE schedule SET deleted_at = coalesce(deleted_at, ?), next_run_at = NULL, next_due_at = NULL,
       paused_at = NULL WHERE id = ? RETURNING *`,
  );
  const forget = db.query("DELETE FROM schedule_run WHERE schedule_seq = ?");
  const recordSkips = createSkips(db);

  function putSchedule({ id, door, definition, timing, now }: ScheduleWrite): Schedule {
    const { project, name, ...spec } = definition;
    const { anchorAt, nextRunAt, nextDueAt } = timing ?? { anchorAt: now, nextRunAt: null, nextDueAt: null };
    try {
      const row = put.get({
        ...{ $id: idBytes(id), $project: project, $name: name, $door: door, $spec: JSON.stringify(spec) },
        ...{ $anchorAt: anchorAt, $nextRunAt: nextRunAt, $nextDueAt: nextDueAt, $now: now },
        $isTimed: timing === null ? 0 : 1,
      });
      return readSchedule(row as ScheduleRecord);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw new AppError("conflict", `the project ${project} has another schedule named ${name}`, {
        cause: error,
      });
    }
  }

  /** Runs that wait are given up when their schedule is paused or retired. */
  function giveUpWaiting(record: ScheduleRecord | null, now: number): Schedule | null {
    if (record === null) return null;
    const count = forget.run(record.seq).changes;
    if (count === 0) return readSchedule(record);
    recordSkips(record.seq, [{ count, reason: "paused" }], now);
    const lastSkip = { at: now, reason: "paused" } as const;
    return { ...readSchedule(record), skippedCount: record.skipped_count + count, lastSkip };
  }

  return {
    putSchedule,
    setSchedulePaused: ({ id, at, nextRunAt, nextDueAt, now }: SchedulePause) => {
      const record = pause.get(at, nextRunAt, nextDueAt, now, idBytes(id));
      return at === null ? record && readSchedule(record) : giveUpWaiting(record, now);
    },
    retireSchedule: (id: Id, now: number) => giveUpWaiting(retire.get(now, idBytes(id)), now),
  };
}
