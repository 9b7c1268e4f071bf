/** Sums per endpoint and per project, by minute and by hour; see domain/rollup.ts. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { DUE_ON_RESUME } from "../domain/delivery.ts";
import type { Backlog } from "../domain/reads.ts";
import {
  addHistograms,
  bucketStart,
  type Histogram,
  projectShare,
  ROLLUP_BUCKETS,
  ROLLUP_ROWS_MAX,
  type RollupBucket,
  type RollupDelta,
  type RollupFilter,
  type RollupRow,
  WHOLE_PROJECT,
} from "../domain/rollup.ts";

export type { RollupDelta } from "../domain/rollup.ts";

const SUMS = [
  "created",
  "succeeded",
  "dead",
  "cancelled",
  "discarded",
  "attempts",
  "fetched",
  "retries",
  "attempts_succeeded",
  "attempts_failed",
  "duration_sum_ms",
  "delivery_sum_ms",
] as const;

/** The range of one endpoint along the primary key. */
export const ROLLUPS_SQL = `SELECT at, ${SUMS.join(", ")}, duration_max_ms, durations FROM rollup
  WHERE project = ? AND lane = ? AND bucket_ms = ? AND at >= ? AND at < ?
  ORDER BY at LIMIT ${ROLLUP_ROWS_MAX}`;

interface RollupRecord extends Record<(typeof SUMS)[number], number> {
  at: number;
  duration_max_ms: number;
  durations: string;
}

type Key = [project: string, lane: number, bucketMs: number, at: number];

export function createRollupWrites(db: Database) {
  const known = db.query<{ durations: string }, Key>(
    "SELECT durations FROM rollup WHERE project = ? AND lane = ? AND bucket_ms = ? AND at = ?",
  );
  const add = db.query(
    `INSERT INTO rollup (project, lane, bucket_ms, at, ${SUMS.join(", ")}, duration_max_ms, durations)
     VALUES (${"?, ".repeat(SUMS.length + 5)}?)
     ON CONFLICT (project, lane, bucket_ms, at) DO UPDATE SET
       ${SUMS.map((name) => `${name} = ${name} + excluded.${name}`).join(", ")},
       duration_max_ms = max(duration_max_ms, excluded.duration_max_ms), durations = excluded.durations`,
  );

  function addTo([project, lane]: Target, bucket: RollupBucket, delta: RollupDelta): void {
    const key: Key = [project, lane, ROLLUP_BUCKETS[bucket], bucketStart(delta.at, bucket)];
    const before = known.get(...key);
    const durations = addHistograms(before ? readHistogram(before.durations) : {}, delta.durations);
    add.run(...key, ...sumsOf(delta), delta.durationMaxMs, JSON.stringify(durations));
  }

  function addRollups(deltas: readonly RollupDelta[]): void {
    for (const delta of deltas) {
      for (const target of targetsOf(delta)) {
        addTo(target, "minute", delta);
        addTo(target, "hour", delta);
      }
    }
  }

  return { addRollups };
}

type Target = readonly [project: string, lane: number];

/** Where it counts. Nothing is sent for what waits to be pulled, so the whole project leaves that out. */
function targetsOf({ project, lane, profile }: RollupDelta): Target[] {
  const targets: Target[] = [[project, lane]];
  if (lane > 0) targets.push([project, WHOLE_PROJECT]);
  if (profile) targets.push([projectShare(project, profile), WHOLE_PROJECT]);
  return targets;
}

function sumsOf(delta: RollupDelta): number[] {
  const { created, succeeded, dead, cancelled, discarded, attempts, fetched, retries } = delta;
  const ended = [succeeded, dead, cancelled, discarded];
  return [
    created,
    ...ended,
    attempts,
    fetched,
    retries,
    delta.attemptsSucceeded,
    delta.attemptsFailed,
    delta.durationSumMs,
    delta.deliverySumMs,
  ];
}

/** Beyond this a backlog is "more": nobody needs it to the unit, and a lane may have a million. */
const BACKLOG_MAX = 100_000;

/** One range of the queue's primary key, as far as the bound. */
export function countBacklog(db: Database, lane: number): Backlog {
  const row = db
    .query<{ count: number; oldest: number | null }, [number]>(
      `SELECT count(*) AS count, min(due_at) AS oldest FROM
         (SELECT due_at FROM queue WHERE lane = ? ORDER BY due_at LIMIT ${BACKLOG_MAX + 1})`,
    )
    .get(lane);
  const count = row?.count ?? 0;
  const oldest = row?.oldest ?? null;
  return {
    count: Math.min(count, BACKLOG_MAX),
    isMore: count > BACKLOG_MAX,
    oldestDueAt: oldest === DUE_ON_RESUME ? null : oldest,
  };
}

export function readRollups(db: Database, filter: RollupFilter): RollupRow[] {
  const values: SQLQueryBindings[] = [filter.project, filter.lane, ROLLUP_BUCKETS[filter.bucket]];
  return db
    .query<RollupRecord, SQLQueryBindings[]>(ROLLUPS_SQL)
    .all(...values, filter.from, filter.to)
    .map(toRow);
}

function toRow(record: RollupRecord): RollupRow {
  const { attempts_succeeded, attempts_failed, delivery_sum_ms, ...others } = record;
  const { duration_sum_ms, duration_max_ms, durations, ...row } = others;
  return {
    ...row,
    deliverySumMs: delivery_sum_ms,
    attemptsSucceeded: attempts_succeeded,
    attemptsFailed: attempts_failed,
    durationSumMs: duration_sum_ms,
    durationMaxMs: duration_max_ms,
    durations: readHistogram(durations),
  };
}

function readHistogram(text: string): Histogram {
  return JSON.parse(text) as Histogram;
}
