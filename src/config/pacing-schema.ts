/** The keys of an endpoint that say how it is paced: breaker, order, what follows an outage. */

import { Type } from "@sinclair/typebox";
import { count, oneOf, Rate } from "./schema-parts.ts";
import { duration } from "./values.ts";

const FailureRate = Type.Object({
  ratio: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
  window: duration({ default: "1m" }),
  min_samples: count(20),
});

const Breaker = Type.Object(
  {
    failures: count(10, 0),
    recovery: duration({ default: "30s" }),
    max_recovery: duration({ default: "10m" }),
    rate: Type.Optional(FailureRate),
  },
  { default: {} },
);

const Poison = Type.Union(
  [
    oneOf(["block", "park", "skip"]),
    Type.Object({ skip_after: Type.Integer({ minimum: 1, maximum: 1_000 }) }),
  ],
  { default: "block", expected: '"block", "park", "skip" or { skip_after = 5 }' },
);

const DrainRate = Type.Object({ per_second: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }) });

export const PACING_KEYS = {
  breaker: Breaker,
  ordering: oneOf(["none", "key", "endpoint"], { default: "none" }),
  poison: Poison,
  key_rate: Type.Optional(Rate),
  slow_start: Type.Boolean({ default: true }),
  drain: Type.Optional(DrainRate),
  disable_after: Type.Optional(duration()),
};
