/**
 * A list that has to look through rows goes through a stretch of numbers at a time, so that no query holds
 * the read thread for long, whatever the size of the store; its page may be short and have a next one.
 */
import type { Page } from "../domain/reads.ts";
import { toPage, writeCursor } from "./page.ts";

/** Numbers in one stretch: some 30 ms for log lines, 150 ms for executions whose payloads are read. */
export const STRETCH_SEQS = 100_000;

/** The oldest number there is, and the newest below the cursor; null where there is none. */
export interface Reach {
  readonly low: number | null;
  readonly high: number | null;
}

/** Returns where the stretch begins that ends below the cursor; 0 when it has nothing more below it. */
export function stretchStart({ low, high }: Reach): number {
  const start = (high ?? 0) - STRETCH_SEQS + 1;
  return start > (low ?? 0) ? start : 0;
}

/** Returns the page of a stretch: its next page goes on in it, or below it while there is anything. */
export function stretchPage<Row extends { readonly seq: number }>(
  rows: readonly Row[],
  limit: number,
  start: number,
): Page<Row> {
  const page = toPage(rows, limit);
  return page.nextCursor === null && start > 0 ? { ...page, nextCursor: writeCursor(start) } : page;
}
