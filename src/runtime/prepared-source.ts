/**
 * A source made ready for requests: everything that can be worked out once, so that a request only pays for
 * what it asks. Made again when the definition changes; how much of a rate is used up outlives that.
 */
import { type Challenge, impliedChallenge, prepareChallenge } from "../domain/challenge.ts";
import { compileFilter, type EventTest } from "../domain/filter.ts";
import { type NetworkMatcher, parseCidrs } from "../domain/network.ts";
import { prepareVerifyAll, type Verifier, type VerifySpec } from "../domain/signature/index.ts";
import type { Source, Target } from "../domain/source.ts";
import { TokenBucket } from "./rate.ts";

export interface InboundRequest {
  readonly method: string;
  /** As received, path and query. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly remoteAddress: string | null;
}

export interface PreparedSource {
  readonly source: Source;
  readonly verify: Verifier;
  /** Null: everybody may send. */
  readonly isAllowed: NetworkMatcher | null;
  /** Null: as fast as they like. */
  readonly rate: TokenBucket | null;
  /** Bounds the refusals that are kept. */
  readonly refusals: TokenBucket;
  readonly challenges: readonly Challenge[];
  readonly targets: readonly PreparedTarget[];
  readonly redaction: Redaction;
}

interface PreparedTarget {
  readonly target: Target;
  /** Null: every event. */
  readonly test: EventTest | null;
}

/** What is never stored of a request: the sender's credentials. */
interface Redaction {
  /** In lower case. */
  readonly headers: readonly string[];
  readonly parameters: readonly string[];
}

/** Refusals kept per source: a burst that shows a misconfiguration in full, then a trickle. */
const REJECTION_RATE = { perSecond: 5, burst: 100 };

/** Headers that carry a credential whatever the source; each is the whole of its sender's proof. */
const CREDENTIALS = [
  "authorization",
  "proxy-authorization",
  "cookie",
  "x-api-key",
  "x-gitlab-token",
] as const;

/** Meta's, in the query of its challenge. */
const CREDENTIAL_PARAMETERS = ["hub.verify_token"] as const;

/** `earlier` is what was prepared before the definition changed. Throws for a faulty source. */
export function prepareSource(
  source: Source,
  earlier: PreparedSource | undefined,
  now: number,
): PreparedSource {
  const { verify, challenge, allowCidrs, rate, to } = source;
  const isSameRate = JSON.stringify(earlier?.source.rate) === JSON.stringify(rate);
  return {
    source,
    verify: prepareVerifyAll(verify),
    isAllowed: allowCidrs.length === 0 ? null : parseCidrs(allowCidrs),
    rate: rate === null ? null : ((isSameRate ? earlier?.rate : null) ?? new TokenBucket(rate, now)),
    refusals: earlier?.refusals ?? new TokenBucket(REJECTION_RATE, now),
    challenges: [challenge, impliedChallenge(verify)].flatMap((spec) =>
      spec ? [prepareChallenge(spec)] : [],
    ),
    targets: to.map((target) => ({
      target,
      test: target.when === null ? null : compileFilter(target.when),
    })),
    redaction: redactionOf(verify),
  };
}

function redactionOf(verify: readonly VerifySpec[]): Redaction {
  const headers: string[] = [...CREDENTIALS];
  const parameters: string[] = [...CREDENTIAL_PARAMETERS];
  for (const spec of verify) {
    if (spec.scheme !== "token") continue;
    if (spec.header !== undefined) headers.push(spec.header.toLowerCase());
    if (spec.query !== undefined) parameters.push(spec.query);
  }
  return { headers: [...new Set(headers)], parameters };
}

/** Returns the headers as they may be stored, under lower-case names. */
export function storedHeaders({ redaction }: PreparedSource, headers: Headers): Record<string, string> {
  const stored = headers.toJSON() as Record<string, string>;
  for (const name of redaction.headers) if (name in stored) delete stored[name];
  return stored;
}

/** Returns the URL as received, but for the parameters that carry a credential. */
export function storedUrl({ redaction: { parameters } }: PreparedSource, url: string): string {
  const searchAt = url.indexOf("?");
  if (searchAt === -1) return url;
  const pairs = url.slice(searchAt + 1).split("&");
  const kept = pairs.filter((pair) => {
    const [name = ""] = new URLSearchParams(pair).keys();
    return !parameters.includes(name);
  });
  return `${url.slice(0, searchAt)}${kept.length === 0 ? "" : `?${kept.join("&")}`}`;
}
