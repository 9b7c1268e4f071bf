/** The configurable HMAC scheme; many presets are nothing but a set of its options. */

import { AppError } from "../errors.ts";
import type { Claim } from "./claim-verifier.ts";
import { checkHeaderName, readHeader } from "./header.ts";
import { hmacVerifier } from "./hmac-verifier.ts";
import type { DigestEncoding, HmacAlgorithm } from "./keyed-hash.ts";
import { malformedSignature, missingSignature } from "./refusal.ts";
import { parseTemplate, type Template } from "./template.ts";
import { parseUnixTime, type SignedTime } from "./timestamp.ts";
import type { Refusal, Secret, SignedRequest, Verifier } from "./types.ts";

export interface HmacOptions {
  readonly header: string;
  readonly algorithm: HmacAlgorithm;
  readonly encoding: DigestEncoding;
  readonly secrets: readonly Secret[];
  /** Stands before every signature, exactly as written: "sha256=". */
  readonly prefix?: string;
  /** Also accepts signatures without the prefix. */
  readonly prefixOptional?: boolean;
  /** Splits the header into several signatures, any of which may match; one signature when omitted. */
  readonly separator?: "," | " ";
  /** What is signed: literals with {timestamp}, {id}, {url} and {body}; "{body}" when omitted. */
  readonly template?: string;
  /** Unix seconds or milliseconds. Named: it must be there and fresh. Unsigned unless the template has it. */
  readonly timestampHeader?: string;
  readonly idHeader?: string;
  readonly toleranceMs?: number;
  /** Fills {url}: the URL as the sender knows it, which a proxy may have rewritten on the way here. */
  readonly publicUrl?: string;
}

/** Which option says where a placeholder's text comes from. */
const SOURCES = [
  ["timestamp", "timestampHeader"],
  ["id", "idHeader"],
  ["url", "publicUrl"],
] as const;

/**
 * Prepares the check. Throws `invalid_request` when the template uses a header that is not named, and alike.
 */
export function prepareHmac(options: HmacOptions): Verifier {
  const template = parseTemplate(options.template ?? "{body}");
  const { header, timestampHeader, idHeader, publicUrl } = options;
  for (const name of [header, timestampHeader, idHeader]) {
    if (name !== undefined) checkHeaderName(name);
  }
  const sources = { timestampHeader, idHeader, publicUrl };
  for (const [placeholder, option] of SOURCES) {
    if (!template.uses.has(placeholder) || sources[option] !== undefined) continue;
    throw new AppError(
      "invalid_request",
      `The signature covers {${placeholder}}, so that ${option} is needed.`,
    );
  }
  return hmacVerifier({ ...options, read: (request) => readClaim(options, template, request) });
}

function readClaim(options: HmacOptions, template: Template, request: SignedRequest): Claim | Refusal {
  const { header, timestampHeader, idHeader } = options;
  const value = readHeader(request, header);
  if (value === null) return missingSignature(header);
  const timestamp = timestampHeader === undefined ? "" : readHeader(request, timestampHeader);
  if (timestamp === null) return missingSignature(timestampHeader ?? "");
  const id = idHeader === undefined ? "" : readHeader(request, idHeader);
  if (id === null) return missingSignature(idHeader ?? "");
  const signatures = splitSignatures(options, value);
  const signed = template.fill({ timestamp, id, url: options.publicUrl ?? "", body: request.body });
  if (timestampHeader === undefined) return { ok: true, signatures, signed };
  const time: SignedTime | null = parseUnixTime(timestamp);
  if (time === null) return malformedSignature(timestampHeader, "is no Unix timestamp");
  return { ok: true, signatures, signed, time };
}

function splitSignatures(options: HmacOptions, value: string): string[] {
  const { prefix = "", prefixOptional = false, separator, encoding } = options;
  const items = separator === undefined ? [value] : value.split(separator).map((item) => item.trim());
  return items.flatMap((item) => {
    const prefixed = item.startsWith(prefix);
    if (!prefixed && !prefixOptional) return [];
    const signature = prefixed ? item.slice(prefix.length) : item;
    // Digests are made without padding, which some senders of base64url keep.
    return encoding === "base64url" ? signature.replace(/={1,2}$/, "") : signature;
  });
}
