/**
 * Which deliveries a filter means, read in stretches: each looks at a bounded number of rows along one index,
 * whatever the filter, so that a step costs the same in a store of any size. The caller goes on where a
 * stretch ended.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import {
  AGE_BOUNDS_MS,
  type DeliveryMatch,
  type MatchCountInput,
  type MatchCounts,
  type MatchGroup,
} from "../domain/bulk.ts";
import { dueOfWait } from "../domain/delivery.ts";
import { NOTABLE_STATES } from "./list-deliveries.ts";
import { Where } from "./where.ts";

/**
 * The terms along which rows are walked: one range of delivery_notable, of delivery_endpoint, or of the
 * table. Spelled out for the first, because a partial index is used only where the text shows its condition.
 */
export function walkOf({ states, lane }: DeliveryMatch): { sql: string; values: SQLQueryBindings[] } {
  const [state] = states;
  if (states.length === 1 && state !== undefined && NOTABLE_STATES.includes(state)) {
    return { sql: `d.state = '${state}'`, values: [] };
  }
  return lane === undefined ? { sql: "1", values: [] } : { sql: "d.endpoint_seq = ?", values: [lane] };
}

/** Everything else that must hold. Needs `d` for the delivery and `e` for its event. */
export function matchOf(match: DeliveryMatch): Where {
  const where = new Where()
    .and("d.project = ?", match.project)
    .and("+d.endpoint_seq = ?", match.lane)
    .and("e.source_seq = ?", match.sourceSeq)
    .and("e.tenant = ?", match.tenant)
    .and("d.created_at >= ?", match.since)
    .and("d.created_at < ?", match.until)
    .and("d.last_status = ?", match.status)
    // The plus: a walk along another index would not come in the order of the stretches.
    .and("+d.due_at = ?", match.waitsFor === undefined ? undefined : dueOfWait(match.waitsFor))
    .and("instr(lower(d.last_error), lower(?)) > 0", match.error)
    .andAlways("d.deleted_at IS NULL");
  if (match.states.length > 0) {
    // State names come from a closed list. The plus keeps the planner from walking another index for them.
    where.andAlways(`(${match.states.map((state) => `+d.state = '${state}'`).join(" OR ")})`);
  }
  addType(where, match.type);
  return where;
}

function addType(where: Where, type: string | undefined): void {
  if (type === undefined || type === "*") return;
  if (!type.endsWith("*")) where.and("e.type = ?", type);
  else where.and("instr(e.type, ?) = 1", type.slice(0, -1));
}

/** The last row of the next stretch, upwards from `after`. One range of an index; reads nothing else. */
export function stretchEndSql(match: DeliveryMatch): string {
  return `SELECT d.seq FROM delivery d WHERE ${walkOf(match).sql} AND d.seq > ? AND d.seq <= ?
    ORDER BY d.seq LIMIT 1 OFFSET ?`;
}

/** Returns where the next stretch ends: `last` when it reaches that far. */
export function stretchEnd(
  db: Database,
  match: DeliveryMatch,
  { after, last, rows }: { after: number; last: number; rows: number },
): number {
  const found = db
    .query<{ seq: number }, SQLQueryBindings[]>(stretchEndSql(match))
    .get(...walkOf(match).values, after, last, rows - 1);
  return found?.seq ?? last;
}

/** Rows counted per stretch on the read thread: some 20 ms. */
const COUNT_ROWS = 20_000;

const AGE_CASES = AGE_BOUNDS_MS.map((bound, n) => `WHEN d.created_at > ? - ${bound} THEN ${n}`);
const AGE_SQL = `CASE ${AGE_CASES.join(" ")}
  ELSE ${AGE_BOUNDS_MS.length} END`;

/** Counts what matches within one stretch, by endpoint, type and age. */
export function countMatches(db: Database, { match, after, now }: MatchCountInput): MatchCounts {
  const last = db.query<{ seq: number | null }, []>("SELECT max(seq) AS seq FROM delivery").get()?.seq ?? 0;
  if (after >= last) return { groups: [], next: null };
  const end = stretchEnd(db, match, { after, last, rows: COUNT_ROWS });
  const walk = walkOf(match);
  const where = matchOf(match);
  const sql = `SELECT d.endpoint_seq AS lane, e.type, ${AGE_SQL} AS age,
      count(*) AS count
    FROM delivery d LEFT JOIN event e ON e.seq = d.event_seq
    WHERE ${walk.sql} AND d.seq > ? AND d.seq <= ? AND ${where.sql} GROUP BY 1, 2, 3`;
  const groups = db
    .query<MatchGroup, SQLQueryBindings[]>(sql)
    .all(...AGE_BOUNDS_MS.map(() => now), ...walk.values, after, end, ...where.values);
  return { groups, next: end >= last ? null : end };
}
