/**
 * The secrets of an endpoint, one by one: add, rotate, remove. Pure: signatures in, signatures out. What has
 * expired by then is dropped on the way, so that rotations do not pile up.
 */
import { createHash } from "node:crypto";
import { AppError } from "../errors.ts";
import type { Secret, SignSpec } from "./index.ts";

export const SECRETS_MAX = 10;

interface NewSecret {
  readonly scheme: SignSpec["scheme"];
  readonly secret: Secret;
  /** Epoch milliseconds of the machine. */
  readonly now: number;
}

interface Rotation extends NewSecret {
  /** Until then the present secrets go on signing. */
  readonly until: number;
}

type Signatures = readonly SignSpec[];

/** A name for a secret that tells nothing about it to whoever does not have it. */
export function secretName({ value }: Secret): string {
  return `sec_${createHash("sha256").update(value).digest("hex").slice(0, 16)}`;
}

/** Adds a secret behind those of its scheme, or with the scheme itself when the endpoint lacks it. */
export function addSecret(signatures: Signatures, { scheme, secret, now }: NewSecret): SignSpec[] {
  const known = signatures.find((spec) => spec.scheme === scheme);
  if (known === undefined) {
    if (scheme === "custom") throw bad("a custom signature needs more than a secret; change sign instead");
    return [...signatures, { scheme, secrets: [secret] }];
  }
  if (known.secrets.some(({ value }) => value === secret.value)) throw bad("the endpoint has this secret");
  return replace(signatures, known, [...livingOf(known, now), secret]);
}

/**
 * Puts a new secret in the place of those of a scheme, which go on signing until a date. The new one stands
 * behind them: a receiver that checks a single signature sees the old one until then, and one that takes
 * several (Standard Webhooks) sees both.
 */
export function rotateSecret(signatures: Signatures, { scheme, secret, now, until }: Rotation): SignSpec[] {
  const known = signatures.find((spec) => spec.scheme === scheme);
  if (known === undefined) throw bad(`the endpoint does not sign under ${scheme}`);
  if (known.secrets.some(({ value }) => value === secret.value)) throw bad("the endpoint has this secret");
  const old = until <= now ? [] : livingOf(known, now);
  const ending = old.map((one) => ({ value: one.value, until: Math.min(one.until ?? until, until) }));
  return replace(signatures, known, [...ending, secret]);
}

/** Removes a secret by its name; with the last one of a scheme, the scheme. Throws not_found. */
export function removeSecret(signatures: Signatures, name: string): SignSpec[] {
  const known = signatures.find(({ secrets }) => secrets.some((secret) => secretName(secret) === name));
  if (known === undefined) throw new AppError("not_found", "the endpoint has no such secret");
  const rest = known.secrets.filter((secret) => secretName(secret) !== name);
  if (rest.length > 0) return replace(signatures, known, rest);
  return signatures.filter((spec) => spec !== known);
}

function livingOf({ secrets }: SignSpec, now: number): Secret[] {
  return secrets.filter(({ until = Number.POSITIVE_INFINITY }) => until >= now);
}

function replace(signatures: Signatures, known: SignSpec, secrets: readonly Secret[]): SignSpec[] {
  if (secrets.length > SECRETS_MAX) throw bad(`an endpoint has at most ${SECRETS_MAX} secrets per scheme`);
  return signatures.map((spec) => (spec === known ? { ...spec, secrets } : spec));
}

function bad(problem: string): AppError {
  return new AppError("invalid_request", problem);
}
