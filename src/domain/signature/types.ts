/** What every scheme speaks: secrets in, a request to judge, a verdict out. */

import type { RejectionReason } from "../rejection.ts";

/**
 * One secret of a rotation. `until` is the last epoch millisecond at which it is valid; a secret whose
 * `until` has passed is an old one: it admits nothing, but a refusal says when it would have matched.
 */
export interface Secret {
  readonly value: string;
  readonly until?: number;
}

/**
 * Reads a header under any spelling of its name, joined with ", " when it was sent twice, as `Headers` does.
 */
export interface HeaderReader {
  get(name: string): string | null;
}

export interface SignedRequest {
  /** The bytes as received. They are hashed as they are, never decoded. */
  readonly body: Uint8Array;
  readonly headers: HeaderReader;
  /** As received: absolute or from the path on. Only its query is read, unless the scheme signs the URL. */
  readonly url: string;
}

/**
 * Facts that help the sender's developer; safe to store and show because they hold no secret and no
 * signature.
 */
export interface Diagnosis {
  /** The header or query parameter that is missing, unreadable or wrong. */
  readonly field?: string;
  /**
   * The credential would have been right until this epoch millisecond: the sender still uses a retired
   * secret.
   */
  readonly oldSecretUntil?: number;
  /** The sender's timestamp minus our clock: positive means that the sender is ahead. */
  readonly skewSeconds?: number;
  readonly toleranceSeconds?: number;
}

export interface Refusal {
  readonly ok: false;
  readonly reason: RejectionReason;
  /** One sentence, safe to show. */
  readonly detail: string;
  readonly diagnosis?: Diagnosis;
}

export type VerifyResult = { readonly ok: true } | Refusal;

/** A scheme with its keys derived. `now` is the machine's time in epoch milliseconds. Never throws. */
export type Verifier = (request: SignedRequest, now: number) => VerifyResult;

/** The parameters of every preset. `publicUrl` matters only where the provider signs the URL it called. */
export interface PresetOptions {
  readonly secrets: readonly Secret[];
  readonly toleranceMs?: number;
  readonly publicUrl?: string;
}

export interface SignInput {
  /** Stable over retries: the event's id for event-born deliveries, else the delivery's. */
  readonly id: string;
  /** Unix seconds of this attempt. */
  readonly timestamp: number;
  readonly body: Uint8Array;
  /** Epoch milliseconds; decides which secrets still sign. */
  readonly now: number;
}

export type SignatureHeader = readonly [name: string, value: string];

/** A signing scheme with its keys derived. */
export type Signer = (input: SignInput) => SignatureHeader[];
