/** Exports in the file: one row each, and their text in parts, so that none is ever in memory as a whole. */
import type { Database } from "bun:sqlite";
import type { ExportRecord, ExportState } from "../domain/export.ts";
import type { Id } from "../domain/id.ts";
import { idBytes, idText } from "./ids.ts";

const LISTED_MAX = 1_000;

interface Row {
  id: Uint8Array;
  project: string;
  spec: string;
  state: ExportState;
  row_count: number | null;
  size_bytes: number | null;
  error: string | null;
  created_at: number;
  started_at: number | null;
  completed_at: number | null;
  expires_at: number | null;
}

type Values = (string | number | null | Uint8Array)[];

export function createExportWrites(db: Database) {
  const put = db.query<unknown, Values>(
    `INSERT INTO export (id, project, spec, state, row_count, size_bytes, error, created_at, started_at,
       completed_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, row_count = excluded.row_count,
       size_bytes = excluded.size_bytes, error = excluded.error, started_at = excluded.started_at,
       completed_at = excluded.completed_at, expires_at = excluded.expires_at`,
  );
  const clear = db.query("DELETE FROM export_part WHERE export_seq = (SELECT seq FROM export WHERE id = ?)");
  const addPart = db.query(
    "INSERT INTO export_part (export_seq, number, text) SELECT seq, ?, ? FROM export WHERE id = ?",
  );
  const remove = db.query("DELETE FROM export WHERE id = ?");
  return {
    putExport({ record }: { readonly record: ExportRecord }): void {
      const { project, spec, state, rowCount, sizeBytes, error } = record;
      const { createdAt, startedAt, completedAt, expiresAt } = record;
      const id = idBytes(record.id);
      put.run(
        id,
        project,
        spec,
        state,
        rowCount,
        sizeBytes,
        error,
        createdAt,
        startedAt,
        completedAt,
        expiresAt,
      );
      if (state !== "completed") clear.run(id);
    },
    addExportPart({ id, number, text }: { readonly id: Id; readonly number: number; readonly text: string }) {
      addPart.run(number, text, idBytes(id));
    },
    removeExport: ({ id }: { readonly id: Id }): boolean => remove.run(idBytes(id)).changes > 0,
  };
}

export function createExportReads(db: Database) {
  const byId = db.query<Row, [Uint8Array]>("SELECT * FROM export WHERE id = ?");
  const ofProject = db.query<Row, [string]>(
    `SELECT * FROM export WHERE project = ? ORDER BY seq DESC LIMIT ${LISTED_MAX}`,
  );
  const all = db.query<Row, []>(`SELECT * FROM export ORDER BY seq DESC LIMIT ${LISTED_MAX}`);
  const part = db.query<{ text: string }, [Uint8Array, number]>(
    `SELECT p.text FROM export e JOIN export_part p ON p.export_seq = e.seq AND p.number = ?2
     WHERE e.id = ?1`,
  );
  return {
    exportById(id: Id): ExportRecord | null {
      const row = byId.get(idBytes(id));
      return row ? readRow(row) : null;
    },
    exportsOf: (project: string | null): ExportRecord[] =>
      (project === null ? all.all() : ofProject.all(project)).map(readRow),
    exportPart: (id: Id, number: number): string | null => part.get(idBytes(id), number)?.text ?? null,
  };
}

function readRow(row: Row): ExportRecord {
  return {
    id: idText(row.id),
    project: row.project,
    spec: row.spec,
    state: row.state,
    rowCount: row.row_count,
    sizeBytes: row.size_bytes,
    error: row.error,
    createdAt: row.created_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    expiresAt: row.expires_at,
  };
}
