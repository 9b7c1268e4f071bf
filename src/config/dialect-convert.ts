/** From the file's words for the foreign protocols to the program's. Pure. */
import type { HookbridgeConfig } from "./config.ts";
import type { DeclaredHookbridge } from "./dialect-schema.ts";

export function toHookbridge(declared: DeclaredHookbridge): HookbridgeConfig {
  return {
    allowHttp: declared.allow_http,
    signingTime: declared.signing_time,
    retryScale: declared.retry_scale,
    attemptsMax: declared.max_attempts,
    replaysMax: declared.replay_limit,
    timeoutMs: declared.timeout,
    requestsPerMinute: declared.requests_per_minute,
  };
}
