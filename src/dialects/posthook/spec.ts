/**
 * What a hook carries beside its data, and what a project's endpoint carries beside its address: the two JSON
 * texts that the engine keeps for this dialect without reading them.
 */
import type { Endpoint } from "../../domain/endpoint.ts";

export const PROFILE_NAME = "posthook";
export const DOOR = "posthook";
/** No name of a declared endpoint has a colon, so none can be in the way. */
export const ENDPOINT_NAME = "posthook:domain";

export interface RetryOverride {
  readonly minRetries: number;
  readonly delaySecs: number;
  readonly strategy: "fixed" | "exponential";
  readonly backoffFactor?: number;
  readonly maxDelaySecs?: number;
  readonly jitter?: boolean;
}

export interface HookSpec {
  readonly path: string;
  readonly retryOverride?: RetryOverride;
}

export interface ProjectExtra {
  readonly domain: string | null;
  readonly isAsync: boolean;
}

export function specOf(spec: string | null): HookSpec {
  return JSON.parse(spec ?? '{"path":"/"}') as HookSpec;
}

/** Endpoints are replaced when they change, so what one says is read once. */
const extras = new WeakMap<Endpoint, ProjectExtra>();

export function extraOf(endpoint: Endpoint): ProjectExtra {
  const known = extras.get(endpoint);
  if (known) return known;
  const extra = JSON.parse(endpoint.extra ?? '{"domain":null,"isAsync":false}') as ProjectExtra;
  extras.set(endpoint, extra);
  return extra;
}
