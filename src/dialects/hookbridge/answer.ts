/**
 * HookBridge's envelope, both ways it comes: {"data","meta"} and {"error","meta"}. `meta` always has the
 * request id; lists always have `has_more` and a `next_cursor` that is a text or null, because the SDKs index
 * the first without a default and take an empty text for another page (protocol section 2.2).
 */
import { AppError, type ErrorCode } from "../../domain/errors.ts";
import type { RequestContext } from "../../http/door.ts";
import type { Log } from "../../runtime/log.ts";

/** Every code of protocol section 3.4 that is sent, with its status. */
const STATUS = {
  INVALID_REQUEST: 400,
  INVALID_ENDPOINT: 400,
  ENDPOINT_BLOCKED: 400,
  INVALID_HEADERS: 400,
  INVALID_STATUS: 400,
  // 400 on purpose: the SDKs know no 413 (protocol section 3.4).
  PAYLOAD_TOO_LARGE: 400,
  EXPORT_NOT_READY: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  ENDPOINT_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  DUPLICATE_URL: 409,
  IDEMPOTENCY_MISMATCH: 409,
  DELIVERY_IN_PROGRESS: 409,
  RETRY_IN_PROGRESS: 409,
  SIGNING_KEY_LIMIT: 409,
  LAST_SIGNING_KEY: 409,
  CONFLICT: 409,
  DECLARED_IN_CONFIG: 409,
  MESSAGE_DELETED: 410,
  RETENTION_EXPIRED: 410,
  PAYLOAD_UNAVAILABLE: 410,
  EXPORT_EXPIRED: 410,
  REPLAY_LIMIT_EXCEEDED: 429,
  BURST_LIMIT_EXCEEDED: 429,
  RATE_LIMITED: 429,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
} as const;

export type FaultCode = keyof typeof STATUS;

/** An error in HookBridge's words. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly retryAfterMs: number | null;
  readonly details: unknown;

  constructor(code: FaultCode, message: string, options: { retryAfterMs?: number; details?: unknown } = {}) {
    super(message);
    this.name = "Fault";
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.details = options.details ?? {};
  }
}

const CODE_OF: Readonly<Record<ErrorCode, FaultCode>> = {
  invalid_request: "INVALID_REQUEST",
  unauthorized: "UNAUTHORIZED",
  forbidden: "FORBIDDEN",
  not_found: "NOT_FOUND",
  method_not_allowed: "METHOD_NOT_ALLOWED",
  request_timeout: "REQUEST_TIMEOUT",
  conflict: "CONFLICT",
  declared_in_config: "DECLARED_IN_CONFIG",
  invalid_state: "INVALID_STATUS",
  gone: "PAYLOAD_UNAVAILABLE",
  body_too_large: "PAYLOAD_TOO_LARGE",
  invalid_config: "INVALID_REQUEST",
  target_blocked: "ENDPOINT_BLOCKED",
  rate_limited: "BURST_LIMIT_EXCEEDED",
  internal_error: "INTERNAL_ERROR",
  overloaded: "SERVICE_UNAVAILABLE",
  storage_unavailable: "SERVICE_UNAVAILABLE",
  paused: "SERVICE_UNAVAILABLE",
  shutting_down: "SERVICE_UNAVAILABLE",
};

export interface Extras {
  readonly status?: number;
  /** Beside request_id. */
  readonly meta?: object;
  /** Beside `data`. */
  readonly top?: object;
}

type Context = Pick<RequestContext, "requestId">;

/** Every 2xx carries a body, also for a deletion: some clients parse whatever comes (section 2.2 rule 1). */
export function answerData(
  context: Context,
  data: unknown,
  { status = 200, meta, top }: Extras = {},
): Response {
  const body = { data, ...top, meta: { request_id: context.requestId, ...meta } };
  return Response.json(body, { status });
}

export function answerList(context: Context, rows: readonly unknown[], cursor: string | null): Response {
  return answerData(context, rows, { meta: { has_more: cursor !== null, next_cursor: cursor } });
}

/** Returns the answer for anything that was thrown; logs what nobody foresaw. */
export function answerFault(
  error: unknown,
  context: Context & Pick<RequestContext, "path">,
  log: Log,
): Response {
  if (error instanceof Fault) {
    return answerError(context, { ...pick(error), status: STATUS[error.code] });
  }
  if (error instanceof AppError) {
    const { message, details = {}, retryAfterMs = null } = error;
    const code = CODE_OF[error.code];
    return answerError(context, { code, message, details, retryAfterMs, status: STATUS[code] });
  }
  const { requestId, path } = context;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error("http.failed", { requestId, path, error: text });
  const message = "something went wrong on our side; the log knows more";
  return answerError(context, {
    ...{ status: 500, code: "INTERNAL_ERROR", message, details: {}, retryAfterMs: null },
  });
}

function pick({ code, message, details, retryAfterMs }: Fault) {
  return { code, message, details, retryAfterMs };
}

interface Shown {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
  readonly retryAfterMs?: number | null;
}

export function answerError(context: Context, shown: Shown): Response {
  const { status, code, message, details, retryAfterMs = null } = shown;
  const headers = new Headers();
  // compat(hookbridge 3.1): whole seconds only; the Python SDK calls int() on it and dies of a date.
  if (status === 429 || status === 503) {
    headers.set("retry-after", String(Math.max(1, Math.ceil((retryAfterMs ?? 1_000) / 1_000))));
  }
  if (status === 401) headers.set("www-authenticate", 'Bearer realm="postern"');
  if (status === 408) headers.set("connection", "close");
  const shownDetails = typeof details === "object" && details !== null ? details : {};
  const body = {
    error: { code, message, details: shownDetails },
    meta: { request_id: context.requestId },
  };
  return Response.json(body, { status, headers });
}
