/**
 * Where inbound requests come from: how they are verified, deduplicated and typed, and who gets them.
 */
import type { ChallengeSpec } from "./challenge.ts";
import type { Door, RateRule } from "./endpoint.ts";
import type { Filter } from "./filter.ts";
import type { Id } from "./id.ts";
import type { DedupeRule, Selector } from "./selector.ts";
import type { VerifySpec } from "./signature/index.ts";

export { formatSelector } from "./selector.ts";
export type { DedupeRule, Selector };

/** Where a source hands its events. A further kind is a further member of this union. */
export type Target = EndpointTarget | EventsTarget;

export interface EndpointTarget {
  readonly kind: "endpoint";
  /** Of an endpoint of the source's project. */
  readonly name: string;
  /** Which events it gets; null: all. */
  readonly when: Filter | null;
}

/** Every endpoint that a matching subscription of the tenant names; the event then belongs to that tenant. */
export interface EventsTarget {
  readonly kind: "events";
  /** The empty one is that of events which name none. */
  readonly tenant: string;
  /** Which events are handed on; null: all. */
  readonly when: Filter | null;
}

/** The answer to an accepted request. */
export interface Respond {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Null: the receipt. */
  readonly body: string | null;
}

export interface Source {
  /** The source's number in the store. */
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  /** Unique over all projects: the ingest URL names no project. */
  readonly name: string;
  readonly door: Door;
  /** All must pass. */
  readonly verify: readonly VerifySpec[];
  /** The provider's way to see whether it talks to the right place; null: what `verify` implies, or none. */
  readonly challenge: ChallengeSpec | null;
  /** Networks that may send; empty: everyone. */
  readonly allowCidrs: readonly string[];
  /** Requests beyond it are refused; null: no limit. */
  readonly rate: RateRule | null;
  readonly dedupe: DedupeRule | null;
  readonly eventType: Selector | null;
  /** What names the line of an event, at endpoints that keep one per key. Absent: nothing does. */
  readonly orderingKey?: Selector | null;
  /** `pull`: events wait to be fetched and acknowledged, and `to` is empty. */
  readonly mode: "forward" | "pull";
  readonly to: readonly Target[];
  /** What happens to requests while it is paused: refused, or stored with their deliveries held. */
  readonly whilePaused: "refuse" | "accept";
  readonly respond: Respond;
  readonly methods: readonly string[];
  /** Null: the server's own limit. */
  readonly bodyBytesMax: number | null;
  /** In pull mode: what its deliveries are filed under; "pull" when absent. */
  readonly profile?: string;
  /** JSON of the door that made it, and read by none other. */
  readonly extra?: string;
  /** Likewise, but secret: sealed in the store. */
  readonly secret?: string;
  readonly pausedAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}
