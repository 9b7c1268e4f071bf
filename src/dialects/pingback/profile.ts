/** Pingback's strategies under one name. */
import { nextDelayMs, type Policy } from "../../domain/policy.ts";
import type { Pressure } from "../../domain/pressure.ts";
import type { Profile } from "../../domain/strategy.ts";
import { createEnvelope, Routes } from "./envelope.ts";
import { PINGBACK_INTERPRETER } from "./interpreter.ts";
import { PINGBACK_NAME } from "./wire.ts";

/**
 * Everything retries, after min(2^attempt, 60) seconds (pingback.md 4.2). Attempts are counted over the whole
 * life of an execution, so that one retried by hand after its last attempt gets a single try.
 */
const pingbackPolicy: Policy = ({ rule, attempt, attemptsBefore = 0, now }) => {
  const delayMs = nextDelayMs(rule, attempt + attemptsBefore);
  return delayMs === null ? { kind: "dead" } : { kind: "retry", at: now + delayMs, policyState: null };
};

/** A function is never disabled and has no breaker: each execution uses up its own attempts. */
const PINGBACK_PRESSURE: Pressure = {
  scope: "endpoint",
  counts: "failures",
  onOpen: "park",
  disableOn: [],
};

export const PINGBACK_PROFILE: Profile = {
  name: PINGBACK_NAME,
  envelope: createEnvelope(new Routes()),
  interpreter: PINGBACK_INTERPRETER,
  policy: pingbackPolicy,
  pressure: PINGBACK_PRESSURE,
};
