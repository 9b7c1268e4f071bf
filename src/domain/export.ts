/** Files that clients ask for: what was asked, how far it is, and the verbs of a store that keeps them. */
import type { Id } from "./id.ts";

export type ExportState = "pending" | "processing" | "completed" | "failed" | "expired";

export interface ExportRecord {
  readonly id: Id;
  readonly project: string;
  /** JSON of the dialect that made it. */
  readonly spec: string;
  readonly state: ExportState;
  readonly rowCount: number | null;
  readonly sizeBytes: number | null;
  readonly error: string | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly completedAt: number | null;
  readonly expiresAt: number | null;
}

export interface ExportVerbs {
  /** Inserts, or overwrites the one of that id. A state without a file takes the parts away. */
  putExport(record: ExportRecord): Promise<void>;
  addExportPart(part: { readonly id: Id; readonly number: number; readonly text: string }): Promise<void>;
  removeExport(id: Id): Promise<boolean>;
  exportById(id: Id): Promise<ExportRecord | null>;
  /** Newest first, at most 1,000; of all projects when null. */
  exportsOf(project: string | null): Promise<readonly ExportRecord[]>;
  exportPart(id: Id, number: number): Promise<string | null>;
}
