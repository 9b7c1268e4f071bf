/** Log lines in the file: written with the outcome of their attempt, read by list-logs.ts. */
import type { Database } from "bun:sqlite";
import type { LogLine } from "../domain/log-line.ts";

interface LogOrigin {
  /** Of the delivery. */
  readonly seq: number;
  readonly attempt: number;
  readonly at: number;
}

export type InsertLogs = (lines: readonly LogLine[], origin: LogOrigin) => void;

export function createLogWrites(db: Database): InsertLogs {
  // The delivery by its primary key; it is there, for its outcome has just been written.
  const insert = db.query(
    `INSERT INTO log_line (delivery_seq, attempt, project, endpoint_seq, at, stored_at, level, message, meta)
     SELECT seq, ?, project, endpoint_seq, ?, ?, ?, ?, ? FROM delivery WHERE seq = ?`,
  );
  return (lines, { seq, attempt, at }) => {
    for (const line of lines) insert.run(attempt, line.at, at, line.level, line.message, line.meta, seq);
  };
}
