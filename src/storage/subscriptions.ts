/** Subscriptions in the file. They hold no secret. */
import type { Database } from "bun:sqlite";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { SubscriptionDefinition } from "./contract.ts";
import { isConstraint } from "./database.ts";
import { idBytes, idText } from "./ids.ts";

interface SubscriptionRecord {
  seq: number;
  id: Uint8Array;
  project: string;
  name: string;
  door: string;
  tenant: string;
  event_types: string;
  endpoint: string;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

export function createSubscriptionWrites(db: Database) {
  const put = db.query<SubscriptionRecord, (string | number | Uint8Array)[]>(
    `INSERT INTO subscription (id, project, name, door, tenant, event_types, endpoint, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET project = excluded.project, name = excluded.name, door = excluded.door,
       tenant = excluded.tenant, event_types = excluded.event_types, endpoint = excluded.endpoint,
       updated_at = excluded.updated_at, deleted_at = NULL
     RETURNING *`,
  );
  const retire = db.query<SubscriptionRecord, [number, Uint8Array]>(
    "UPDATE subscription SET deleted_at = coalesce(deleted_at, ?) WHERE id = ? RETURNING *",
  );

  function putSubscription(definition: SubscriptionDefinition, now: number): Subscription {
    const { id, project, name, door, tenant, eventTypes, endpoint } = definition;
    const patterns = JSON.stringify(eventTypes);
    try {
      const row = put.get(idBytes(id), project, name, door, tenant, patterns, endpoint, now, now);
      return readSubscription(row as SubscriptionRecord);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw new AppError("conflict", `the project ${project} has another subscription named ${name}`, {
        cause: error,
      });
    }
  }

  return {
    putSubscription,
    retireSubscription: (id: Id, now: number) => {
      const record = retire.get(now, idBytes(id));
      return record ? readSubscription(record) : null;
    },
  };
}

export function loadSubscriptions(db: Database): Subscription[] {
  return db
    .query<SubscriptionRecord, []>("SELECT * FROM subscription ORDER BY seq")
    .all()
    .map(readSubscription);
}

function readSubscription(record: SubscriptionRecord): Subscription {
  return {
    seq: record.seq,
    id: idText(record.id),
    project: record.project,
    name: record.name,
    door: record.door,
    tenant: record.tenant,
    eventTypes: JSON.parse(record.event_types) as string[],
    endpoint: record.endpoint,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    deletedAt: record.deleted_at,
  };
}
