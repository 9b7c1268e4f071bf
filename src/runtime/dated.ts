/**
 * Deliveries that a caller plans for an instant and may take back: created against an allowance if there is
 * one, and removed whatever their state. Listing them is for the store (domain/dated.ts).
 */
import type { Charge, Removal } from "../domain/dated.ts";
import type { NewDelivery, NewPayload } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { PrepareOutgoing } from "./outgoing.ts";

export interface DatedStore {
  createDelivery(delivery: NewDelivery & { readonly payload: NewPayload }, now: number): Promise<number>;
  createCharged(charged: {
    readonly delivery: NewDelivery;
    readonly charge: Charge;
    readonly now: number;
  }): Promise<{ readonly seq: number | null; readonly used: number }>;
  removeDelivery(removal: Removal): Promise<boolean>;
}

export interface DatedOptions {
  readonly store: DatedStore;
  readonly prepare: PrepareOutgoing;
  /** False when the disk budget is used up. */
  readonly hasRoom: () => boolean;
  /** A delivery has ended. */
  readonly onFinished: () => void;
}

export interface DatedDraft {
  readonly payload: NewPayload;
  readonly spec: string;
  /** What it is planned for; in the past it is due at once. */
  readonly scheduledAt: number;
  readonly now: number;
  readonly charge: Charge | null;
}

/** `used` counts this one, and is null without a charge. */
export type DatedResult =
  | { readonly kind: "created"; readonly id: Id; readonly used: number | null }
  | { readonly kind: "refused"; readonly used: number };

export class Dated {
  readonly #options: DatedOptions;

  constructor(options: DatedOptions) {
    this.#options = options;
  }

  /** Resolves after the commit. AppError: overloaded, storage_unavailable, shutting_down. */
  async create(endpoint: Endpoint, draft: DatedDraft): Promise<DatedResult> {
    const { prepare, hasRoom } = this.#options;
    if (!hasRoom()) throw new AppError("overloaded", "the disk budget is used up");
    const { payload, spec, scheduledAt, now, charge } = draft;
    const dueAt = Math.max(scheduledAt, now);
    const outgoing = prepare(endpoint, { payload, spec, dueAt, scheduledAt, createdAt: now });
    let stored: { readonly seq: number | null; readonly used: number | null } | null = null;
    try {
      stored = await this.#store(outgoing.delivery, charge, now);
    } finally {
      if (stored === null || stored.seq === null) outgoing.abandon();
    }
    if (stored.seq === null) return { kind: "refused", used: stored.used ?? 0 };
    outgoing.start(stored.seq);
    return { kind: "created", id: outgoing.delivery.id, used: stored.used };
  }

  /** False when there is none such, or it is in none of the asked states. */
  async remove(removal: Removal): Promise<boolean> {
    const isRemoved = await this.#options.store.removeDelivery(removal);
    if (isRemoved) this.#options.onFinished();
    return isRemoved;
  }

  async #store(delivery: NewDelivery & { readonly payload: NewPayload }, charge: Charge | null, now: number) {
    const { store } = this.#options;
    if (charge !== null) return store.createCharged({ delivery, charge, now });
    return { seq: await store.createDelivery(delivery, now), used: null };
  }
}
