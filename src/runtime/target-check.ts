/**
 * The one check of targets that somebody names while the engine runs: every door's endpoints come through
 * here before they are stored. It keeps mistakes and probing out early; what protects is the check of the
 * address that each attempt then connects to, because names change their addresses.
 */
import { type Endpoint, egressFor } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Egress } from "./egress.ts";

export interface TargetCheckOptions {
  readonly clock: Clock;
  readonly directory: Pick<Directory, "egressOf">;
  readonly egress: Pick<Egress, "resolve">;
}

/** What of an endpoint decides where it may go. */
type Judged = Pick<Endpoint, "project" | "door"> & Partial<Pick<Endpoint, "isDeclared" | "allowPrivate">>;

/** Throws target_blocked for a private address that no rule allows. */
export type CheckTarget = (url: URL, endpoint: Judged) => Promise<void>;

/**
 * A name that does not resolve in this time is taken: it may appear later, and every attempt checks the
 * address that it then connects to.
 */
const RESOLVE_MS = 2_000;

/** Returns what a request calls a URL to deliver to. AppError: invalid_request. */
export function readTarget(text: string): URL {
  const url = URL.parse(text);
  const isPlain = url !== null && url.username === "" && url.password === "" && url.hash === "";
  if (isPlain && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new AppError("invalid_request", "an absolute http or https URL without credentials is expected");
}

export function createTargetCheck({ clock, directory, egress }: TargetCheckOptions): CheckTarget {
  return async (url, endpoint) => {
    const { isTrusted, allowPrivate } = egressFor(endpoint, directory.egressOf(endpoint.project));
    const late = Promise.withResolvers<null>();
    const timer = clock.setWallTimer(RESOLVE_MS, () => late.resolve(null));
    const resolution = await Promise.race([egress.resolve(url, isTrusted, allowPrivate), late.promise]);
    timer.cancel();
    if (resolution === null || resolution.ok || resolution.reason !== "blocked") return;
    throw new AppError("target_blocked", resolution.text);
  };
}
