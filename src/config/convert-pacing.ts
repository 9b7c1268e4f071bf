/** From the file's words for the pace of an endpoint to the shape that the program sees. */
import type { BreakerConfig, PacingConfig, RateConfig } from "./config.ts";
import type { Declared } from "./schema.ts";

type DeclaredEndpoint = Declared["endpoint"][number];

export function toRate(rate: DeclaredEndpoint["rate"]): RateConfig | null {
  return rate ? { perSecond: rate.per_second, burst: rate.burst ?? Math.ceil(rate.per_second) } : null;
}

export function toBreaker({
  failures,
  recovery,
  max_recovery,
  rate,
}: DeclaredEndpoint["breaker"]): BreakerConfig {
  return {
    failures,
    recoveryMs: recovery,
    // A first wait beyond the default bound needs no second key.
    recoveryMaxMs: Math.max(recovery, max_recovery),
    ...(rate ? { rate: { ratio: rate.ratio, windowMs: rate.window, samplesMin: rate.min_samples } } : {}),
  };
}

export function toPacing(endpoint: DeclaredEndpoint): PacingConfig {
  const { ordering, poison, key_rate, slow_start, drain, disable_after } = endpoint;
  return {
    ordering,
    poison: toPoison(poison),
    keyRate: toRate(key_rate),
    slowStart: slow_start,
    drainPerSecond: drain?.per_second ?? null,
    disableAfterMs: disable_after ?? null,
  };
}

function toPoison(poison: DeclaredEndpoint["poison"]): PacingConfig["poison"] {
  if (typeof poison !== "string") return { kind: "skip", after: poison.skip_after };
  return poison === "skip" ? { kind: "skip", after: null } : { kind: poison };
}
