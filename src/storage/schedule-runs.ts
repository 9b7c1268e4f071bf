/**
 * Runs of schedules. A step (what one look at a due schedule comes to) is applied whole or not at all, and
 * only while the schedule is as it was when the step was decided; so is the release of runs that waited.
 */
import type { Database } from "bun:sqlite";
import { AppError } from "../domain/errors.ts";
import type { PreparedRun, QueuedRelease, ScheduleStep, Skips } from "../domain/schedule-definition.ts";
import type { DeliveryInserter } from "./deliveries.ts";

const ADVANCE_SQL = `UPDATE schedule SET next_run_at = ?, next_due_at = ?, run_count = run_count + ?,
    last_run_at = coalesce(?, last_run_at), last_late_ms = coalesce(?, last_late_ms),
    late_ms_max = max(coalesce(late_ms_max, 0), ?)
  WHERE seq = ? AND next_run_at = ? AND updated_at = ?`;

const STARTED_SQL = `UPDATE schedule SET run_count = run_count + ?,
    last_run_at = max(coalesce(last_run_at, ?2), ?2), last_late_ms = coalesce(?4, last_late_ms),
    late_ms_max = max(coalesce(late_ms_max, 0), coalesce(?5, 0))
  WHERE seq = ?3 AND deleted_at IS NULL`;

export type RecordSkips = (seq: number, skips: readonly Skips[], now: number) => void;

export function createSkips(db: Database): RecordSkips {
  const skip = db.query(
    `UPDATE schedule SET skipped_count = skipped_count + ?, last_skip_at = ?, last_skip_reason = ?
     WHERE seq = ?`,
  );
  const count = db.query(
    `INSERT INTO schedule_skip (schedule_seq, reason, count) VALUES (?, ?, ?)
     ON CONFLICT (schedule_seq, reason) DO UPDATE SET count = count + excluded.count`,
  );
  return (seq, skips, now) => {
    for (const skipped of skips) {
      skip.run(skipped.count, now, skipped.reason, seq);
      count.run(seq, skipped.reason, skipped.count);
    }
  };
}

export function createRunWrites(db: Database, insertDelivery: DeliveryInserter) {
  const advance = db.query(ADVANCE_SQL);
  const started = db.query(STARTED_SQL);
  const enqueue = db.query("INSERT OR IGNORE INTO schedule_run (schedule_seq, occurrence_at) VALUES (?, ?)");
  const dequeue = db.query("DELETE FROM schedule_run WHERE schedule_seq = ? AND occurrence_at = ?");
  const recordSkips = createSkips(db);

  function insertRuns(seq: number, runs: readonly PreparedRun[], now: number): number[] {
    return runs.map(({ occurrenceAt, delivery }) =>
      insertDelivery(
        { ...delivery, scheduledAt: occurrenceAt, scheduleSeq: seq },
        { eventSeq: null, payloadSeq: null, createdAt: now },
      ),
    );
  }

  /** Returns the numbers of the deliveries; null when the schedule has changed and nothing was written. */
  function fireSchedule(step: ScheduleStep): readonly number[] | null {
    const { seq, fromRunAt, fromUpdatedAt, nextRunAt, nextDueAt, runs, queued, skips, late, now } = step;
    const lastRunAt = runs.at(-1)?.occurrenceAt ?? null;
    const counted = [runs.length, lastRunAt, late?.lastMs ?? null, late?.mostMs ?? 0];
    if (advance.run(nextRunAt, nextDueAt, ...counted, seq, fromRunAt, fromUpdatedAt).changes === 0)
      return null;
    for (const occurrenceAt of queued) enqueue.run(seq, occurrenceAt);
    recordSkips(seq, skips, now);
    return insertRuns(seq, runs, now);
  }

  /** As above, for runs that waited. Throws `conflict` when one of them waits no longer. */
  function releaseRuns({ seq, runs, late, now }: QueuedRelease): readonly number[] | null {
    if (runs.some(({ occurrenceAt }) => dequeue.run(seq, occurrenceAt).changes === 0)) {
      throw new AppError("conflict", "a run that waited has been started or given up meanwhile");
    }
    return runSchedule({ seq, runs, late, now });
  }

  /** Runs that change nothing about those that are planned; null when the schedule was retired. */
  function runSchedule({ seq, runs, late, now }: QueuedRelease): readonly number[] | null {
    const { changes } = started.run(
      ...[runs.length, runs.at(-1)?.occurrenceAt ?? null, seq, late?.lastMs ?? null, late?.mostMs ?? null],
    );
    return changes === 0 ? null : insertRuns(seq, runs, now);
  }

  return { fireSchedule, releaseRuns, runSchedule };
}
