/** What the file says of a project to the foreign protocols: one table each, read by nobody else. */
import { type Static, Type } from "@sinclair/typebox";
import { oneOf } from "./schema-parts.ts";
import { duration } from "./values.ts";

export const Hookbridge = Type.Object({
  allow_http: Type.Boolean({ default: false }),
  signing_time: oneOf(["accepted", "attempt"], { default: "accepted" }),
  retry_scale: Type.Number({ minimum: 0, maximum: 1_000, default: 1 }),
  max_attempts: Type.Integer({ minimum: 1, maximum: 100, default: 8 }),
  replay_limit: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 10 }),
  timeout: duration({ default: "30s" }),
  requests_per_minute: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 0 }),
});

export type DeclaredHookbridge = Static<typeof Hookbridge>;
