/**
 * Telling somebody how a delivery ended. The note is a delivery of its own, signed and retried like any
 * other, to an endpoint that the delivery or its endpoint names; it commits with the end that it tells of.
 * Nobody is told how a note ended.
 */
import type { DeliveryState, NewPayload } from "./delivery.ts";
import type { Endpoint } from "./endpoint.ts";
import { showId } from "./id.ts";
import type { DeliveryFacts } from "./strategy.ts";

/** Members that a delivery's `spec` may have for this, whoever else writes into it. */
interface NotingSpec {
  /** The name of the endpoint that is told, in place of what the delivery's own endpoint says. */
  readonly resultTo?: string;
  /** The delivery whose end this one tells of. */
  readonly resultOf?: string;
}

/** The ends that are told; a discarded delivery has ended before. */
const TOLD: ReadonlySet<DeliveryState> = new Set(["succeeded", "dead", "cancelled"]);

/** Returns the name of the endpoint that is to be told of this end; null: nobody. */
export function resultTarget(
  facts: DeliveryFacts,
  endpoint: Pick<Endpoint, "resultTo">,
  to: DeliveryState,
): string | null {
  if (!TOLD.has(to)) return null;
  const { resultTo, resultOf } = notingSpec(facts.spec);
  return resultOf === undefined ? (resultTo ?? endpoint.resultTo ?? null) : null;
}

/** Most deliveries have no spec, or one without a word of this. */
function notingSpec(spec: string | null): NotingSpec {
  if (spec === null || !spec.includes('"result')) return {};
  const { resultTo, resultOf } = JSON.parse(spec) as Readonly<Record<string, unknown>>;
  return {
    ...(typeof resultTo === "string" ? { resultTo } : {}),
    ...(typeof resultOf === "string" ? { resultOf } : {}),
  };
}

export interface Ended {
  readonly facts: DeliveryFacts;
  readonly endpoint: Pick<Endpoint, "name" | "resultTo">;
  readonly to: DeliveryState;
  readonly at: number;
  readonly attemptCount: number;
  readonly status: number | null;
  readonly error: string | null;
}

export function resultNote(ended: Ended): { readonly payload: NewPayload; readonly spec: string } {
  const { facts, endpoint, to, at, attemptCount, status, error } = ended;
  const deliveryId = showId("delivery", facts.id);
  const note = {
    type: `delivery.${to}`,
    deliveryId,
    eventId: facts.eventId === null ? null : showId("event", facts.eventId),
    endpoint: endpoint.name,
    attempts: attemptCount,
    status,
    error,
    createdAt: new Date(facts.createdAt).toISOString(),
    finishedAt: new Date(at).toISOString(),
  };
  return {
    payload: {
      headers: '{"content-type":"application/json"}',
      body: Buffer.from(JSON.stringify(note)),
    },
    spec: JSON.stringify({ resultOf: deliveryId } satisfies NotingSpec),
  };
}

/** The spec of a native delivery whose end somebody is to be told. */
export function specWithResult(resultTo: string): string {
  return JSON.stringify({ resultTo } satisfies NotingSpec);
}
