/** A shared secret that travels with the request, in a header or in the query. */

import { timingSafeEqual } from "node:crypto";
import { AppError } from "../errors.ts";
import { checkHeaderName, readHeader } from "./header.ts";
import { type KeyMatch, type Keyring, matchKeyring, prepareKeyring } from "./keyring.ts";
import { ACCEPTED, missingToken, tokenMismatch } from "./refusal.ts";
import type { Secret, Verifier } from "./types.ts";

export interface TokenOptions {
  /** The header whose whole value is the token. */
  readonly header?: string;
  /** The query parameter; the first one counts when it is repeated. With both names set, either may match. */
  readonly query?: string;
  readonly secrets: readonly Secret[];
}

/** Prepares the check. Throws `invalid_request` when neither a header nor a query parameter is named. */
export function prepareToken(options: TokenOptions): Verifier {
  const { header, query } = options;
  if (header !== undefined) checkHeaderName(header);
  const field = header ?? query;
  if (field === undefined)
    throw new AppError("invalid_request", "A token needs a header or a query parameter.");
  const keyring = prepareCredentials(options.secrets, (value) => value);
  return (request, now) => {
    const fromHeader = header === undefined ? null : readHeader(request, header);
    const fromQuery = query === undefined ? null : readQuery(request.url, query);
    const sent = [fromHeader, fromQuery].filter((token) => token !== null);
    if (sent.length === 0) return missingToken([header, query].filter(Boolean).join(" or "));
    const matches = sent.map((token) => matchCredential(keyring, token, now));
    if (matches.some((match) => match.ok)) return ACCEPTED;
    const old = matches.find((match) => !match.ok && match.oldSecretUntil !== undefined);
    return tokenMismatch(field, old?.ok === false ? old.oldSecretUntil : undefined);
  };
}

/** Reads one query parameter of an absolute or relative URL; null when it is absent or empty. */
function readQuery(url: string, name: string): string | null {
  const start = url.indexOf("?");
  if (start === -1) return null;
  const end = url.indexOf("#", start);
  const query = url.slice(start + 1, end === -1 ? url.length : end);
  return new URLSearchParams(query).get(name) || null;
}

/**
 * Hashes the expected credentials, so that a comparison is over 32 bytes and tells nothing about their
 * length.
 */
export function prepareCredentials(
  secrets: readonly Secret[],
  toCredential: (secret: string) => string,
): Keyring<Uint8Array> {
  return prepareKeyring(secrets, (value) => sha256(toCredential(value)));
}

export function matchCredential(
  keyring: Keyring<Uint8Array>,
  credential: string | Uint8Array,
  now: number,
): KeyMatch {
  const digest = sha256(credential);
  return matchKeyring(keyring, now, (expected) => timingSafeEqual(expected, digest));
}

function sha256(input: string | Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(input).digest();
}
