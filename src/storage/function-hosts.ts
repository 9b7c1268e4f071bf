/** The applications whose functions we call; one per project. */
import type { Database } from "bun:sqlite";
import type { FunctionHost } from "../domain/function.ts";
import { idBytes, idText } from "./ids.ts";
import type { Sealing } from "./sealing.ts";

interface HostRecord {
  project: string;
  id: Uint8Array;
  title: string;
  domain: string | null;
  endpoint_url: string | null;
  sealed: Uint8Array;
  created_at: number;
  updated_at: number;
}

interface Secrets {
  readonly secret: string;
}

export function createFunctionHostWrites(db: Database, sealing: Sealing) {
  const put = db.query(
    `INSERT INTO function_host (project, id, title, domain, endpoint_url, sealed, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (project) DO UPDATE SET title = excluded.title, domain = excluded.domain,
       endpoint_url = excluded.endpoint_url, sealed = excluded.sealed, updated_at = excluded.updated_at`,
  );
  const remove = db.query("DELETE FROM function_host WHERE project = ?");
  return {
    putFunctionHost: (host: FunctionHost): FunctionHost => {
      const { project, id, title, domain, endpointUrl, secret, createdAt, updatedAt } = host;
      const sealed = sealing.seal(`function_host:${project}`, { secret } satisfies Secrets);
      put.run(project, idBytes(id), title, domain, endpointUrl, sealed, createdAt, updatedAt);
      return host;
    },
    removeFunctionHost: (project: string): boolean => remove.run(project).changes > 0,
  };
}

export function loadFunctionHosts(db: Database, sealing: Sealing): FunctionHost[] {
  const rows = db.query<HostRecord, []>("SELECT * FROM function_host ORDER BY project").all();
  return rows.map((row) => ({
    ...(sealing.open(`function_host:${row.project}`, row.sealed) as Secrets),
    id: idText(row.id),
    project: row.project,
    title: row.title,
    domain: row.domain,
    endpointUrl: row.endpoint_url,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
}
