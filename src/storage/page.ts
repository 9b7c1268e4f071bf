/**
 * Pages and cursors. A cursor is the seq of the last row shown, so rows that come or go meanwhile shift
 * nothing.
 */
import { AppError } from "../domain/errors.ts";
import type { Page, PageInput } from "../domain/reads.ts";

export const PAGE_LIMIT = 50;
export const PAGE_LIMIT_MAX = 500;

/**
 * Where a query starts and how many rows it reads: one more than the page, to know whether there is a next.
 */
export interface PageBounds {
  readonly before: number;
  readonly limit: number;
}

/** Throws invalid_request for a limit out of range or a cursor that is none. */
export function pageBounds({ cursor = null, limit = PAGE_LIMIT }: PageInput): PageBounds {
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_LIMIT_MAX) {
    throw new AppError("invalid_request", `limit must be an integer from 1 to ${PAGE_LIMIT_MAX}`);
  }
  return { before: cursor === null ? Number.MAX_SAFE_INTEGER : readCursor(cursor), limit };
}

export function toPage<Row extends { readonly seq: number }>(rows: readonly Row[], limit: number): Page<Row> {
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  return { data, nextCursor: rows.length > limit && last ? writeCursor(last.seq) : null };
}

export function writeCursor(seq: number): string {
  return Buffer.from(String(seq)).toString("base64url");
}

/** Throws invalid_request. */
export function readCursor(text: string): number {
  const digits = Buffer.from(text, "base64url").toString("latin1");
  const seq = Number(digits);
  if (!/^[1-9]\d{0,15}$/.test(digits) || !Number.isSafeInteger(seq)) {
    throw new AppError("invalid_request", "the cursor is none of ours");
  }
  return seq;
}
