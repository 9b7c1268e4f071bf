/** Lists that look through texts: stretch by stretch until a page is full or the time is up. */
import type { Page, PageInput } from "../../domain/reads.ts";
import type { Clock } from "../../runtime/clock.ts";

/** Long enough for a million bodies in memory, short enough for somebody who waits. */
const SEARCH_MS = 1_500;
const PAGE_LIMIT = 50;

/**
 * Returns as much of a page as is found in time; its cursor goes on from there. `look` looks through one
 * stretch.
 */
export async function searchPage<Row>(
  clock: Clock,
  { cursor = null, limit = PAGE_LIMIT }: PageInput,
  look: (page: PageInput) => Promise<Page<Row>>,
): Promise<Page<Row>> {
  const untilMs = clock.monotonicMs() + SEARCH_MS;
  const data: Row[] = [];
  let next = cursor;
  do {
    const found = await look({ cursor: next, limit: limit - data.length });
    data.push(...found.data);
    next = found.nextCursor;
  } while (next !== null && data.length < limit && clock.monotonicMs() < untilMs);
  return { data, nextCursor: next };
}
