/**
 * What HookBridge's inbound endpoints take. Its documentation does not say how a provider encodes its
 * signature, so this reads the forms that providers use: hex of any case or base64, bare, behind "sha256=",
 * or in lists such as "t=...,v1=..."; over the body, or over timestamp, a point and the body (protocol
 * section 12.3). Every form is still HMAC-SHA256 under the whole secret.
 */
import { timingSafeEqual } from "node:crypto";
import { checkHeaderName, readHeader } from "./header.ts";
import { matchKeyring, prepareKeyring } from "./keyring.ts";
import { ACCEPTED, malformedSignature, missingSignature, signatureMismatch } from "./refusal.ts";
import { parseUnixTime, refuseStale, type SignedTime, TOLERANCE_DEFAULT_MS } from "./timestamp.ts";
import type { Refusal, Secret, SignedRequest, Verifier } from "./types.ts";

export interface HookbridgeInboundOptions {
  readonly secrets: readonly Secret[];
  readonly header: string;
  /** Where the time stands; then it must be there and fresh. May be the signature's own header ("t="). */
  readonly timestampHeader?: string;
  readonly toleranceMs?: number;
}

type KeyedDigest = (parts: readonly (string | Uint8Array)[]) => Uint8Array;

const HEX = /^[0-9a-fA-F]{64}$/;
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;

/** Prepares the check. Throws `invalid_request` for a name that no header can have. */
export function prepareHookbridgeInbound(options: HookbridgeInboundOptions): Verifier {
  const { header, timestampHeader, toleranceMs = TOLERANCE_DEFAULT_MS } = options;
  checkHeaderName(header);
  if (timestampHeader !== undefined) checkHeaderName(timestampHeader);
  const keyring = prepareKeyring(options.secrets, (value): KeyedDigest => {
    const keyed = new Bun.CryptoHasher("sha256", value);
    return (parts) => {
      const hasher = keyed.copy();
      for (const part of parts) hasher.update(part);
      return hasher.digest();
    };
  });
  return (request, now) => {
    const text = readHeader(request, header);
    if (text === null) return missingSignature(header);
    const { signatures, timestamp: listed } = readList(text);
    const timestamp = readTimestamp(request, { header, timestampHeader, listed });
    if (timestampHeader !== undefined) {
      const refusal = judgeTime(timestamp, { timestampHeader, now, toleranceMs });
      if (refusal) return refusal;
    }
    if (signatures.length === 0) return malformedSignature(header, "has no SHA-256 in hex or base64");
    const match = matchKeyring(keyring, now, (digest) => {
      const inputs = [[request.body], ...(timestamp === null ? [] : [[`${timestamp}.`, request.body]])];
      const expected = inputs.map((parts) => digest(parts));
      return signatures.some((signature) => expected.some((one) => timingSafeEqual(one, signature)));
    });
    return match.ok ? ACCEPTED : signatureMismatch(header, match.oldSecretUntil);
  };
}

interface Listed {
  readonly signatures: readonly Uint8Array[];
  readonly timestamp: string | null;
}

function readList(text: string): Listed {
  const signatures: Uint8Array[] = [];
  let timestamp: string | null = null;
  for (const item of text.split(",")) {
    const found = /^([A-Za-z][A-Za-z0-9_]{0,15})=(.+)$/.exec(item.trim());
    const value = found && !BASE64.test(item.trim()) ? (found[2] ?? "") : item.trim();
    if (found?.[1] === "t") timestamp = value;
    else if (HEX.test(value)) signatures.push(Buffer.from(value, "hex"));
    else if (BASE64.test(value)) signatures.push(Buffer.from(value, "base64"));
  }
  return { signatures: signatures.filter(({ byteLength }) => byteLength === 32), timestamp };
}

interface TimeSource {
  readonly header: string;
  readonly timestampHeader: string | undefined;
  readonly listed: string | null;
}

/** As it was sent, because that is what was signed. */
function readTimestamp(
  request: SignedRequest,
  { header, timestampHeader, listed }: TimeSource,
): string | null {
  if (timestampHeader === undefined) return listed;
  if (timestampHeader.toLowerCase() === header.toLowerCase()) return listed;
  return readHeader(request, timestampHeader)?.trim() ?? null;
}

interface TimeRule {
  readonly timestampHeader: string;
  readonly now: number;
  readonly toleranceMs: number;
}

function judgeTime(text: string | null, { timestampHeader, now, toleranceMs }: TimeRule): Refusal | null {
  if (text === null) return missingSignature(timestampHeader);
  const time = parseUnixTime(text) ?? parseDate(text);
  if (time === null) return malformedSignature(timestampHeader, "has no time");
  return refuseStale(time, now, toleranceMs);
}

function parseDate(text: string): SignedTime | null {
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : { at, unitMs: 1 };
}
