/**
 * Where deliveries go, as the engine sees it: the definition plus what an operator or the pressure rule did
 * to it.
 */
import type { AckRule } from "./acknowledgement.ts";
import type { Id } from "./id.ts";
import type { Pacing, RateRule } from "./pacing.ts";
import type { RetryRule } from "./policy.ts";
import type { BreakerRule } from "./pressure.ts";
import type { SignSpec } from "./signature/index.ts";

export type { RateRule };

/** Where an object came from. A dialect's reads show only its own objects; the native API shows all. */
export type Door = "config" | "native" | (string & {});

/** PEM texts. */
export interface ClientTls {
  readonly cert: string;
  readonly key: string;
  /** Trusted in place of the built-in authorities; null: those. */
  readonly ca: string | null;
}

/** What the operator says of a project's egress; null: as [egress] says. */
export interface ProjectEgress {
  readonly allowPrivate: readonly string[] | null;
  readonly timeoutMs: number | null;
  readonly proxy: string | null;
}

export interface Endpoint {
  /** The endpoint's number in the store, which is also the number of its lane. */
  readonly lane: number;
  readonly id: Id;
  readonly project: string;
  readonly name: string;
  readonly door: Door;
  /** Names the strategies of deliveries made for it, and the pressure rule of its lane. */
  readonly profile: string;
  readonly url: string;
  /** Sent on every delivery; cannot override signature, host or framing headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly sign: readonly SignSpec[];
  readonly retry: RetryRule;
  readonly concurrency: number;
  readonly rate: RateRule | null;
  readonly timeoutMs: number;
  readonly breaker: BreakerRule;
  /** Shown to receivers that ask for a client certificate. Null or absent: none. */
  readonly tls?: ClientTls | null;
  /** The HTTP proxy to go through, "" for none. Null or absent: the project's, or the general one. */
  readonly proxy?: string | null;
  /** What may be reached although private, and nothing else private. Null or absent: as its door allows. */
  readonly allowPrivate?: readonly string[] | null;
  /** The endpoint or URL that is told how each of its deliveries ended. Null or absent: none. */
  readonly resultTo?: string | null;
  /** The name of the endpoint whose keys sign, as they are at the time, in place of its own. */
  readonly signAs?: string;
  /** Null or absent: an answer is the whole answer. */
  readonly ack?: AckRule | null;
  /** Made by a dialect on the word of the configuration file, and trusted as what stands in it. */
  readonly isDeclared?: boolean;
  /** Order, and how it is treated after an outage. Absent: the defaults. */
  readonly pacing?: Pacing;
  /** JSON of the door that made it, and read by none other. */
  readonly extra?: string;
  readonly pausedAt: number | null;
  readonly disabledAt: number | null;
  readonly disabledReason: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}

/** Config-declared targets are the operator's own word and may be private; API-made ones need a rule. */
function isTrusted(endpoint: Pick<Endpoint, "door" | "isDeclared">): boolean {
  return endpoint.door === "config" || endpoint.isDeclared === true;
}

/** How an endpoint's requests go out: its own word counts first, then its project's, then the general one. */
interface EgressRules {
  readonly isTrusted: boolean;
  readonly allowPrivate: readonly string[] | null;
  readonly proxy: string | null;
}

/** An endpoint with a list of its own is held to it, also when the operator wrote its URL. */
export function egressFor(
  endpoint: Pick<Endpoint, "door" | "isDeclared" | "allowPrivate" | "proxy">,
  project: ProjectEgress | undefined,
): EgressRules {
  return {
    isTrusted: isTrusted(endpoint) && !endpoint.allowPrivate,
    allowPrivate: endpoint.allowPrivate ?? project?.allowPrivate ?? null,
    proxy: endpoint.proxy ?? project?.proxy ?? null,
  };
}
