/**
 * Posthook's words: its hook object, its times and ids, its statuses and its errors (reference sections 3
 * and 6). Pure. The caller's `data` is never parsed on the way out: its text is put where it belongs.
 */
import type { DeliveryState } from "../../domain/delivery.ts";
import { AppError, type ErrorCode } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { HookSpec } from "./spec.ts";

export type HookStatus = "pending" | "retry" | "completed" | "failed";

/** Section 6.1. There is no word for cancelled: what was taken back is gone. */
const STATUS_OF: Readonly<Record<DeliveryState, HookStatus>> = {
  queued: "pending",
  sending: "pending",
  awaiting: "pending",
  held: "pending",
  retrying: "retry",
  succeeded: "completed",
  dead: "failed",
  // By another door only: what this product's clients cancel is gone.
  cancelled: "failed",
  discarded: "failed",
  stored: "pending",
  fetched: "pending",
};

/** Which deliveries a status shows. */
export const STATES_OF: Readonly<Record<HookStatus, readonly DeliveryState[]>> = {
  pending: ["queued", "sending", "awaiting", "held"],
  retry: ["retrying"],
  completed: ["succeeded"],
  failed: ["dead", "cancelled", "discarded"],
};

export function statusOf(state: DeliveryState): HookStatus {
  return STATUS_OF[state];
}

/** Ids are UUIDs to Posthook. */
export function showHookId(id: Id): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Null for anything that is no UUID: such a hook does not exist (section 5.4). */
export function readHookId(text: string): Id | null {
  const isUuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
  return isUuid ? text.replaceAll("-", "").toLowerCase() : null;
}

/**
 * Section 6: UTC with Z, no fraction when it is zero, else three digits. Python before 3.11 takes no others.
 */
export function showTime(at: number): string {
  return new Date(at).toISOString().replace(".000Z", "Z");
}

export interface Hook {
  readonly id: Id;
  readonly spec: HookSpec;
  readonly domain: string | null;
  /** JSON text. */
  readonly data: string;
  readonly postAt: number;
  readonly status: HookStatus;
  /** When the next attempt is due; null when there is none. */
  readonly tryAt: number | null;
  readonly attempts: number;
  readonly lastDurationMs: number;
  readonly error: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Returns the JSON text of a hook with its data spliced in. Absent members are left out (section 6). */
export function hookText(hook: Hook): string {
  const { id, spec, domain, data, tryAt, error } = hook;
  const head = { id: showHookId(id), path: spec.path, ...(domain === null ? {} : { domain }) };
  const tail = {
    postAt: showTime(hook.postAt),
    status: hook.status,
    ...(tryAt === null ? {} : { tryAt: showTime(tryAt) }),
    postDurationSeconds: hook.lastDurationMs / 1_000,
    attempts: hook.attempts,
    failureError: error,
    ...(spec.retryOverride === undefined ? {} : { retryOverride: spec.retryOverride }),
    createdAt: showTime(hook.createdAt),
    updatedAt: showTime(hook.updatedAt),
  };
  return splice(head, data, tail);
}

/** Returns one JSON object: the members of `head`, then `data` as its text is, then those of `tail`. */
export function splice(head: object, data: string, tail: object): string {
  return `${JSON.stringify(head).slice(0, -1)},"data":${data},${JSON.stringify(tail).slice(1)}`;
}

/** Sections 3.2 and 3.3: the typed statuses of the SDKs are preferred, so 404 stands for 405 as well. */
const STATUS_OF_ERROR: Readonly<Partial<Record<ErrorCode, number>>> = {
  invalid_request: 400,
  request_timeout: 400,
  invalid_config: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 404,
  gone: 404,
  conflict: 409,
  declared_in_config: 409,
  invalid_state: 409,
  body_too_large: 413,
  rate_limited: 429,
  overloaded: 503,
  storage_unavailable: 503,
  paused: 503,
  shutting_down: 503,
};

export interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

/** Returns how an error is told; null for what is no AppError, which is a mistake of ours. */
export function refusalOf(error: unknown): Refusal | null {
  if (!(error instanceof AppError)) return null;
  const { code, message, retryAfterMs } = error;
  return { status: STATUS_OF_ERROR[code] ?? 500, message, retryAfterMs };
}
