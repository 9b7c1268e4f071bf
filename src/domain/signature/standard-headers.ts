/**
 * The three headers of Standard Webhooks, whose names differ between the standard and Svix by their prefix.
 */

import type { ClaimReader } from "./claim-verifier.ts";
import { readHeader } from "./header.ts";
import { malformedSignature, missingSignature } from "./refusal.ts";
import { parseUnixSeconds } from "./timestamp.ts";

export interface StandardHeaderNames {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
}

export const WEBHOOK_HEADERS: StandardHeaderNames = {
  id: "webhook-id",
  timestamp: "webhook-timestamp",
  signature: "webhook-signature",
};

/**
 * Returns the reader of space-separated `<version>,<base64>`. Other versions are ignored, and so is the comma
 * that joins a header sent twice.
 */
export function standardReader(names: StandardHeaderNames, version: "v1" | "v1a"): ClaimReader {
  const start = `${version},`;
  return (request) => {
    const id = readHeader(request, names.id);
    if (id === null) return missingSignature(names.id);
    const timestamp = readHeader(request, names.timestamp);
    if (timestamp === null) return missingSignature(names.timestamp);
    const value = readHeader(request, names.signature);
    if (value === null) return missingSignature(names.signature);
    const time = parseUnixSeconds(timestamp);
    if (time === null) return malformedSignature(names.timestamp, "is no Unix timestamp");
    const signatures = value
      .split(" ")
      .filter((item) => item.startsWith(start))
      .map((item) => item.slice(start.length).replace(/,$/, ""));
    return { ok: true, signatures, signed: [id, ".", timestamp, ".", request.body], time };
  };
}
