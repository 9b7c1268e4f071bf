/** What a lane is made of, and what it speaks with those who fill it and those who take from it. */
import type { Endpoint } from "../domain/endpoint.ts";
import type { Breakers } from "./breakers.ts";
import type { Clock } from "./clock.ts";
import { Pace } from "./pace.ts";
import { newSlotUse, type Slots, type SlotTicket, type SlotUse } from "./slots.ts";

/**
 * Deliveries that a fast lane may lease ahead of its slots: several commits' worth at the fastest rate
 * measured.
 */
export const WINDOW_MAX = 256;
/** Body bytes in all windows together; beyond it lanes work without one. */
export const WINDOW_BYTES_MAX = 64 * 1_048_576;

export interface ClaimRequest {
  readonly lane: number;
  readonly now: number;
  readonly limit: number;
  readonly bytesMax: number;
}

export interface ClaimStore<Claimed> {
  claim(request: ClaimRequest): Promise<{
    readonly claimed: readonly Claimed[];
    readonly nextDueAt: number | null;
  }>;
}

export interface LanesOptions<Claimed> {
  readonly clock: Clock;
  readonly store: ClaimStore<Claimed>;
  readonly slots: Slots;
  readonly breakers: Breakers;
  /** Takes over a leased delivery with its slot; calls release() when the slot is free again. */
  readonly start: (claimed: Claimed, hold: Hold) => void;
  /** Takes over a leased delivery that its lane cannot send now: it goes back to the store. */
  readonly giveBack: (claimed: Claimed) => void;
  /** Body bytes that a leased delivery holds in memory. */
  readonly sizeOf: (claimed: Claimed) => number;
}

/** A slot in a lane, from start to release. */
export interface Hold {
  readonly lane: number;
  readonly ticket: SlotTicket;
}

/** A place in a lane for a delivery whose insert is on its way: with a slot, or in the window (null). */
export interface Place {
  readonly lane: number;
  readonly ticket: SlotTicket | null;
  readonly bytes: number;
}

/** What a producer writes: leased with its place, waiting its turn, or parked. */
export type Reservation =
  | { readonly state: "sending"; readonly place: Place }
  | { readonly state: "queued" | "held" };

export interface Lane<Claimed> {
  endpoint: Endpoint;
  readonly use: SlotUse;
  readonly pace: Pace;
  nextDueAt: number | null;
  isClaiming: boolean;
  /** Leased and waiting for a slot, oldest first. */
  ready: Claimed[];
  /** Places in the window that are promised to inserts on their way. */
  promised: number;
  /** The earliest due time noted while a claim was on its way; its answer may not know of it yet. */
  notedAt: number | null;
}

export interface LaneOverview {
  readonly inFlight: number;
  readonly nextDueAt: number | null;
  readonly averageHoldMs: number | null;
  /** Attempts that may be out at once now; fewer than the endpoint allows after an outage. */
  readonly concurrency: number;
  /** Nothing goes out before: the receiver asked for it. */
  readonly restUntil: number | null;
  readonly isDraining: boolean;
}

export function newLane<Claimed>(endpoint: Endpoint, now: number): Lane<Claimed> {
  return {
    endpoint,
    use: newSlotUse(),
    pace: new Pace(endpoint, now),
    nextDueAt: null,
    isClaiming: false,
    ready: [],
    promised: 0,
    notedAt: null,
  };
}

/** Gives a lane its endpoint's new definition. One that was closed and is no longer begins anew. */
export function redefine<Claimed>(lane: Lane<Claimed>, endpoint: Endpoint, now: number): void {
  const wasClosed = isClosed(lane.endpoint);
  lane.pace.define(endpoint, now);
  lane.endpoint = endpoint;
  if (wasClosed && !isClosed(endpoint)) lane.pace.reopen(now);
}

/** Paused or disabled: by an operator, or by what the target answered. */
export function isClosed(endpoint: Endpoint): boolean {
  return endpoint.pausedAt !== null || endpoint.disabledAt !== null;
}

/** What is shown of a lane; of one that is not known, nothing but zeroes. */
export function overviewOf<Claimed>(lane: Lane<Claimed> | undefined, now: number): LaneOverview {
  return {
    inFlight: lane?.use.inFlight ?? 0,
    nextDueAt: lane?.nextDueAt ?? null,
    averageHoldMs: lane?.use.averageHoldMs ?? null,
    concurrency: lane?.pace.concurrency ?? 0,
    restUntil: lane?.pace.restUntil(now) ?? null,
    isDraining: lane?.pace.isDraining ?? false,
  };
}

export function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
