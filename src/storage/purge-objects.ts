/**
 * Retention of what was defined and is out of service: endpoints, sources, subscriptions, keys, callback
 * configs and projects. Each goes when it has been retired for long enough and no row refers to it any more,
 * so that what is still listed never loses its name.
 */
import type { Database } from "bun:sqlite";
import type { GoneObject } from "../domain/access.ts";
import { idText } from "./ids.ts";
import type { PurgeBounds, PurgeResult, PurgeStep } from "./purge-sweep.ts";

interface RetiredTable {
  readonly name: string;
  /** The column with the project's name, which with `seq` is the index of what is retired. */
  readonly owner: "project" | "name";
  readonly retiredAt: "deleted_at" | "retired_at";
  /** What must hold of a row `o` that may go. */
  readonly isFree: string;
  /** Rows that belong to it alone; the parameter is a column of it. */
  readonly also?: readonly (readonly [sql: string, column: "seq" | "id" | "owner"])[];
  /** What the rest of the program calls it, if it knows retired ones. */
  readonly kind?: GoneObject["kind"];
}

/** Numbers are names of lanes and must not come back, so the newest row stays until there is a newer one. */
const isNotNewest = (table: string) => `o.seq < (SELECT max(seq) FROM ${table})`;
const noneOf = (table: string, where: string) => `NOT EXISTS (SELECT 1 FROM ${table} x WHERE ${where})`;

/** Children before parents: a project goes in the sweep in which the last of its objects went. */
export const RETIRED_TABLES: readonly RetiredTable[] = [
  { name: "subscription", owner: "project", retiredAt: "deleted_at", isFree: "1", kind: "subscription" },
  {
    ...{ name: "api_key", owner: "project", retiredAt: "deleted_at", isFree: "1" },
    also: [["DELETE FROM key_use WHERE key_id = ?", "id"]],
  },
  {
    ...{ name: "callback_config", owner: "project", retiredAt: "deleted_at" },
    // Along callback_execution_config.
    isFree: noneOf("callback_execution", "x.config_id = o.id"),
  },
  {
    ...{ name: "endpoint", owner: "project", retiredAt: "deleted_at", kind: "endpoint" },
    // Along delivery_endpoint and log_line_endpoint.
    isFree: [
      isNotNewest("endpoint"),
      noneOf("delivery", "x.endpoint_seq = o.seq"),
      noneOf("log_line", "x.endpoint_seq = o.seq"),
    ].join(" AND "),
    also: [["DELETE FROM endpoint_failing WHERE endpoint_seq = ?", "seq"]],
  },
  {
    ...{ name: "source", owner: "project", retiredAt: "deleted_at", kind: "source" },
    // Along event_source, rejection_source, the primary key of dedupe, and delivery_endpoint (pull mode).
    isFree: [
      isNotNewest("source"),
      noneOf("event", "x.source_seq = o.seq"),
      noneOf("rejection", "x.source_seq = o.seq"),
      noneOf("dedupe", "x.source_seq = o.seq"),
      noneOf("delivery", "x.endpoint_seq = -o.seq"),
    ].join(" AND "),
  },
  {
    ...{ name: "project", owner: "name", retiredAt: "retired_at" },
    // What is in service along the indexes of names, the rest along those of what is retired.
    isFree: ["endpoint", "source", "subscription", "schedule", "api_key"]
      .flatMap((table) => [
        noneOf(table, "x.project = o.name AND x.deleted_at IS NULL"),
        ...(table === "schedule" ? [] : [noneOf(table, "x.project = o.name AND x.deleted_at IS NOT NULL")]),
      ])
      .join(" AND "),
    also: [
      ["DELETE FROM function_host WHERE project = ?", "owner"],
      ["DELETE FROM allowance WHERE project = ?", "owner"],
    ],
  },
];

interface RetiredRow {
  seq: number;
  id: Uint8Array | null;
  owner: string;
  is_over: number;
}

/** The statement of a walk, apart so that its plan can be asserted. */
export function retiredSql({ name, owner, retiredAt, isFree }: RetiredTable): string {
  const id = owner === "project" ? "id" : "NULL AS id";
  return `SELECT seq, ${id}, ${owner} AS owner, ${retiredAt} <= ?1 AND ${isFree} AS is_over FROM ${name} o
    WHERE ${retiredAt} IS NOT NULL AND (${owner}, seq) > (?2, ?3) ORDER BY ${owner}, seq LIMIT ?4`;
}

/** Table by table along the indexes of what is retired; each step looks at no more rows than its limit. */
export function createObjectPurge(db: Database): PurgeStep {
  const walks = RETIRED_TABLES.map((table) => createWalk(db, table));
  let index = 0;
  return (bounds: PurgeBounds): PurgeResult => {
    const result = walks[index]?.(bounds) ?? { deletedCount: 0, isDone: true };
    if (result.isDone) index = (index + 1) % walks.length;
    return { ...result, isDone: result.isDone && index === 0 };
  };
}

function createWalk(db: Database, table: RetiredTable): PurgeStep {
  const walk = db.query<RetiredRow, [number, string, number, number]>(retiredSql(table));
  const remove = db.query(`DELETE FROM ${table.name} WHERE seq = ?`);
  const also = (table.also ?? []).map(([sql, column]) => ({ statement: db.query(sql), column }));
  let owner = "";
  let seq = 0;
  return ({ before, limit }) => {
    const rows = walk.all(before, owner, seq, limit);
    const over = rows.filter(({ is_over }) => is_over === 1);
    for (const row of over) {
      for (const { statement, column } of also) statement.run(row[column]);
      remove.run(row.seq);
    }
    const last = rows.at(-1);
    const isDone = rows.length < limit || last === undefined;
    owner = isDone ? "" : last.owner;
    seq = isDone ? 0 : last.seq;
    const { kind } = table;
    const gone = kind === undefined ? [] : over.map((row) => toGone(kind, row));
    return { deletedCount: over.length, isDone, ...(gone.length > 0 ? { gone } : {}) };
  };
}

function toGone(kind: GoneObject["kind"], { id, seq }: RetiredRow): GoneObject {
  if (id === null) throw new Error(`a ${kind} has no id`);
  return { kind, id: idText(id), seq };
}
