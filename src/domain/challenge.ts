/**
 * Challenges: requests by which a provider makes sure that it talks to the right place. They are answered
 * here and never reach the application.
 *
 * Two of them hand out an HMAC under the very secret that events are signed with: whoever may choose the text
 * has his own events signed. Zoom's request is itself signed and must be verified first. X's is not, so that
 * only texts which no event can have are answered.
 */
import { AppError } from "./errors.ts";
import { readQuery } from "./selection.ts";
import type { Refusal, Secret, SignedRequest, VerifySpec } from "./signature/index.ts";
import { keyedHash } from "./signature/keyed-hash.ts";
import { prepareKeyring, validKeys } from "./signature/keyring.ts";
import { missingToken, tokenMismatch } from "./signature/refusal.ts";
import { matchCredential, prepareCredentials } from "./signature/token.ts";

export interface ChallengeRequest extends SignedRequest {
  readonly method: string;
}

/** The whole response. */
export interface ChallengeAnswer {
  readonly ok: true;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Returns null for a request that is no challenge and takes its ordinary way. Never throws. */
type Answerer = (request: ChallengeRequest, now: number) => ChallengeAnswer | Refusal | null;

export interface Challenge {
  /** The method of the challenge; the source need not accept it for anything else. */
  readonly method: "GET" | "POST";
  /** Only requests that passed the source's verification may be answered. */
  readonly isVerified: boolean;
  readonly answer: Answerer;
}

interface ChallengeEntry {
  readonly method: "GET" | "POST";
  readonly isVerified: boolean;
  readonly prepare: (secrets: readonly Secret[]) => Answerer;
}

const CHALLENGES = {
  slack: { method: "POST", isVerified: true, prepare: () => answerSlack },
  zoom: { method: "POST", isVerified: true, prepare: prepareZoom },
  discord: { method: "POST", isVerified: true, prepare: () => answerDiscord },
  meta: { method: "GET", isVerified: false, prepare: prepareMeta },
  x: { method: "GET", isVerified: false, prepare: prepareX },
} as const satisfies Record<string, ChallengeEntry>;

export type ChallengeKind = keyof typeof CHALLENGES;

export interface ChallengeSpec {
  readonly kind: ChallengeKind;
  /**
   * zoom: the app's secret token; x: the API secret key; meta: the verify token, which is not the app secret
   * that signs. The others use none.
   */
  readonly secrets: readonly Secret[];
}

/** Prepares a challenge. Throws `invalid_request` when a secret that it needs is missing or empty. */
export function prepareChallenge({ kind, secrets }: ChallengeSpec): Challenge {
  const { method, isVerified, prepare } = CHALLENGES[kind];
  const answer: Answerer = prepare(secrets);
  return {
    method,
    isVerified,
    answer: (request, now) => (request.method === method ? answer(request, now) : null),
  };
}

/** Returns the challenge that belongs to a source's scheme without being asked for, or null. */
export function impliedChallenge(verify: readonly VerifySpec[]): ChallengeSpec | null {
  for (const spec of verify) {
    const { scheme } = spec;
    if (scheme === "zoom") return { kind: scheme, secrets: spec.secrets };
    if (scheme === "slack" || scheme === "discord") return { kind: scheme, secrets: [] };
  }
  return null;
}

/** Tokens are short and of base64's alphabet: nothing that is signed anywhere looks like one. */
const TOKEN = /^[A-Za-z0-9+/=_-]{1,256}$/;
/** Challenges are small. What is larger is not parsed on the chance that it might be one. */
const BODY_BYTES_MAX = 16_384;

/** https://docs.slack.dev/reference/events/url_verification; Slack signs it like every event. */
function answerSlack({ body }: ChallengeRequest): ChallengeAnswer | null {
  const event = readObject(body, "url_verification");
  if (event?.type !== "url_verification" || typeof event.challenge !== "string") return null;
  return answerJson({ challenge: event.challenge });
}

/** https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint */
function prepareZoom(secrets: readonly Secret[]): Answerer {
  const hash = prepareHash(secrets, "hex");
  return ({ body }, now) => {
    const event = readObject(body, "endpoint.url_validation");
    if (event?.event !== "endpoint.url_validation" || !isObject(event.payload)) return null;
    const { plainToken } = event.payload;
    if (typeof plainToken !== "string" || !TOKEN.test(plainToken)) return null;
    return answerJson({ plainToken, encryptedToken: hash(plainToken, now) });
  };
}

/**
 * Interactions ping with type 1 and want that back:
 * https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint. Webhook events, where
 * type 1 is an event, ping with type 0 and want an empty 204:
 * https://discord.com/developers/docs/events/webhook-events#setting-up-an-endpoint. Discord also pings with
 * wrong signatures and gives up on whoever does not answer those with 401.
 */
function answerDiscord({ body }: ChallengeRequest): ChallengeAnswer | null {
  const ping = readObject(body, '"type"');
  if (ping === null || "event" in ping) return null;
  if (ping.type === 0) return { ok: true, status: 204, headers: {}, body: "" };
  return ping.type === 1 ? answerJson({ type: 1 }) : null;
}

/** https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests */
function prepareMeta(secrets: readonly Secret[]): Answerer {
  const keyring = prepareCredentials(secrets, (token) => token);
  return ({ url }, now) => {
    if (readQuery(url, "hub.mode") !== "subscribe") return null;
    const challenge = readQuery(url, "hub.challenge");
    if (challenge === null || !TOKEN.test(challenge)) return null;
    const field = "hub.verify_token";
    const token = readQuery(url, field);
    if (!token) return missingToken(field);
    const match = matchCredential(keyring, token, now);
    if (!match.ok) return tokenMismatch(field, match.oldSecretUntil);
    return { ok: true, status: 200, headers: TEXT, body: challenge };
  };
}

/** https://docs.x.com/x-api/webhooks/quickstart#2-the-crc-check */
function prepareX(secrets: readonly Secret[]): Answerer {
  const hash = prepareHash(secrets, "base64");
  return ({ url }, now) => {
    const token = readQuery(url, "crc_token");
    if (token === null || !TOKEN.test(token)) return null;
    return answerJson({ response_token: `sha256=${hash(token, now)}` });
  };
}

/** Signs with the first valid secret, and with the first of all when every one has expired. */
function prepareHash(secrets: readonly Secret[], encoding: "hex" | "base64") {
  const keyring = prepareKeyring(secrets, (value) => keyedHash("sha256", value, encoding));
  const [first] = keyring;
  if (first === undefined) throw new AppError("invalid_request", "At least one secret is needed.");
  return (text: string, now: number) => (validKeys(keyring, now)[0] ?? first.key)([text]);
}

/** The sender chose this text: no browser may take it for a page. */
const TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
const JSON_TYPE = { "content-type": "application/json" };

function answerJson(value: unknown): ChallengeAnswer {
  return { ok: true, status: 200, headers: JSON_TYPE, body: JSON.stringify(value) };
}

/** Returns the body as an object; null when it is none, too large, or does not contain the text. */
function readObject(body: Uint8Array, needle: string): Readonly<Record<string, unknown>> | null {
  if (body.length > BODY_BYTES_MAX) return null;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!bytes.includes(needle)) return null;
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
