/**
 * Who wants which events: a subscription sends the events of one tenant, by their type, to one endpoint.
 * Each one that matches an event makes a delivery of its own, also where several lead to the same endpoint.
 */
import type { Door } from "./endpoint.ts";
import type { Id } from "./id.ts";

export interface Subscription {
  /** The subscription's number in the store. */
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  /** Unique in its project. */
  readonly name: string;
  readonly door: Door;
  /** Opaque. The empty one is a tenant like any other: that of events which name none. */
  readonly tenant: string;
  /** Patterns, of which one must match; see matchesType(). */
  readonly eventTypes: readonly string[];
  /** The name of an endpoint of the same project. */
  readonly endpoint: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}

/**
 * Whether an event of this type is meant by a pattern: `*` means every event, one without a type included;
 * `invoice.*` means what begins with `invoice.` and goes on; anything else means exactly itself. Case counts.
 */
export function matchesType(pattern: string, type: string | null): boolean {
  if (pattern === "*") return true;
  if (type === null) return false;
  if (!pattern.endsWith(".*")) return pattern === type;
  const prefix = pattern.slice(0, -1);
  return type.length > prefix.length && type.startsWith(prefix);
}

/** Whether a text is a pattern: a star stands alone, or behind the last dot. */
export function isTypePattern(text: string): boolean {
  return /^(?:\*|[^*]+|[^*]+\.\*)$/.test(text);
}
