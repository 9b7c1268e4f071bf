/** What a diagnosis speaks: a suspect to examine, trials to run on it, a finding to show. */
import type { RejectionReason } from "../rejection.ts";
import type { Refusal, Secret, SignedRequest, VerifySpec } from "../signature/index.ts";
import type { JsonFormName } from "./json-forms.ts";

export type FindingCode =
  | "clock_skew"
  | "timestamp_unit"
  | "old_secret"
  | "secret_spelling"
  | "secret_decoding"
  | "signature_encoding"
  | "signature_prefix"
  | "body_changed"
  | "body_reserialized"
  | "empty_body_signed"
  | "other_url"
  | "other_header"
  | "other_template"
  | "other_algorithm"
  | "other_scheme"
  | "not_signed"
  | "unknown_secret";

/**
 * The probable cause of a refusal. Made to be stored and shown as JSON: it holds no secret, no signature and
 * nothing that the sender wrote.
 */
export interface Finding {
  readonly code: FindingCode;
  /** One or two sentences for whoever has to mend it. */
  readonly sentence: string;
  /** The sender's timestamp minus our clock: positive means that the sender is ahead. */
  readonly skewSeconds?: number;
  readonly toleranceSeconds?: number;
  /** The last epoch millisecond at which the secret was valid that matched. */
  readonly oldSecretUntil?: number;
  /** Which of the rule's secrets it is about, counted from 1 in the order written. */
  readonly secretNumber?: number;
  /** What about the body, the URL or the secret has to change for the signature to match. */
  readonly change?: string;
  /** How the JSON was written that the sender signed. */
  readonly form?: JsonFormName;
  /** The scheme that the request fits. */
  readonly scheme?: VerifySpec["scheme"];
  /** Whether the request passes under that scheme with the configured secrets. */
  readonly isVerified?: boolean;
  readonly header?: string;
  readonly sent?: string;
  readonly expected?: string;
  readonly template?: string;
  readonly algorithm?: string;
}

/** A rule that refuses by a secret. */
export type SecretSpec = Exclude<VerifySpec, { readonly scheme: "none" }>;

export interface NumberedSecret extends Secret {
  /** Counted from 1, in the order written. */
  readonly number: number;
}

/** The rule that refused, reduced to the secrets worth trying, and the request. */
export interface Suspect {
  readonly spec: SecretSpec;
  readonly secrets: readonly NumberedSecret[];
  readonly request: SignedRequest;
  readonly refusal: Refusal;
}

/** If this request passes under this rule, then that is what was wrong. */
export interface Trial {
  readonly spec: VerifySpec;
  readonly request: SignedRequest;
  readonly finding: Finding;
}

export interface Suspicion {
  /** The refusals that it may explain. */
  readonly reasons: readonly RejectionReason[];
  /** Makes trials one at a time, so that those after a success cost nothing. */
  readonly trials: (suspect: Suspect) => Iterable<Trial>;
}
