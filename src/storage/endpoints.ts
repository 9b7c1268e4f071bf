/**
 * Endpoints in the file: `spec` is the definition without secrets, `sealed` the signing keys and the fixed
 * headers, whose values are often credentials of the receiver; the client certificate; the proxy, whose URL
 * may hold a password.
 */
import type { Database } from "bun:sqlite";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { EndpointDefinition } from "./contract.ts";
import { isConstraint } from "./database.ts";
import { idBytes, idText } from "./ids.ts";
import type { Sealing } from "./sealing.ts";

interface EndpointRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  name: string;
  door: string;
  url: string;
  spec: string;
  sealed: Uint8Array;
  paused_at: number | null;
  disabled_at: number | null;
  disabled_reason: string | null;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

type Spec = Omit<EndpointDefinition, "id" | "project" | "name" | "door" | "url" | keyof Secrets>;
type Secrets = Pick<Endpoint, "sign" | "headers" | "tls" | "proxy">;

export function createEndpointWrites(db: Database, sealing: Sealing) {
  const put = db.query<EndpointRecord, (string | number | Uint8Array)[]>(
    `INSERT INTO endpoint (id, project, name, door, url, spec, sealed, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET project = excluded.project, name = excluded.name, door = excluded.door,
       url = excluded.url, spec = excluded.spec, sealed = excluded.sealed, updated_at = excluded.updated_at,
       deleted_at = NULL
     RETURNING *`,
  );
  const pause = db.query<EndpointRecord, [number | null, Uint8Array]>(
    "UPDATE endpoint SET paused_at = ? WHERE id = ? RETURNING *",
  );
  const disable = db.query<EndpointRecord, [number | null, string | null, Uint8Array]>(
    "UPDATE endpoint SET disabled_at = ?, disabled_reason = ? WHERE id = ? RETURNING *",
  );
  const retire = db.query<EndpointRecord, [number, Uint8Array]>(
    "UPDATE endpoint SET deleted_at = coalesce(deleted_at, ?) WHERE id = ? RETURNING *",
  );
  const toEndpoint = (record: EndpointRecord | null) => (record ? readEndpoint(record, sealing) : null);

  function putEndpoint(definition: EndpointDefinition, now: number): Endpoint {
    const { id, project, name, door, url, sign, headers, tls, proxy, ...spec } = definition;
    const secrets: Secrets = {
      sign,
      headers,
      ...(tls === undefined ? {} : { tls }),
      ...(proxy === undefined ? {} : { proxy }),
    };
    const sealed = sealing.seal(`endpoint:${id}`, secrets);
    try {
      const row = put.get(idBytes(id), project, name, door, url, JSON.stringify(spec), sealed, now, now);
      return readEndpoint(row as EndpointRecord, sealing);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw new AppError("conflict", `the project ${project} has another endpoint named ${name}`, {
        cause: error,
      });
    }
  }

  return {
    putEndpoint,
    setEndpointPaused: (id: Id, pausedAt: number | null) => toEndpoint(pause.get(pausedAt, idBytes(id))),
    setEndpointDisabled: (id: Id, disabled: { at: number; reason: string } | null) =>
      toEndpoint(disable.get(disabled?.at ?? null, disabled?.reason ?? null, idBytes(id))),
    retireEndpoint: (id: Id, now: number) => toEndpoint(retire.get(now, idBytes(id))),
  };
}

export function loadEndpoints(db: Database, sealing: Sealing): Endpoint[] {
  const rows = db.query<EndpointRecord, []>("SELECT * FROM endpoint ORDER BY seq").all();
  return rows.map((row) => readEndpoint(row, sealing));
}

function readEndpoint(record: EndpointRecord, sealing: Sealing): Endpoint {
  const id = idText(record.id);
  return {
    ...(JSON.parse(record.spec) as Spec),
    ...(sealing.open(`endpoint:${id}`, record.sealed) as Secrets),
    lane: record.seq,
    id,
    project: record.project,
    name: record.name,
    door: record.door,
    url: record.url,
    pausedAt: record.paused_at,
    disabledAt: record.disabled_at,
    disabledReason: record.disabled_reason,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    deletedAt: record.deleted_at,
  };
}
