/** Twilio: https://www.twilio.com/docs/usage/webhooks/webhooks-security */

import type { Claim } from "./claim-verifier.ts";
import { readHeader } from "./header.ts";
import { hmacVerifier } from "./hmac-verifier.ts";
import { equalText } from "./keyring.ts";
import { malformedSignature, missingSignature, signatureMismatch } from "./refusal.ts";
import type { PresetOptions, Refusal, SignedRequest, Verifier } from "./types.ts";

const HEADER = "X-Twilio-Signature";
const BODY_HASH = "bodySHA256";
const FORM = "application/x-www-form-urlencoded";

/**
 * Signs the URL as Twilio calls it and the form's fields. `publicUrl` is that URL, without the query that a
 * request brings along; when it is left out, the URL as received must be the one that Twilio called. The
 * secret is the auth token. There is no time in it, so that a replay can only be told by its ids.
 */
export function prepareTwilio({ secrets, publicUrl }: PresetOptions): Verifier {
  const read = (request: SignedRequest) => readClaim(request, calledUrl(publicUrl, request.url));
  return hmacVerifier({ header: HEADER, algorithm: "sha1", encoding: "base64", secrets, read });
}

function readClaim(request: SignedRequest, url: string): Claim | Refusal {
  const signature = readHeader(request, HEADER);
  if (signature === null) return missingSignature(HEADER);
  const signedWith = (fields: string): Claim => {
    const [signed = [], ...alsoSigned] = spellings(url).map((spelling) => [spelling, fields]);
    return { ok: true, signatures: [signature], signed, alsoSigned };
  };
  const bodyHash = new URLSearchParams(queryOf(url)).get(BODY_HASH);
  if (bodyHash !== null) {
    // A body that is no form is covered by its hash in the query, which the signature over the URL covers.
    const actual = new Bun.CryptoHasher("sha256").update(request.body).digest("hex");
    if (!equalText(actual, bodyHash)) return signatureMismatch(BODY_HASH, undefined);
    return signedWith("");
  }
  const type = request.headers.get("content-type") ?? "";
  if (type.toLowerCase().startsWith(FORM)) return signedWith(sortedFields(request.body));
  // Without a form and without a hash the signature would leave the body open to anybody.
  if (request.body.length > 0)
    return malformedSignature(HEADER, `does not cover a body without ${BODY_HASH}`);
  return signedWith("");
}

/** A byte order mark is part of what was sent; without this it would vanish from the first name. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Every name with its value, sorted by name and then by value; a field that is repeated with the same value
 * counts once, as in Twilio's own libraries.
 */
function sortedFields(body: Uint8Array): string {
  const valuesOf = new Map<string, Set<string>>();
  for (const [name, value] of new URLSearchParams(UTF8.decode(body))) {
    const values = valuesOf.get(name);
    if (values === undefined) valuesOf.set(name, new Set([value]));
    else values.add(value);
  }
  let text = "";
  for (const name of [...valuesOf.keys()].sort()) {
    for (const value of [...(valuesOf.get(name) ?? [])].sort()) text += name + value;
  }
  return text;
}

/** Scheme, user information, host and port; a colon ends a host only behind the brackets of IPv6. */
const AUTHORITY = /^(https?):\/\/((?:[^/?#@]*@)?(?:\[[^\]/?#]*\]|[^/?#:@]*))(:\d*)?/i;

/**
 * The URL with and without its port, of which Twilio signs one or the other depending on the product, as its
 * own libraries try them; and with a bare apostrophe, which is escaped in the query of every request that
 * reaches us (URL Standard, special-query percent-encode set) but not in what Twilio signed.
 */
function spellings(url: string): string[] {
  const [whole, scheme = "", host, port] = AUTHORITY.exec(url) ?? [];
  const rest = url.slice(whole?.length ?? 0);
  const standardPort = scheme.toLowerCase() === "https" ? ":443" : ":80";
  const bare = `${scheme}://${host}${rest}`;
  const full = `${scheme}://${host}${port ?? standardPort}${rest}`;
  const known = whole === undefined ? [url] : [bare, full];
  return [...new Set([...known, ...known.map((spelling) => spelling.replaceAll("%27", "'"))])];
}

function calledUrl(publicUrl: string | undefined, receivedUrl: string): string {
  if (publicUrl === undefined) return receivedUrl;
  return publicUrl.includes("?") ? publicUrl : publicUrl + queryOf(receivedUrl);
}

/** The query with its question mark, or nothing. */
function queryOf(url: string): string {
  const start = url.indexOf("?");
  return start === -1 ? "" : url.slice(start);
}
