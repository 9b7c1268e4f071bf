/** Allowances: how much a project has used of something in the present period, counted with what uses it. */
import type { Database } from "bun:sqlite";
import type { Charge } from "../domain/dated.ts";
import type { NewDelivery } from "../domain/delivery.ts";
import type { DeliveryInserter } from "./deliveries.ts";

export interface ChargedDelivery {
  readonly delivery: NewDelivery;
  readonly charge: Charge;
  readonly now: number;
}

/** `seq` is null when the allowance was used up; then nothing was written. */
export interface ChargeResult {
  readonly seq: number | null;
  readonly used: number;
}

export function createAllowances(db: Database, insertDelivery: DeliveryInserter) {
  const read = db.query<{ used: number }, [string, string, number]>(
    "SELECT used FROM allowance WHERE project = ? AND name = ? AND period_at = ?",
  );
  const count = db.query(
    `INSERT INTO allowance (project, name, period_at, used) VALUES (?, ?, ?, 1)
     ON CONFLICT (project, name) DO UPDATE SET
       used = CASE WHEN period_at = excluded.period_at THEN used + 1 ELSE 1 END,
       period_at = excluded.period_at`,
  );
  return ({ delivery, charge, now }: ChargedDelivery): ChargeResult => {
    const { name, periodAt, usedMax } = charge;
    const used = read.get(delivery.project, name, periodAt)?.used ?? 0;
    if (used >= usedMax) return { seq: null, used };
    const seq = insertDelivery(delivery, { eventSeq: null, payloadSeq: null, createdAt: now });
    count.run(delivery.project, name, periodAt);
    return { seq, used: used + 1 };
  };
}
