/**
 * The one way in: an event and the deliveries it fans out to become durable together, and what could get a
 * slot is sent the moment the commit is done. Slots are reserved before the insert, so the row is written as
 * leased and the bytes that just came in are the bytes that go out, without being read back.
 */

import { DUE_IN_ORDER, DUE_ON_RESUME, type NewDelivery, pullLane } from "../domain/delivery.ts";
import { MINUTE } from "../domain/duration.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Accepted, NewEvent } from "../domain/event.ts";
import type { Id } from "../domain/id.ts";
import { lineOf } from "../domain/pacing.ts";
import type { Source } from "../domain/source.ts";
import type { Payload } from "../domain/strategy.ts";
import type { Place, Reservation } from "./lane.ts";
import type { AcceptStore, Claimed } from "./ports.ts";

export interface IntakeOptions {
  readonly store: AcceptStore;
  /** The number of this process, which reserved deliveries are leased to. */
  readonly lease: number;
  readonly nextId: () => Id;
  /** False when the disk budget is used up. */
  readonly hasRoom: () => boolean;
  readonly reserve: (endpoint: Endpoint, dueAt: number, bytes: number) => Reservation;
  readonly begin: (claimed: Claimed, place: Place) => void;
  readonly abandon: (place: Place) => void;
  readonly onDue: (lane: number, dueAt: number) => void;
}

export type EventDraft = Omit<NewEvent, "id" | "headers" | "deliveries"> & {
  readonly payload: Payload;
  /** Names the line that its deliveries stand in, at endpoints that keep one per key. Never empty. */
  readonly orderingKey?: string | null;
};

interface Draft {
  readonly dueAt: number;
  readonly bytes: number;
  readonly orderingKey: string | null;
}

/** Of deliveries that are never sent: it has no strategies. */
const PULL_PROFILE = "pull";

/** Retention makes room once a minute. */
const FULL_RETRY_MS = MINUTE;

/** What becomes of an accepted event: sent, held until its source resumes, or kept for whoever fetches it. */
export type Routing =
  | { readonly kind: "send" | "hold"; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: "pull"; readonly source: Source }
  | { readonly kind: "prepared"; readonly deliveries: readonly PreparedDelivery[] };

/** A delivery whose maker has an id and a spec for it already. */
export interface PreparedDelivery {
  readonly id: Id;
  readonly endpoint: Endpoint;
  readonly spec: string;
}

/** As the store says it, with the deliveries that were made. */
export type Taken =
  | (Extract<Accepted, { isDuplicate: false }> & { readonly deliveries: readonly NewDelivery[] })
  | Extract<Accepted, { isDuplicate: true }>;

interface Planned {
  /** Null in pull mode. */
  readonly endpoint: Endpoint | null;
  readonly delivery: NewDelivery;
  readonly place: Place | null;
}

export class Intake {
  readonly #options: IntakeOptions;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /**
   * Resolves after the commit. Rejects with an AppError (overloaded, storage_unavailable, ...), nothing
   * stored.
   */
  async accept(draft: EventDraft, routing: Routing): Promise<Taken> {
    const { store, nextId, hasRoom } = this.#options;
    if (!hasRoom())
      throw new AppError("overloaded", "the disk budget is used up", { retryAfterMs: FULL_RETRY_MS });
    const { payload, orderingKey: _orderingKey, ...fields } = draft;
    const id = nextId();
    const dueAt = draft.admission?.at ?? draft.receivedAt;
    const planned = this.#planAll(routing, {
      dueAt,
      bytes: draft.body.byteLength,
      orderingKey: draft.orderingKey ?? null,
    });
    const deliveries = planned.map((plan) => plan.delivery);
    let accepted: Accepted;
    try {
      accepted = await store.accept({ ...fields, id, headers: JSON.stringify(payload.headers), deliveries });
    } catch (error) {
      this.#abandonAll(planned);
      throw error;
    }
    if (accepted.isDuplicate) {
      this.#abandonAll(planned);
      return accepted;
    }
    this.#startAll(planned, accepted.seqs, { eventId: id, payload });
    return { ...accepted, deliveries };
  }

  #planAll(routing: Routing, draft: Draft): Planned[] {
    const { dueAt, orderingKey } = draft;
    switch (routing.kind) {
      case "send":
        return routing.endpoints.map((endpoint) => this.#plan(endpoint, draft));
      case "hold":
        return routing.endpoints.map((endpoint) => ({
          endpoint,
          delivery: this.#delivery(endpoint, {
            state: "held",
            dueAt: DUE_ON_RESUME,
            line: lineOf(endpoint.pacing, orderingKey),
          }),
          place: null,
        }));
      case "prepared":
        return routing.deliveries.map(({ endpoint, id, spec }) => {
          const plan = this.#plan(endpoint, draft);
          return { ...plan, delivery: { ...plan.delivery, id, spec } };
        });
      case "pull": {
        const { project, id, seq, profile = PULL_PROFILE } = routing.source;
        const target = { project, id, lane: pullLane(seq), profile };
        return [
          { endpoint: null, delivery: this.#delivery(target, { state: "stored", dueAt }), place: null },
        ];
      }
      default:
        return routing satisfies never;
    }
  }

  #plan(endpoint: Endpoint, { dueAt, bytes, orderingKey }: Draft): Planned {
    const line = lineOf(endpoint.pacing, orderingKey);
    // What stands in a line never gets a place ahead of its insert: only the store knows whose turn it is.
    const reservation = this.#options.reserve(endpoint, line === undefined ? dueAt : DUE_IN_ORDER, bytes);
    return {
      endpoint,
      delivery: this.#delivery(endpoint, { state: reservation.state, dueAt, line }),
      place: reservation.state === "sending" ? reservation.place : null,
    };
  }

  #delivery(
    { project, lane, id, profile }: Pick<Endpoint, "project" | "lane" | "id" | "profile">,
    { state, dueAt, line }: Pick<NewDelivery, "state" | "dueAt"> & { line?: string | undefined },
  ): NewDelivery {
    return {
      id: this.#options.nextId(),
      project,
      lane,
      endpointId: id,
      profile,
      state,
      dueAt,
      spec: null,
      payload: null,
      ...(line === undefined ? {} : { line }),
    };
  }

  #startAll(
    planned: readonly Planned[],
    seqs: readonly number[],
    event: { readonly eventId: Id; readonly payload: Payload },
  ): void {
    for (const [index, { endpoint, delivery, place }] of planned.entries()) {
      if (place === null) {
        if (endpoint !== null) this.#options.onDue(endpoint.lane, delivery.dueAt);
        continue;
      }
      const { id, project, lane, dueAt, profile, spec } = delivery;
      const claimed: Claimed = {
        position: {
          seq: seqs[index] as number,
          lane,
          state: "sending",
          dueAt,
          lease: this.#options.lease,
          attemptCount: 0,
          budgetStart: 0,
          policyState: null,
        },
        profile,
        facts: { id, eventId: event.eventId, project, createdAt: dueAt, scheduledAt: dueAt, spec },
        payload: event.payload,
      };
      this.#options.begin(claimed, place);
    }
  }

  #abandonAll(planned: readonly Planned[]): void {
    for (const { place } of planned) if (place !== null) this.#options.abandon(place);
  }
}
