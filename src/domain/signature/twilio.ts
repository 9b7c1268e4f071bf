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
  const bodyHash = new URLSearchParams(queryOf(url)).get(BODY_HASH);
  if (bodyHash !== null) {
    // A body that is no form is covered by its hash in the query, which the signature over the URL covers.
    const actual = new Bun.CryptoHasher("sha256").update(request.body).digest("hex");
    if (!equalText(actual, bodyHash)) return signatureMismatch(BODY_HASH, undefined);
    return { ok: true, signatures: [signature], signed: [url] };
  }
  const type = request.headers.get("content-type") ?? "";
  if (type.toLowerCase().startsWith(FORM)) {
    return { ok: true, signatures: [signature], signed: [url, sortedFields(request.body)] };
  }
  // Without a form and without a hash the signature would leave the body open to anybody.
  if (request.body.length > 0)
    return malformedSignature(HEADER, `does not cover a body without ${BODY_HASH}`);
  return { ok: true, signatures: [signature], signed: [url] };
}

/** Every name with its value, sorted by name; of one name in the order received. */
function sortedFields(body: Uint8Array): string {
  const fields = [...new URLSearchParams(new TextDecoder().decode(body))];
  fields.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
  return fields.map(([name, value]) => name + value).join("");
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
