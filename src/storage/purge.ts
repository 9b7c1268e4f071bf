/**
 * Retention, in steps. A step looks at a bounded stretch of one table and deletes at most `limit` rows, so it
 * costs the same whatever the size of the store; where the next one goes on is remembered here, in memory,
 * per kind. `isDone` means that a sweep has come to its end: the caller rests, and the next step begins a new
 * sweep. A step that is rolled back leaves its place moved on; the next sweep finds what it missed.
 *
 * Who owns a payload: the event or delivery of the same seq. An event outlives the deliveries that it made,
 * so a payload goes with its owner; only the disk budget (kind `bodies`) takes one earlier.
 */
import type { Database } from "bun:sqlite";
import { HOUR, MINUTE } from "../domain/duration.ts";
import { createFinishedLogs, createLogs } from "./purge-logs.ts";
import { createObjectPurge } from "./purge-objects.ts";
import {
  createSweep,
  type Numbered,
  type PurgeBounds,
  type PurgeResult,
  type PurgeStep,
} from "./purge-sweep.ts";

export type PurgeKind =
  | "delivered" // succeeded deliveries, with their attempts
  | "executions" // the same of functions' executions, with their logs
  | "logs" // lines that functions logged
  | "dead" // dead, cancelled and discarded ones
  | "unfetched" // what waits in pull mode, with its event to follow
  | "events" // without a delivery left
  | "rejections" // old ones, and those beyond the bound per source
  | "dedupe" // expired keys, those of the API's callers included
  | "schedules" // retired ones without a delivery left
  | "objects" // retired endpoints, sources and the like that nothing refers to
  | "rollup_minutes" // sums by the minute
  | "rollup_hours" // and by the hour
  | "bulks" // finished bulk operations
  | "processes" // rows of processes that have stopped
  | "expired_bodies" // that were asked to go before their delivery
  | "finished_logs" // for the disk budget: lines of executions that have ended
  | "bodies" // for the disk budget: bodies of succeeded, cancelled and discarded deliveries
  | "dead_bodies" // then those of dead ones, which cannot be replayed afterwards
  | "pages"; // gives free pages back to the file system

export type { PurgeResult } from "./purge-sweep.ts";

export interface PurgeInput extends PurgeBounds {
  readonly kind: PurgeKind;
}

/** What a refused sender can fill per source, whatever the retention. */
export const REJECTIONS_MAX = 10_000;

export function createPurge(db: Database, lease: number): (input: PurgeInput) => PurgeResult {
  const steps: Readonly<Record<PurgeKind, PurgeStep>> = {
    delivered: createDelivered(db, "<>"),
    executions: createDelivered(db, "="),
    logs: createLogs(db),
    dead: createNotable(db, ["dead", "cancelled", "discarded"], "finished_at"),
    unfetched: createNotable(db, ["stored", "fetched"], "created_at"),
    events: createEvents(db),
    rejections: createRejections(db),
    dedupe: createDedupe(db),
    schedules: createSchedules(db),
    objects: createObjectPurge(db),
    rollup_minutes: createRollups(db, MINUTE),
    rollup_hours: createRollups(db, HOUR),
    bulks: createBulks(db),
    processes: createProcesses(db, lease),
    expired_bodies: createExpiredBodies(db),
    finished_logs: createFinishedLogs(db),
    bodies: createBodies(db, "'succeeded', 'cancelled', 'discarded'"),
    dead_bodies: createBodies(db, "'succeeded', 'cancelled', 'discarded', 'dead'"),
    pages: createPages(db),
  };
  return (input) => steps[input.kind](input);
}

/** Deletes deliveries with what belongs to them alone. The caller has made sure that they are finished. */
function createDeleteDelivery(db: Database): (seq: number) => void {
  const delivery = db.query("DELETE FROM delivery WHERE seq = ?");
  const attempts = db.query("DELETE FROM attempt WHERE delivery_seq = ?");
  const payload = db.query("DELETE FROM payload WHERE seq = ?");
  const execution = db.query("DELETE FROM callback_execution WHERE seq = ?");
  const logs = db.query("DELETE FROM log_line WHERE delivery_seq = ?");
  return (seq) => {
    logs.run(seq);
    execution.run(seq);
    attempts.run(seq);
    payload.run(seq);
    delivery.run(seq);
  };
}

/** `compares` with the profile of executions: these are kept as long as their logs. */
function createDelivered(db: Database, compares: "=" | "<>"): PurgeStep {
  return createSweep(db, {
    table: "delivery",
    instant: "created_at",
    // The primary key's range; nearly every row of an old stretch is one to delete.
    find: `SELECT seq FROM delivery WHERE seq BETWEEN ? AND ? AND +state = 'succeeded' AND finished_at <= ?
      AND +profile ${compares} 'pingback' ORDER BY seq LIMIT ?`,
    remove: createDeleteDelivery(db),
  });
}

/**
 * A dead letter that blocks its line stays whatever its age, and with its body: others wait for what becomes
 * of it, and without it nobody could see why. By the primary key of line.
 */
const IS_IN_LINE = `(d.ordering_key IS NOT NULL AND EXISTS (SELECT 1 FROM line l
  WHERE l.lane = d.endpoint_seq AND l.key = d.ordering_key AND l.delivery_seq = d.seq))`;

/** Short sweeps along the index of notable states, one per state, so that no others are looked at. */
function createNotable(db: Database, states: readonly string[], instant: string): PurgeStep {
  const finds = states.map((state) =>
    db.query<Numbered & { at: number; is_in_line: number }, [number, number]>(
      `SELECT seq, ${instant} AS at, ${IS_IN_LINE} AS is_in_line FROM delivery d
       WHERE state = '${state}' AND seq > ?
       ORDER BY seq LIMIT ?`,
    ),
  );
  const remove = createDeleteDelivery(db);
  let index = 0;
  let cursor = 0;
  return ({ before, limit }) => {
    const rows = finds[index]?.all(cursor, limit) ?? [];
    let deletedCount = 0;
    for (const { seq, at, is_in_line } of rows) {
      cursor = seq;
      if (at > before || is_in_line === 1) continue;
      remove(seq);
      deletedCount += 1;
    }
    if (rows.length === limit) return { deletedCount, isDone: false };
    cursor = 0;
    index = (index + 1) % finds.length;
    return { deletedCount, isDone: index === 0 };
  };
}

function createEvents(db: Database): PurgeStep {
  const event = db.query("DELETE FROM event WHERE seq = ?");
  const refused = db.query("DELETE FROM callback_execution WHERE event_seq = ? AND refusal IS NOT NULL");
  const payload = db.query("DELETE FROM payload WHERE seq = ?");
  return createSweep(db, {
    table: "event",
    instant: "received_at",
    // The primary key's range, then one look into delivery_event per old event.
    find: `SELECT seq FROM event e WHERE seq BETWEEN ? AND ? AND received_at <= ?
      AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_seq = e.seq) ORDER BY seq LIMIT ?`,
    remove: (seq) => {
      refused.run(seq);
      payload.run(seq);
      event.run(seq);
    },
  });
}

/** First the old ones from the front of the table, then one source after the other down to its bound. */
function createRejections(db: Database): PurgeStep {
  const oldest = db.query<Numbered & { received_at: number }, [number]>(
    "SELECT seq, received_at FROM rejection ORDER BY seq LIMIT ?",
  );
  const remove = db.query("DELETE FROM rejection WHERE seq = ?");
  // Both along rejection_source.
  const nextSource = db.query<{ source_seq: number | null }, [number]>(
    "SELECT min(source_seq) AS source_seq FROM rejection WHERE source_seq > ?",
  );
  const bound = db.query<Numbered, [number]>(
    `SELECT seq FROM rejection WHERE source_seq = ? ORDER BY seq DESC LIMIT 1 OFFSET ${REJECTIONS_MAX}`,
  );
  const trim = db.query(
    `DELETE FROM rejection WHERE seq IN
       (SELECT seq FROM rejection WHERE source_seq = ? AND seq <= ? ORDER BY seq LIMIT ?)`,
  );
  let isTrimming = false;
  let source = 0;

  function trimNext(limit: number): PurgeResult {
    const next = nextSource.get(source)?.source_seq ?? null;
    if (next === null) {
      isTrimming = false;
      source = 0;
      return { deletedCount: 0, isDone: true };
    }
    const last = bound.get(next);
    const deletedCount = last ? trim.run(next, last.seq, limit).changes : 0;
    if (deletedCount < limit) source = next;
    return { deletedCount, isDone: false };
  }

  return ({ before, limit }) => {
    if (isTrimming) return trimNext(limit);
    const old = oldest.all(limit).filter(({ received_at }) => received_at <= before);
    for (const { seq } of old) remove.run(seq);
    isTrimming = old.length < limit;
    return { deletedCount: old.length, isDone: false };
  };
}

interface KeyTable {
  readonly name: "dedupe" | "idempotency";
  /** The first column of the primary key; the second one is `key`. */
  readonly owner: "source_seq" | "project";
  /** Before every owner there is. */
  readonly start: number | string;
}

interface KeyRow {
  owner: number | string;
  key: string;
  expires_at: number;
}

/** First the keys of sources, then those of the API's callers. */
function createDedupe(db: Database): PurgeStep {
  const walks = [
    createKeyWalk(db, { name: "dedupe", owner: "source_seq", start: -1 }),
    createKeyWalk(db, { name: "idempotency", owner: "project", start: "" }),
  ];
  let index = 0;
  return (input) => {
    const { deletedCount, isDone } = walks[index]?.(input) ?? { deletedCount: 0, isDone: true };
    if (isDone) index = (index + 1) % walks.length;
    return { deletedCount, isDone: isDone && index === 0 };
  };
}

/**
 * Round and round along the primary key: keys expire in any order, and an index on expiry would slow every
 * accept.
 */
function createKeyWalk(db: Database, { name, owner, start }: KeyTable): PurgeStep {
  const walk = db.query<KeyRow, [number | string, string, number]>(
    `SELECT ${owner} AS owner, key, expires_at FROM ${name} WHERE (${owner}, key) > (?, ?)
     ORDER BY ${owner}, key LIMIT ?`,
  );
  const remove = db.query(`DELETE FROM ${name} WHERE ${owner} = ? AND key = ?`);
  let at = start;
  let key = "";
  return ({ before, limit }) => {
    const rows = walk.all(at, key, limit);
    let deletedCount = 0;
    for (const row of rows) {
      if (row.expires_at <= before) deletedCount += remove.run(row.owner, row.key).changes;
    }
    const last = rows.at(-1);
    const isDone = rows.length < limit;
    at = isDone ? start : (last?.owner ?? start);
    key = isDone ? "" : (last?.key ?? "");
    return { deletedCount, isDone };
  };
}

export const RETIRED_SCHEDULES_SQL = `SELECT seq, deleted_at <= ?1 AND NOT EXISTS
    (SELECT 1 FROM delivery d WHERE d.schedule_seq = s.seq) AS is_over
  FROM schedule s WHERE deleted_at IS NOT NULL AND seq > ?2 ORDER BY seq LIMIT ?3`;

/** Round and round along schedule_retired. What a schedule sent outlives it, and so does its name with it. */
function createSchedules(db: Database): PurgeStep {
  const walk = db.query<Numbered & { is_over: number }, [number, number, number]>(RETIRED_SCHEDULES_SQL);
  const remove = db.query("DELETE FROM schedule WHERE seq = ?");
  const forget = db.query("DELETE FROM schedule_skip WHERE schedule_seq = ?");
  let cursor = 0;
  return ({ before, limit }) => {
    const rows = walk.all(before, cursor, limit);
    const over = rows.filter(({ is_over }) => is_over === 1);
    for (const { seq } of over) {
      forget.run(seq);
      remove.run(seq);
    }
    const isDone = rows.length < limit;
    cursor = isDone ? 0 : (rows.at(-1)?.seq ?? 0);
    return { deletedCount: over.length, isDone };
  };
}

/** The oldest first, along rollup_age. */
function createRollups(db: Database, bucketMs: number): PurgeStep {
  const remove = db.query(
    `DELETE FROM rollup WHERE (project, lane, bucket_ms, at) IN
       (SELECT project, lane, bucket_ms, at FROM rollup WHERE bucket_ms = ${bucketMs} AND at <= ?
        ORDER BY at LIMIT ?)`,
  );
  return ({ before, limit }) => {
    const deletedCount = remove.run(before, limit).changes;
    return { deletedCount, isDone: deletedCount < limit };
  };
}

/** Along bulk_finished. */
function createBulks(db: Database): PurgeStep {
  const remove = db.query(
    `DELETE FROM bulk WHERE seq IN
       (SELECT seq FROM bulk WHERE finished_at IS NOT NULL AND finished_at <= ?
        ORDER BY finished_at LIMIT ?)`,
  );
  return ({ before, limit }) => {
    const deletedCount = remove.run(before, limit).changes;
    return { deletedCount, isDone: deletedCount < limit };
  };
}

/** Our own row stays, and with it the numbering: a lease number never comes back. */
function createProcesses(db: Database, lease: number): PurgeStep {
  const remove = db.query(
    `DELETE FROM process WHERE seq IN
       (SELECT seq FROM process WHERE stopped_at <= ? AND seq < ? ORDER BY seq LIMIT ?)`,
  );
  return ({ before, limit }) => {
    const deletedCount = remove.run(before, lease, limit).changes;
    return { deletedCount, isDone: deletedCount < limit };
  };
}

/** Oldest first. What waits, is on its way or can still be fetched keeps its body, whatever the disk says. */
function createBodies(db: Database, finished: string): PurgeStep {
  const payload = db.query("DELETE FROM payload WHERE seq = ?");
  return createSweep(db, {
    table: "payload",
    instant: "-1",
    // The primary key's range, then delivery by primary key and by delivery_event. The third parameter is
    // unused.
    find: `SELECT seq FROM payload p WHERE seq BETWEEN ? AND ? AND ? IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq = p.seq
        AND (d.state NOT IN (${finished}) OR ${IS_IN_LINE}))
      AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_seq = p.seq
        AND (d.state NOT IN (${finished}) OR ${IS_IN_LINE}))
      ORDER BY seq LIMIT ?`,
    remove: (seq) => void payload.run(seq),
  });
}

/** A body goes once its delivery has ended; until then its row is looked at again a minute later. */
function createExpiredBodies(db: Database): PurgeStep {
  const due = db.query<{ expires_at: number; payload_seq: number; is_open: number }, [number, number]>(
    `SELECT x.expires_at, x.payload_seq, EXISTS (SELECT 1 FROM delivery d
       WHERE d.seq = x.payload_seq AND d.finished_at IS NULL) AS is_open
     FROM payload_expiry x WHERE x.expires_at <= ? ORDER BY x.expires_at LIMIT ?`,
  );
  const payload = db.query("DELETE FROM payload WHERE seq = ?");
  const remove = db.query("DELETE FROM payload_expiry WHERE expires_at = ? AND payload_seq = ?");
  const putOff = db.query("INSERT INTO payload_expiry (expires_at, payload_seq) VALUES (?, ?)");
  return ({ before, limit }) => {
    const rows = due.all(before, limit);
    let deletedCount = 0;
    for (const { expires_at, payload_seq, is_open } of rows) {
      remove.run(expires_at, payload_seq);
      if (is_open === 1) putOff.run(before + MINUTE, payload_seq);
      else deletedCount += payload.run(payload_seq).changes;
    }
    return { deletedCount, isDone: rows.length < limit };
  };
}

function createPages(db: Database): PurgeStep {
  const free = db.query<{ count: number }, []>("SELECT freelist_count AS count FROM pragma_freelist_count");
  return ({ limit }) => {
    const before = free.get()?.count ?? 0;
    // The statement frees one page per step, so it must be stepped to its end.
    db.query(`PRAGMA incremental_vacuum(${Math.max(1, Math.floor(limit))})`).all();
    const after = free.get()?.count ?? 0;
    return { deletedCount: before - after, isDone: after === 0 || after === before };
  };
}
