/** Callback configs and the executions that came of them. What is sent is a delivery of the same number. */
import type { Database } from "bun:sqlite";
import type {
  CallbackConfig,
  CallbackConfigDefinition,
  CallbackSubscription,
  NewCallbackExecution,
} from "../domain/callback.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import { idBytes, idText } from "./ids.ts";
import type { Sealing } from "./sealing.ts";

interface ConfigRecord {
  id: Uint8Array;
  project: string;
  door: string;
  tenant: string;
  spec: string;
  sealed: Uint8Array;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

type Spec = Pick<CallbackConfig, "name" | "isEnabled" | "authorizedDomains" | "attemptsMax" | "backoffMs">;
type Sealed = { readonly secret: string | null; readonly subscriptions: readonly CallbackSubscription[] };

export function createCallbackWrites(db: Database, sealing: Sealing) {
  const put = db.query<ConfigRecord, (string | number | Uint8Array)[]>(
    `INSERT INTO callback_config (id, project, door, tenant, spec, sealed, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET door = excluded.door, tenant = excluded.tenant, spec = excluded.spec,
       sealed = excluded.sealed, updated_at = excluded.updated_at, deleted_at = NULL
       WHERE callback_config.project = excluded.project
     RETURNING *`,
  );
  const retire = db.query<ConfigRecord, [number, Uint8Array]>(
    "UPDATE callback_config SET deleted_at = coalesce(deleted_at, ?) WHERE id = ? RETURNING *",
  );

  function putCallbackConfig(definition: CallbackConfigDefinition, now: number): CallbackConfig {
    const { id, project, door, tenant, secret, subscriptions, ...spec } = definition;
    const sealed = sealing.seal(`callback_config:${id}`, { secret, subscriptions } satisfies Sealed);
    const row = put.get(idBytes(id), project, door, tenant, JSON.stringify(spec), sealed, now, now);
    // Ids are chosen by callers: whoever names a removed one of another project must not become its owner.
    if (row === null) throw new AppError("conflict", "this id is not free");
    return readConfig(row, sealing);
  }

  return {
    putCallbackConfig,
    retireCallbackConfig: (id: Id, now: number) => {
      const row = retire.get(now, idBytes(id));
      return row ? readConfig(row, sealing) : null;
    },
  };
}

/** In the order in which they were made. */
export function loadCallbackConfigs(db: Database, sealing: Sealing): CallbackConfig[] {
  return db
    .query<ConfigRecord, []>("SELECT * FROM callback_config WHERE deleted_at IS NULL ORDER BY seq")
    .all()
    .map((row) => readConfig(row, sealing));
}

function readConfig(record: ConfigRecord, sealing: Sealing): CallbackConfig {
  const id = idText(record.id);
  return {
    ...(JSON.parse(record.spec) as Spec),
    ...(sealing.open(`callback_config:${id}`, record.sealed) as Sealed),
    id,
    project: record.project,
    door: record.door,
    tenant: record.tenant,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    deletedAt: record.deleted_at,
  };
}

/** What all executions of one event share. */
export interface ExecutionOwner {
  readonly eventSeq: number;
  readonly project: string;
  readonly tenant: string;
  readonly type: string;
  readonly createdAt: number;
}

/** Returns what stores an execution, under the number of its delivery or one of its own. */
export function createExecutionInserter(db: Database, nextSeq: () => number) {
  const insert = db.query(
    `INSERT INTO callback_execution (seq, id, project, config_id, event_seq, tenant, event_type, target_url,
       refusal, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return (execution: NewCallbackExecution, deliverySeq: number | null, owner: ExecutionOwner): void => {
    const { id, configId, targetUrl, refusal } = execution;
    const { project, eventSeq, tenant, type, createdAt } = owner;
    insert.run(
      deliverySeq ?? nextSeq(),
      idBytes(id),
      project,
      idBytes(configId),
      eventSeq,
      tenant,
      type,
      targetUrl,
      refusal,
      createdAt,
    );
  };
}
