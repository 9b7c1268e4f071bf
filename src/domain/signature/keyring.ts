/** Secrets turned into keys once, and the constant-time search for the one that matches. */

import { timingSafeEqual } from "node:crypto";
import { AppError } from "../errors.ts";
import type { Secret } from "./types.ts";

/** `key` is whatever a scheme derives from a secret: a keyed hash, a digest, a public key. */
interface KeyringEntry<Key> {
  readonly key: Key;
  readonly until: number;
}

export type Keyring<Key> = readonly KeyringEntry<Key>[];

export type KeyMatch = { readonly ok: true } | { readonly ok: false; readonly oldSecretUntil?: number };

const MATCH: KeyMatch = Object.freeze({ ok: true });
const NO_MATCH: KeyMatch = Object.freeze({ ok: false });

/**
 * Derives every key. Throws `invalid_request` when there is no secret or an empty one: a source whose secret
 * got lost must not come up as one that anybody can sign for.
 */
export function prepareKeyring<Key>(
  secrets: readonly Secret[],
  derive: (value: string) => Key,
): Keyring<Key> {
  if (secrets.length === 0) throw new AppError("invalid_request", "At least one secret is needed.");
  return secrets.map(({ value, until }) => {
    if (value === "") throw new AppError("invalid_request", "A secret must not be empty.");
    return { key: derive(value), until: until ?? Number.POSITIVE_INFINITY };
  });
}

/** The keys that are valid at `now`, in the order of the secrets. */
export function validKeys<Key>(keyring: Keyring<Key>, now: number): Key[] {
  return keyring.filter((entry) => entry.until >= now).map((entry) => entry.key);
}

/**
 * Tries every valid key, also after a match, so that the time taken does not tell which one it was. Old keys
 * are tried only when no valid one matched: they change the explanation, never the verdict.
 */
export function matchKeyring<Key>(
  keyring: Keyring<Key>,
  now: number,
  matches: (key: Key) => boolean,
): KeyMatch {
  let matched = false;
  for (const { key, until } of keyring) {
    if (until >= now && matches(key)) matched = true;
  }
  if (matched) return MATCH;
  for (const { key, until } of keyring) {
    if (until < now && matches(key)) return { ok: false, oldSecretUntil: until };
  }
  return NO_MATCH;
}

/**
 * Compares text without telling how much of it was right. Lengths are no secret. UTF-8 keeps characters
 * outside Latin-1 apart; a single-byte encoding would fold U+0161 onto "a".
 */
export function equalText(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  const leftBytes = Buffer.from(left, "utf8");
  const rightBytes = Buffer.from(right, "utf8");
  return leftBytes.length === rightBytes.length && timingSafeEqual(leftBytes, rightBytes);
}
