/** Projects and their API keys. A key is known by its SHA-256 only. */
import type { Database } from "bun:sqlite";
import type { ApiKey, KeyScope, Project } from "../domain/access.ts";
import type { Id } from "../domain/id.ts";
import type { ApiKeyDefinition, ProjectDefinition } from "./contract.ts";
import { idBytes, idText } from "./ids.ts";

interface ProjectRecord {
  seq: number;
  name: string;
  door: string;
  created_at: number;
  retired_at: number | null;
}

interface ApiKeyRecord {
  id: Uint8Array;
  project: string;
  hash: Uint8Array;
  label: string | null;
  hint: string | null;
  scope: KeyScope;
  door: string;
  created_at: number;
  deleted_at: number | null;
}

export function createKeyWrites(db: Database) {
  const putProjectRow = db.query<ProjectRecord, [string, string, number]>(
    `INSERT INTO project (name, door, created_at) VALUES (?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET door = excluded.door, retired_at = NULL RETURNING *`,
  );
  const retireProjectRow = db.query<ProjectRecord, [number, string]>(
    "UPDATE project SET retired_at = coalesce(retired_at, ?) WHERE name = ? RETURNING *",
  );
  const putKeyRow = db.query<ApiKeyRecord, (Uint8Array | string | number | null)[]>(
    `INSERT INTO api_key (id, project, hash, label, scope, door, hint, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (hash) DO UPDATE SET project = excluded.project, label = excluded.label,
       scope = excluded.scope,
       door = excluded.door, deleted_at = NULL
     RETURNING *`,
  );
  const retireKeyRow = db.query<ApiKeyRecord, [number, Uint8Array]>(
    "UPDATE api_key SET deleted_at = coalesce(deleted_at, ?) WHERE id = ? RETURNING *",
  );

  function retireProject(name: string, now: number): Project | null {
    const row = retireProjectRow.get(now, name);
    return row ? readProject(row) : null;
  }

  function putApiKey(definition: ApiKeyDefinition, now: number): ApiKey {
    const { id, project, label, scope, door, hint = null } = definition;
    const hash = Buffer.from(definition.hash, "hex");
    const row = putKeyRow.get(idBytes(id), project, hash, label, scope, door, hint, now);
    return readApiKey(row as ApiKeyRecord);
  }

  function retireApiKey(id: Id, now: number): ApiKey | null {
    const row = retireKeyRow.get(now, idBytes(id));
    return row ? readApiKey(row) : null;
  }

  return {
    putProject: ({ name, door }: ProjectDefinition, now: number): Project =>
      readProject(putProjectRow.get(name, door, now) as ProjectRecord),
    retireProject,
    putApiKey,
    retireApiKey,
  };
}

export function loadProjects(db: Database): Project[] {
  return db.query<ProjectRecord, []>("SELECT * FROM project ORDER BY seq").all().map(readProject);
}

export function loadApiKeys(db: Database): ApiKey[] {
  return db.query<ApiKeyRecord, []>("SELECT * FROM api_key ORDER BY seq").all().map(readApiKey);
}

function readProject(row: ProjectRecord): Project {
  return {
    seq: row.seq,
    name: row.name,
    door: row.door,
    createdAt: row.created_at,
    retiredAt: row.retired_at,
  };
}

function readApiKey(row: ApiKeyRecord): ApiKey {
  return {
    id: idText(row.id),
    project: row.project,
    hash: Buffer.from(row.hash).toString("hex"),
    label: row.label,
    ...(row.hint === null ? {} : { hint: row.hint }),
    scope: row.scope,
    door: row.door,
    createdAt: row.created_at,
    deletedAt: row.deleted_at,
  };
}
