/**
 * Paging over what is held in memory. The cursor is the number of the last object shown, as in the store's
 * lists.
 */
import { badParameter } from "./query.ts";

const PAGE_LIMIT = 50;

interface PageQuery {
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

/** Returns one page of `objects`, which are in ascending order of their number. */
export function pageOfLiving<T>(
  objects: readonly T[],
  numberOf: (object: T) => number,
  { cursor, limit = PAGE_LIMIT }: PageQuery,
): { data: T[]; nextCursor: string | null } {
  const after = cursor === undefined ? 0 : readCursor(cursor);
  const rest = objects.filter((object) => numberOf(object) > after);
  const data = rest.slice(0, limit);
  const last = data.at(-1);
  const hasMore = rest.length > data.length && last !== undefined;
  return { data, nextCursor: hasMore ? Buffer.from(String(numberOf(last))).toString("base64url") : null };
}

function readCursor(text: string): number {
  const digits = Buffer.from(text, "base64url").toString("latin1");
  if (!/^[1-9]\d{0,15}$/.test(digits)) throw badParameter("cursor", "is none of ours");
  return Number(digits);
}
