/** Pingback's error envelope (pingback.md 2.2), and the one mapper into it. */
import { STATUS_CODES } from "node:http";
import { AppError, ERROR_STATUS } from "../../domain/errors.ts";
import type { Log } from "../../runtime/log.ts";

/** A refusal in Pingback's own words. */
export class Refusal extends Error {
  readonly status: number;
  /** Null: the reason phrase alone. */
  readonly words: string | readonly string[] | null;

  constructor(status: number, words: string | readonly string[] | null = null) {
    super(typeof words === "string" ? words : `HTTP ${status}`);
    this.name = "Refusal";
    this.status = status;
    this.words = words;
  }
}

export function answerRefusal(error: unknown, { log, path }: { log: Log; path: string }): Response {
  const { status, words, retryAfterMs } = toRefusal(error, { log, path });
  const reason = STATUS_CODES[status] ?? "Error";
  const body =
    words === null
      ? { message: reason, statusCode: status }
      : { message: words, error: reason, statusCode: status };
  const headers = new Headers();
  if (status === 503 || status === 429) {
    headers.set("retry-after", String(Math.max(1, Math.ceil((retryAfterMs ?? 1_000) / 1_000))));
  }
  // The rest of the request is still on its way: it is not read, so the connection cannot be used again.
  if (status === 408) headers.set("connection", "close");
  return Response.json(body, { status, headers });
}

function toRefusal(error: unknown, { log, path }: { log: Log; path: string }) {
  if (error instanceof Refusal) return { status: error.status, words: error.words, retryAfterMs: undefined };
  if (error instanceof AppError) {
    return { status: ERROR_STATUS[error.code], words: error.message, retryAfterMs: error.retryAfterMs };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error("pingback.failed", { path, error: text });
  return { status: 500, words: "Internal server error", retryAfterMs: undefined };
}
