/**
 * Which header names an endpoint's own headers, a schedule's or a custom signature cannot take: they frame
 * the request, say where it goes, or are what the receiver verifies. Asked when a definition is made, and
 * again when a request is built, so that a definition from before a rule cannot break it either.
 */
import type { ClientTls } from "./endpoint.ts";
import { AppError } from "./errors.ts";
import { certificateFault } from "./signature/certificate.ts";
import { prepareSign, type SignSpec } from "./signature/index.ts";

/** Compared in lower case. RFC 9110 sections 7.2 and 7.6.1, RFC 9112 section 6, and our own three. */
const RESERVED: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "webhook-id",
  "webhook-timestamp",
  "webhook-signature",
  "postern-ack-url",
  "postern-nack-url",
]);

/** Whether nobody but Postern sets a header of that name. The name is lower-case. */
export function isReservedHeader(name: string): boolean {
  return RESERVED.has(name);
}

export interface SigningFault {
  /** From the endpoint on: `sign` and a position, `headers` and a name, or `tls`. */
  readonly path: readonly (string | number)[];
  /** Completes "sign: ..."; safe to print. */
  readonly message: string;
}

interface Signing {
  readonly sign: readonly SignSpec[];
  readonly headers: Readonly<Record<string, string>>;
  readonly tls?: ClientTls | null;
}

/**
 * Returns what is wrong with an endpoint's signatures, headers and certificate; none: every request can be
 * made.
 */
export function checkSigning({ sign, headers, tls = null }: Signing): SigningFault[] {
  const fault = tls === null ? null : certificateFault(tls);
  const certificateFaults = fault === null ? [] : [{ path: ["tls"], message: fault }];
  return [...checkHeaders(sign, headers), ...certificateFaults];
}

function checkHeaders(sign: Signing["sign"], headers: Signing["headers"]): SigningFault[] {
  const faults: SigningFault[] = [];
  /** Header name to the scheme that sets it, and what it set for the same input. */
  const taken = new Map<string, { readonly scheme: string; readonly value: string }>();
  for (const [index, spec] of sign.entries()) {
    const path = ["sign", index];
    const signed = trySigning(spec);
    if (typeof signed === "string") {
      faults.push({ path, message: signed });
      continue;
    }
    for (const [name, value] of signed) {
      const key = name.toLowerCase();
      const rival = taken.get(key);
      const isCustom = spec.scheme === "custom";
      if (isCustom && RESERVED.has(key)) {
        faults.push({ path, message: `cannot write its signature to ${name}, which Postern sets itself` });
      } else if (rival !== undefined && rival.value !== value && key !== "webhook-signature") {
        faults.push({ path, message: `sets ${name}, as the ${rival.scheme} rule before it does` });
      }
      taken.set(key, { scheme: spec.scheme, value });
    }
  }
  for (const name of Object.keys(headers)) {
    const rival = taken.get(name.toLowerCase());
    const path = ["headers", name];
    if (RESERVED.has(name.toLowerCase())) {
      faults.push({ path, message: "cannot be set: Postern sets it itself" });
    } else if (rival !== undefined) {
      faults.push({ path, message: `cannot be set: it carries the ${rival.scheme} signature` });
    }
  }
  return faults;
}

/** The headers of a made-up request, or why there are none. */
function trySigning(spec: SignSpec) {
  try {
    return prepareSign(spec)({ id: "evt_1", timestamp: 0, body: new Uint8Array(0), now: 0 });
  } catch (error) {
    if (error instanceof AppError) return error.message;
    throw error;
  }
}
