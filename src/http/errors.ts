/**
 * The native error envelope, {"error":{"code","message","details"},"requestId"}, and the one mapper into it.
 * What is no AppError is a mistake of ours: the client learns that it happened and nothing else, the log gets
 * the rest, once.
 */
import { AppError, ERROR_STATUS } from "../domain/errors.ts";
import type { Log } from "../runtime/log.ts";
import type { RequestContext } from "./door.ts";

export interface Failure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number | null | undefined;
}

/** Every 429 and 503 says when to come back; this when nobody knows better. */
const RETRY_AFTER_MS = 1_000;

/** Returns the answer that says `failure` in the native envelope. */
export function answerFailure(failure: Failure, context: Pick<RequestContext, "requestId">): Response {
  const { status, code, message, details = null } = failure;
  const headers = new Headers(failure.headers);
  if (status === 429 || status === 503) {
    headers.set(
      "retry-after",
      String(Math.max(1, Math.ceil((failure.retryAfterMs ?? RETRY_AFTER_MS) / 1_000))),
    );
  }
  // The rest of the request is still on its way: it is not read, so the connection cannot be used again.
  if (status === 408) headers.set("connection", "close");
  // RFC 9110 section 11.6.1: a 401 names the scheme that would help.
  if (code === "unauthorized") headers.set("www-authenticate", 'Bearer realm="postern"');
  const body = { error: { code, message, details }, requestId: context.requestId };
  return Response.json(body, { status, headers });
}

/** Returns the answer for anything that was thrown; logs what is no AppError. */
export function answerError(
  error: unknown,
  context: Pick<RequestContext, "requestId" | "path">,
  log: Log,
): Response {
  if (!(error instanceof AppError)) {
    log.error("http.failed", {
      requestId: context.requestId,
      path: context.path,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return answerFailure(
      {
        status: 500,
        code: "internal_error",
        message: "something went wrong on our side; the log knows more",
      },
      context,
    );
  }
  const { code, message, details, retryAfterMs } = error;
  return answerFailure(
    { status: ERROR_STATUS[code], code, message, details, headers: allowHeader(error), retryAfterMs },
    context,
  );
}

/**
 * An AppError for a method that a path does not know; its answer carries the Allow header of RFC 9110 15.5.6.
 */
export function methodNotAllowed(allowed: readonly string[]): AppError {
  return new AppError("method_not_allowed", `this path takes ${allowed.join(", ")}`, {
    details: { allowed },
  });
}

function allowHeader({ code, details }: AppError): Record<string, string> {
  if (code !== "method_not_allowed" || typeof details !== "object" || details === null) return {};
  const { allowed } = details as { readonly allowed?: unknown };
  return Array.isArray(allowed) ? { allow: allowed.join(", ") } : {};
}
