/** Sources in the file: `spec` is the definition without secrets, `sealed` the rules that hold any. */
import type { Database } from "bun:sqlite";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { Source } from "../domain/source.ts";
import type { SourceDefinition } from "./contract.ts";
import { isConstraint } from "./database.ts";
import { idBytes, idText } from "./ids.ts";
import type { Sealing } from "./sealing.ts";

interface SourceRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  name: string;
  door: string;
  spec: string;
  sealed: Uint8Array;
  paused_at: number | null;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

type Spec = Omit<SourceDefinition, "id" | "project" | "name" | "door" | keyof Secrets>;
type Secrets = Pick<Source, "verify" | "challenge" | "secret">;

export function createSourceWrites(db: Database, sealing: Sealing) {
  const put = db.query<SourceRecord, (string | number | Uint8Array)[]>(
    `INSERT INTO source (id, project, name, door, spec, sealed, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET project = excluded.project, name = excluded.name, door = excluded.door,
       spec = excluded.spec, sealed = excluded.sealed, updated_at = excluded.updated_at, deleted_at = NULL
     RETURNING *`,
  );
  const pause = db.query<SourceRecord, [number | null, Uint8Array]>(
    "UPDATE source SET paused_at = ? WHERE id = ? RETURNING *",
  );
  const retire = db.query<SourceRecord, [number, Uint8Array]>(
    "UPDATE source SET deleted_at = coalesce(deleted_at, ?) WHERE id = ? RETURNING *",
  );
  const toSource = (record: SourceRecord | null) => (record ? readSource(record, sealing) : null);

  function putSource(definition: SourceDefinition, now: number): Source {
    const { id, project, name, door, verify, challenge, secret, ...spec } = definition;
    const secrets: Secrets = { verify, challenge, ...(secret === undefined ? {} : { secret }) };
    const sealed = sealing.seal(`source:${id}`, secrets);
    try {
      const row = put.get(idBytes(id), project, name, door, JSON.stringify(spec), sealed, now, now);
      return readSource(row as SourceRecord, sealing);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw new AppError("conflict", `there is another source named ${name}`, { cause: error });
    }
  }

  return {
    putSource,
    setSourcePaused: (id: Id, pausedAt: number | null) => toSource(pause.get(pausedAt, idBytes(id))),
    retireSource: (id: Id, now: number) => toSource(retire.get(now, idBytes(id))),
  };
}

export function loadSources(db: Database, sealing: Sealing): Source[] {
  const rows = db.query<SourceRecord, []>("SELECT * FROM source ORDER BY seq").all();
  return rows.map((row) => readSource(row, sealing));
}

function readSource(record: SourceRecord, sealing: Sealing): Source {
  const id = idText(record.id);
  return {
    ...(JSON.parse(record.spec) as Spec),
    ...(sealing.open(`source:${id}`, record.sealed) as Secrets),
    seq: record.seq,
    id,
    project: record.project,
    name: record.name,
    door: record.door,
    pausedAt: record.paused_at,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    deletedAt: record.deleted_at,
  };
}
