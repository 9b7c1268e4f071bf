/** Why an inbound request was refused. The codes are stored, shown by the API and counted in metrics. */
import type { Id } from "./id.ts";

/** Every reason with the HTTP status that the native ingest door answers. */
export const REJECTION_STATUS = {
  invalid_method: 405,
  ip_not_allowed: 403,
  rate_limited: 429,
  body_too_large: 413,
  missing_signature: 401,
  malformed_signature: 401,
  signature_mismatch: 401,
  timestamp_out_of_tolerance: 401,
  missing_token: 401,
  token_mismatch: 401,
  paused: 503,
  // Of sources that a door of their own leads to: the secret part of its path, and sources that are gone.
  invalid_secret: 404,
  source_deleted: 410,
} as const;

export type RejectionReason = keyof typeof REJECTION_STATUS;

/** A refused request, as it is about to be stored. */
export interface NewRejection {
  readonly id: Id;
  readonly project: string;
  /** The source's number in the store. */
  readonly sourceSeq: number;
  readonly reason: RejectionReason;
  /** One sentence, safe to show. */
  readonly detail: string;
  /** JSON of what else is known about the cause, safe to show; or null. */
  readonly diagnosis: string | null;
  readonly receivedAt: number;
  readonly method: string;
  /** Path and query as received, without the sender's credentials. */
  readonly url: string;
  readonly remoteAddress: string | null;
  /** JSON object of header name to value, without the sender's credentials. */
  readonly headers: string;
  /** The first bytes of the body; none when the request was refused before its body was read. */
  readonly body: Uint8Array;
  /** True when `body` is not all that was sent. */
  readonly isBodyCut: boolean;
}

/** How a refused request came in after all: it became an event, at an operator's word. */
export interface Admission {
  readonly rejectionId: Id;
  readonly at: number;
  /** It was let in although today's configuration refuses it too. */
  readonly isForced: boolean;
}
