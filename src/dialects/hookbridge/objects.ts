/**
 * What this dialect keeps with its objects beyond what the engine knows: with endpoints and sources as their
 * `extra`, with messages as their `spec`. JSON in the store, typed here, and read by nobody else.
 */
import type { Endpoint } from "../../domain/endpoint.ts";
import type { HookbridgeSettings } from "../../domain/project-settings.ts";
import type { Secret } from "../../domain/signature/index.ts";
import type { Source } from "../../domain/source.ts";

/** The name of this door. */
export const DOOR = "hookbridge";

export interface SigningKey {
  /** With its prefix. */
  readonly id: string;
  /** The last four characters of the secret. */
  readonly hint: string;
  readonly createdAt: number;
}

export interface EndpointExtra {
  /** What the API calls it: an endpoint of its own, or the target of an inbound endpoint. */
  readonly kind: "outbound" | "inbound";
  readonly description: string | null;
  readonly rateLimitRps: number;
  readonly burst: number;
  /** The signature can be switched off; the keys stay. */
  readonly isSigned: boolean;
  readonly signingTime: HookbridgeSettings["signingTime"];
  /** Of the target of an inbound endpoint: the source that leads to it. */
  readonly sourceId?: string;
  /** In the order of the secrets: the newest first. */
  readonly keys: readonly SigningKey[];
}

const EMPTY: EndpointExtra = {
  kind: "outbound",
  description: null,
  rateLimitRps: 0,
  burst: 0,
  isSigned: true,
  signingTime: "accepted",
  keys: [],
};

/** Definitions are replaced, never changed, so what was read once holds as long as the object. */
const extras = new WeakMap<Endpoint, EndpointExtra>();

export function readExtra(endpoint: Endpoint): EndpointExtra {
  const known = extras.get(endpoint);
  if (known) return known;
  const extra: EndpointExtra = endpoint.extra === undefined ? EMPTY : JSON.parse(endpoint.extra);
  extras.set(endpoint, extra);
  return extra;
}

/** What takes requests in: an inbound endpoint that forwards or feeds the CLI, or a pull endpoint. */
export interface SourceExtra {
  readonly mode: "forward" | "cli" | "pull";
  readonly name: string;
  readonly description: string | null;
  readonly isActive: boolean;
  /** Of an inbound endpoint that forwards: its target. */
  readonly endpointId: string | null;
  readonly idempotencyHeaders: readonly string[];
  readonly timestampTtlSeconds: number | null;
  /** Of a pull endpoint. */
  readonly retentionDays: number | null;
  readonly eventTypeSource: "body" | "header" | null;
  readonly eventTypePath: string | null;
}

const sourceExtras = new WeakMap<Source, SourceExtra>();

export function readSourceExtra(source: Source): SourceExtra {
  const known = sourceExtras.get(source);
  if (known) return known;
  const extra = JSON.parse(source.extra ?? "{}") as SourceExtra;
  sourceExtras.set(source, extra);
  return extra;
}

/** The secrets behind the keys, in the same order. */
export function secretsOf({ sign }: Pick<Endpoint, "sign">): readonly Secret[] {
  return sign.flatMap((spec) => (spec.scheme === "hookbridge" ? spec.secrets : []));
}

/** What is known of a sent message beside its delivery. */
export interface MessageSpec {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly acceptedAt: number;
  readonly key?: string;
  readonly retentionHours?: number;
}

export function readSpec(spec: string): MessageSpec {
  return JSON.parse(spec) as MessageSpec;
}
