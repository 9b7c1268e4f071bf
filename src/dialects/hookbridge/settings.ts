/** What the file says of projects to this dialect, and what holds where it is silent. */
import { HOUR, MINUTE, SECOND } from "../../domain/duration.ts";
import type { RetryRule } from "../../domain/policy.ts";
import type { HookbridgeSettings } from "../../domain/project-settings.ts";

export const DEFAULT_SETTINGS: HookbridgeSettings = {
  allowHttp: false,
  signingTime: "accepted",
  retryScale: 1,
  attemptsMax: 8,
  replaysMax: 10,
  timeoutMs: 30 * SECOND,
  requestsPerMinute: 0,
};

/** After 429 (protocol section 11.3). */
const FAST_MS = [30 * SECOND, MINUTE, 2 * MINUTE, 4 * MINUTE, 5 * MINUTE];
/** After 408, 5xx, and attempts without an answer. */
const SLOW_MS = [30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR, 96 * HOUR];

/** Returns the two ladders as these settings scale them. Delays are exact: tests rely on them. */
export function retryRule({ retryScale, attemptsMax }: HookbridgeSettings): RetryRule {
  const scaled = (delaysMs: readonly number[]) => delaysMs.map((ms) => Math.round(ms * retryScale));
  return { kind: "tiers", fastMs: scaled(FAST_MS), slowMs: scaled(SLOW_MS), attemptsMax, jitter: 0 };
}
