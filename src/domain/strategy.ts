/**
 * The seam between the engine and the protocols. What differs between a forwarded event, a hook, a message or
 * an execution travels with the delivery as the name of a Profile: an envelope, an interpreter, a policy and
 * a pressure rule. (The fifth strategy, the words of a product, lives in its dialect's wire.ts only.) The
 * engine looks the profile up and never asks which dialect it serves. A dialect registers its profiles in
 * app.ts.
 */
import type { AckUrls } from "./acknowledgement.ts";
import type { Answer, Outcome } from "./attempt.ts";
import type { DeliveryState, NewPayload } from "./delivery.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Id } from "./id.ts";
import type { LogLine } from "./log-line.ts";
import type { Policy } from "./policy.ts";
import type { Pressure } from "./pressure.ts";

/** What is sent is always one of these: immutable facts of the delivery, without its state. */
export interface DeliveryFacts {
  readonly id: Id;
  readonly eventId: Id | null;
  readonly project: string;
  readonly createdAt: number;
  /** When it was first to be sent. */
  readonly scheduledAt: number;
  /** JSON of the dialect that made it. */
  readonly spec: string | null;
}

export interface Payload {
  /** Header names are lower-case, one value each. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface EnvelopeInput {
  readonly delivery: DeliveryFacts;
  readonly endpoint: Endpoint;
  readonly payload: Payload;
  /** 1-based, over the whole life of the delivery. */
  readonly attempt: number;
  /** How many attempts were made before the last replay; absent: none. */
  readonly attemptsBefore?: number;
  /** Engine time, epoch ms: what a body may show. */
  readonly now: number;
  /** Wall time, epoch ms: what a signature timestamp must be made of, also under a virtual clock. */
  readonly wallNow: number;
  /** Where the receiver may report on this attempt later; good for so long from now. */
  readonly ackUrls: (forMs: number) => AckUrls;
}

export interface OutboundRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array | null;
  readonly fallback?: Fallback;
}

/**
 * Another URL for the same bytes, asked at once when the first answer shows that nobody there knew of them.
 * It counts as the same attempt.
 */
export interface Fallback {
  readonly url: string;
  readonly isWanted: (answer: Answer) => boolean;
  /** Told when the answer of the other URL is no such one. */
  readonly onFound: () => void;
}

/**
 * Thrown by an envelope when there is nothing to send any more: the delivery is dead at once, with this text
 * as its error. The message is safe to show.
 */
export class DeliveryRefusedError extends Error {
  override readonly name = "DeliveryRefusedError";
}

/** May throw DeliveryRefusedError. Anything else that it throws is a failed attempt like any other. */
export type Envelope = (input: EnvelopeInput) => OutboundRequest;

/** Its endpoint by id, or by its name in the project of the delivery that it follows. */
export type FollowUpTarget = { readonly endpointId: Id } | { readonly endpointName: string };

/**
 * A delivery that an answer asks for (fan-out). It commits with the outcome or not at all. One whose endpoint
 * is not in service is left out.
 */
export type FollowUp = FollowUpTarget & {
  readonly profile: string;
  readonly payload: NewPayload;
  readonly spec: string | null;
  readonly dueAt: number;
};

export interface Interpretation {
  readonly outcome: Outcome;
  readonly followUps: readonly FollowUp[];
  /** Kept whatever the outcome is. */
  readonly logs?: readonly LogLine[];
  /** JSON to keep with the attempt, or null. */
  readonly detail: string | null;
}

export interface InterpreterContext {
  readonly delivery: DeliveryFacts;
  readonly endpoint: Endpoint;
  readonly attempt: number;
  readonly now: number;
}

export interface Interpreter {
  /** How much of the answer's body is read. */
  readonly captureBytesMax: number;
  /** How much of it is stored with the attempt. */
  readonly excerptBytesMax: number;
  readonly interpret: (answer: Answer, context: InterpreterContext) => Interpretation;
}

/** What became of a report on one of a product's deliveries, as runtime/acknowledgements.ts judged it. */
export interface Reported {
  readonly kind: "applied" | "repeated" | "resolved" | "superseded" | "expired";
  readonly deliveryId: Id;
  readonly attempt: number;
  readonly isAck: boolean;
  readonly state: DeliveryState;
}

/** Puts it into the product's own words. */
export type ReportAnswer = (reported: Reported) => { readonly status: number; readonly body: unknown };

export interface Profile {
  readonly name: string;
  readonly envelope: Envelope;
  readonly interpreter: Interpreter;
  readonly policy: Policy;
  readonly pressure: Pressure;
  /** How a report at /cb/<token> is answered; the native words when absent. */
  readonly reportAnswer?: ReportAnswer;
}

/** All profiles by name. A second one of the same name is a wiring mistake and stops the start. */
export function createProfiles(profiles: readonly Profile[]): ReadonlyMap<string, Profile> {
  const byName = new Map<string, Profile>();
  for (const profile of profiles) {
    if (byName.has(profile.name)) throw new Error(`profile ${profile.name} is registered twice`);
    byName.set(profile.name, profile);
  }
  return byName;
}
