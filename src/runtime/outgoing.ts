/**
 * Deliveries that no event made: runs of schedules and one-off timers. Each is prepared with a place in its
 * lane when it is due now, so that the bytes in memory go out once the insert has committed.
 */
import type { NewDelivery, NewPayload } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Id } from "../domain/id.ts";
import type { Clock } from "./clock.ts";
import type { Place, Reservation } from "./lane.ts";
import type { Claimed } from "./ports.ts";

export interface OutgoingOptions {
  readonly clock: Clock;
  /** The number of this process, which reserved deliveries are leased to. */
  readonly lease: number;
  readonly nextId: () => Id;
  readonly reserve: (endpoint: Endpoint, dueAt: number, bytes: number) => Reservation;
  readonly begin: (claimed: Claimed, place: Place) => void;
  readonly abandon: (place: Place) => void;
  readonly onDue: (lane: number, dueAt: number) => void;
}

export interface OutgoingDraft {
  readonly payload: NewPayload;
  /** JSON of the dialect that makes it. */
  readonly spec?: string | null;
  readonly dueAt: number;
  /** What it is planned for, when that is not when it is due. */
  readonly scheduledAt?: number;
  /** The caller's reading of the clock; now when absent. */
  readonly createdAt?: number;
  /** The number of the delivery that it is made for. */
  readonly parentSeq?: number;
}

/** Must end in start() once it is stored, or in abandon(). */
export interface Outgoing {
  readonly delivery: NewDelivery & { readonly payload: NewPayload };
  start(seq: number): void;
  abandon(): void;
}

export type PrepareOutgoing = (endpoint: Endpoint, draft: OutgoingDraft) => Outgoing;

export function createOutgoing(options: OutgoingOptions): PrepareOutgoing {
  const { clock, lease, nextId, reserve, begin, abandon, onDue } = options;
  return (endpoint, draft) => {
    const { payload, dueAt, spec = null, parentSeq } = draft;
    const { scheduledAt = dueAt, createdAt = clock.now() } = draft;
    const reservation = reserve(endpoint, dueAt, payload.body.byteLength);
    const place = reservation.state === "sending" ? reservation.place : null;
    const { project, lane, id: endpointId, profile } = endpoint;
    const { state } = reservation;
    const delivery = {
      ...{ id: nextId(), project, lane, endpointId, profile, state },
      ...{ dueAt, scheduledAt, spec, payload },
      ...(parentSeq === undefined ? {} : { parentSeq }),
    };
    const start = (seq: number) => {
      if (place === null) return onDue(lane, dueAt);
      const claimed: Claimed = {
        position: {
          ...{ seq, lane, state: "sending", dueAt, lease },
          ...{ attemptCount: 0, budgetStart: 0, policyState: null },
        },
        profile,
        facts: { id: delivery.id, eventId: null, project, createdAt, scheduledAt, spec },
        payload: { headers: JSON.parse(payload.headers) as Record<string, string>, body: payload.body },
      };
      begin(claimed, place);
    };
    return {
      delivery,
      start,
      abandon: () => {
        if (place !== null) abandon(place);
      },
    };
  };
}
