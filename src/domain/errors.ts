/**
 * The one error type that crosses module borders. `code` is what callers and tests look at, `message` is safe
 * to show, `details` is structured and safe, `cause` is private. Every door maps the code to its own
 * envelope.
 */

/** Every code with the HTTP status that the native API gives it. Dialects map the codes themselves. */
export const ERROR_STATUS = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  declared_in_config: 409,
  invalid_state: 409,
  gone: 410,
  body_too_large: 413,
  invalid_config: 422,
  target_blocked: 422,
  rate_limited: 429,
  internal_error: 500,
  overloaded: 503,
  storage_unavailable: 503,
  paused: 503,
  shutting_down: 503,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

export interface AppErrorOptions {
  details?: unknown;
  cause?: unknown;
  /** Sent as Retry-After, rounded up to whole seconds. */
  retryAfterMs?: number;
}

export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: unknown;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
  }
}
