/** The immutable facts of a delivery, as every read that decides or sends needs them. */
import type { DeliveryFacts } from "../domain/strategy.ts";
import { idText } from "./ids.ts";

export interface FactsRow {
  readonly id: Uint8Array;
  readonly event_id: Uint8Array | null;
  readonly project: string;
  readonly created_at: number;
  readonly scheduled_at: number;
  readonly spec: string | null;
}

export function factsOf(row: FactsRow): DeliveryFacts {
  return {
    id: idText(row.id),
    eventId: row.event_id === null ? null : idText(row.event_id),
    project: row.project,
    createdAt: row.created_at,
    scheduledAt: row.scheduled_at,
    spec: row.spec,
  };
}
