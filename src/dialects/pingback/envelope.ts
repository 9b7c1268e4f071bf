/**
 * The dispatch request (pingback.md section 3): the body is made anew for each attempt, signed with the
 * time of sending, and has exactly the documented keys. An endpoint URL without a path means the SDKs' own
 * route, with the bare URL to fall back on (3.1).
 */
import type { Answer } from "../../domain/attempt.ts";
import { functionNameOf } from "../../domain/function.ts";
import { signAll } from "../../domain/signature/index.ts";
import type { Envelope, EnvelopeInput, Fallback } from "../../domain/strategy.ts";
import { writeJson } from "./json.ts";
import { payloadOfEvent } from "./payload.ts";
import { showIsoTime, showUuid } from "./wire.ts";

/** Where every SDK mounts its handler unless told otherwise. */
const DEFAULT_ROUTE = "/api/pingback";
/** Origins kept; one application has one. */
const ORIGINS_MAX = 1_024;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Which of the two URLs of an origin answered; forgotten by a restart, which costs one more try. */
export class Routes {
  readonly #bare = new Set<string>();

  isBare(url: string): boolean {
    return this.#bare.has(url);
  }

  note(url: string, isBare: boolean): void {
    if (!isBare) this.#bare.delete(url);
    else if (this.#bare.size < ORIGINS_MAX) this.#bare.add(url);
  }
}

export function createEnvelope(routes: Routes): Envelope {
  return (input) => {
    const { endpoint, delivery, wallNow } = input;
    if (endpoint.url === "") throw new Error("the project has no endpoint URL: register with one, or set it");
    const body = Buffer.from(writeBody(input));
    const timestamp = Math.floor(wallNow / 1_000);
    const headers = new Headers({ "Content-Type": "application/json" });
    const signed = signAll(endpoint.sign, { id: delivery.id, timestamp, body, now: wallNow });
    for (const [name, value] of signed) headers.set(name, value);
    return { method: "POST", headers, body, ...targetOf(endpoint.url, routes) };
  };
}

function writeBody({ endpoint, delivery, payload, attempt, attemptsBefore = 0, now }: EnvelopeInput): string {
  const name = functionNameOf(endpoint) ?? endpoint.name;
  // Only a retry by hand starts at another time than planned (4.2).
  const isByHand = attemptsBefore > 0 && attempt === attemptsBefore + 1;
  const scheduledAt = showIsoTime(isByHand ? now : delivery.scheduledAt);
  const head =
    `{"function":${writeJson(name)},"executionId":"${showUuid(delivery.id)}",` +
    `"attempt":${attempt},"scheduledAt":"${scheduledAt}"`;
  const text = delivery.eventId === null ? utf8.decode(payload.body) : payloadOfEvent(payload.body);
  return text === "" ? `${head}}` : `${head},"payload":${text}}`;
}

function targetOf(url: string, routes: Routes): { url: string; fallback?: Fallback } {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.pathname !== "/" || parsed.search !== "") return { url };
  const routed = new URL(DEFAULT_ROUTE, parsed).href;
  const isBare = routes.isBare(url);
  return {
    url: isBare ? url : routed,
    fallback: {
      url: isBare ? routed : url,
      isWanted: isNobodyThere,
      onFound: () => routes.note(url, !isBare),
    },
  };
}

/** How the SDKs say that they do not know a function (3.6): then somebody was there. */
const UNKNOWN_FUNCTION = /function\b[^<]{0,300}\bnot found/i;

/**
 * True when no handler of an SDK can have seen the request: theirs answer such statuses in their own words.
 */
function isNobodyThere(answer: Answer): boolean {
  if (answer.kind !== "response" || (answer.status !== 404 && answer.status !== 405)) return false;
  return !UNKNOWN_FUNCTION.test(Buffer.from(answer.body.subarray(0, 1_024)).toString("utf8"));
}
