/**
 * Notices: events that the engine itself makes, for whoever subscribes to them. They belong to a tenant of
 * their own, which no producer may use, and travel like any other event.
 */
import type { RateRule } from "./endpoint.ts";

/** The tenant of notices. */
export const NOTICE_TENANT = "postern";

export const NOTICE_TYPES = [
  "endpoint.opened", // its breaker opened: deliveries wait
  "endpoint.recovered", // and closed again, because an attempt succeeded
  "endpoint.disabled", // nothing is sent any more until somebody resumes it
  "dead_letters.threshold", // so many deliveries of the project were given up within a window
] as const;

export type NoticeType = (typeof NOTICE_TYPES)[number];

/** Marks the deliveries of notices, which must not lead to further ones. */
export const NOTICE_SPEC = '{"notice":true}';

/** How many deliveries have to be given up within which time before a project is told. */
export interface DeadLetterRule {
  readonly count: number;
  readonly windowMs: number;
}

export const DEFAULT_DEAD_LETTERS: DeadLetterRule = { count: 100, windowMs: 3_600_000 };

/** A breakdown of the network makes one notice per endpoint; a mistake of ours must not make a million. */
export const NOTICE_RATE: RateRule = { perSecond: 5, burst: 1_000 };
