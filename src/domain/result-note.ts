/**
 * Telling somebody how a delivery ended. The note is a delivery of its own, signed and retried like any
 * other, to an endpoint or a URL that the delivery or its endpoint names; it commits with the end that it
 * tells of. Nobody is told how a note ended.
 *
 * A URL has an endpoint of its own, made when it is named (never when a delivery ends, which must not fail):
 * one per URL and owner, signed with the owner's keys. What a delivery names and what its endpoint names are
 * told apart, because the one comes from an API and the other may stand in the file.
 */
import type { DeliveryState, NewPayload } from "./delivery.ts";
import type { Endpoint } from "./endpoint.ts";
import { showId } from "./id.ts";
import { NATIVE_PROFILE } from "./native-profile.ts";
import { STANDARD_RETRY } from "./policy.ts";
import { DEFAULT_BREAKER } from "./pressure.ts";
import type { DeliveryFacts } from "./strategy.ts";

/** Members that a delivery's `spec` may have for this, whoever else writes into it. */
interface NotingSpec {
  /** The endpoint or URL that is told, in place of what the delivery's own endpoint says. */
  readonly resultTo?: string;
  /** The delivery whose end this one tells of. */
  readonly resultOf?: string;
}

/** The ends that are told; a discarded delivery has ended before. */
const TOLD: ReadonlySet<DeliveryState> = new Set(["succeeded", "dead", "cancelled"]);

/** The door of endpoints that an API had made by naming a URL. */
export const RESULT_DOOR = "result";

export function isResultUrl(resultTo: string): boolean {
  return /^https?:\/\//i.test(resultTo);
}

/** Whose word a URL is: that of an endpoint, for all its deliveries, or that of one of them. */
export type ResultOwner = Pick<Endpoint, "project" | "name" | "timeoutMs"> & {
  readonly by: "endpoint" | "delivery";
};

function resultEndpointName({ name, by }: Pick<ResultOwner, "name" | "by">, url: string): string {
  const hash = new Bun.CryptoHasher("sha256").update(`${by}\n${name}\n${url}`).digest("hex");
  return `result-${hash.slice(0, 16)}`;
}

/** The endpoint behind a URL, for whoever makes it. */
export function resultEndpoint(owner: ResultOwner, url: string) {
  const { project, name: signAs, timeoutMs } = owner;
  return {
    ...{ project, name: resultEndpointName(owner, url), profile: NATIVE_PROFILE.name, url, headers: {} },
    ...{ sign: [], signAs, retry: STANDARD_RETRY, concurrency: 16, rate: null, timeoutMs },
    breaker: DEFAULT_BREAKER,
  };
}

/** The name of the endpoint that an endpoint has told, be it by its URL. */
export function resultNameOf({ name, resultTo }: Pick<Endpoint, "name" | "resultTo">): string | null {
  if (!resultTo) return null;
  return isResultUrl(resultTo) ? resultEndpointName({ name, by: "endpoint" }, resultTo) : resultTo;
}

export interface ResultTarget {
  /** Of an endpoint of the same project. */
  readonly name: string;
  /** Made for a URL: the note still goes there when it was taken out of service. */
  readonly isOfUrl: boolean;
}

/** Returns who is to be told of this end; null: nobody. */
export function resultTarget(
  facts: DeliveryFacts,
  endpoint: Pick<Endpoint, "name" | "resultTo">,
  to: DeliveryState,
): ResultTarget | null {
  if (!TOLD.has(to)) return null;
  const { resultTo, resultOf } = notingSpec(facts.spec);
  const named = resultTo ?? endpoint.resultTo ?? null;
  if (resultOf !== undefined || named === null) return null;
  if (!isResultUrl(named)) return { name: named, isOfUrl: false };
  const by = resultTo === undefined ? "endpoint" : "delivery";
  return { name: resultEndpointName({ name: endpoint.name, by }, named), isOfUrl: true };
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
