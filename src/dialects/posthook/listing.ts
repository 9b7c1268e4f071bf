/** The list (reference section 9): every filter, both sorts, pages by limit, offset and cursor. */
import type { DatedFilter, DatedPage } from "../../domain/dated.ts";
import { AppError } from "../../domain/errors.ts";
import { parseInstant } from "../../domain/instant.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { showRow } from "./hooks.ts";
import type { PosthookProject } from "./projects.ts";
import { extraOf, PROFILE_NAME } from "./spec.ts";
import { STATES_OF } from "./wire.ts";

const LIMIT = 10;
const LIMIT_MAX = 1_000;
const OFFSET_MAX = 1_000_000;

/**
 * Returns the body of the answer. The SDKs go on strictly after the last hook's postAt, so a page by postAt
 * is extended through all hooks of that instant: none is passed over (section 9.1).
 */
export async function listHooks(
  reads: DialectContext["datedReads"],
  { project, endpoint }: PosthookProject,
  search: string,
): Promise<string> {
  const filter = readFilter(project, new URLSearchParams(search));
  let page = await reads.listDated(filter);
  const goesOnByTime = filter.sortBy === "scheduledAt" && !filter.isDescending;
  if (page.isTied && goesOnByTime && filter.offset === undefined && filter.after === undefined) {
    page = await reads.listDated({ ...filter, withTies: true });
  }
  const { domain } = extraOf(endpoint);
  const rows = page.rows.map((row) => showRow(row, domain));
  return `{"data":[${rows.join(",")}],"meta":${JSON.stringify(metaOf(page, filter))}}`;
}

function metaOf({ rows, totalCount, hasMore }: DatedPage, filter: DatedFilter) {
  const last = rows.at(-1);
  return {
    ...(totalCount === null ? {} : { totalItems: totalCount }),
    ...(hasMore && last ? { cursor: writeCursor(filter, last) } : {}),
  };
}

/** Throws invalid_request for a value that cannot be meant. Unknown parameters are ignored. */
function readFilter(project: string, query: URLSearchParams): DatedFilter {
  const sortBy = readSort(query);
  const isDescending = readOrder(query);
  const status = query.get("status");
  const cursor = query.get("cursor");
  const offset = readInteger(query, "offset", [0, OFFSET_MAX]);
  return {
    project,
    profile: PROFILE_NAME,
    sortBy,
    isDescending,
    limit: readInteger(query, "limit", [1, LIMIT_MAX]) ?? LIMIT,
    ...(status === null ? {} : { states: readStates(status) }),
    ...(offset === undefined || offset === 0 ? {} : { offset }),
    ...(cursor === null ? {} : { after: readCursor(cursor, sortBy, isDescending) }),
    ...readBounds(query),
  };
}

const BOUNDS = {
  postAtBefore: "scheduledBefore",
  postAtAfter: "scheduledAfter",
  createdAtBefore: "createdBefore",
  createdAtAfter: "createdAfter",
} as const;

function readBounds(query: URLSearchParams): Partial<DatedFilter> {
  const bounds: Partial<Record<(typeof BOUNDS)[keyof typeof BOUNDS], number>> = {};
  for (const [name, bound] of Object.entries(BOUNDS)) {
    const text = query.get(name);
    if (text === null || text === "") continue;
    // A plus sign that was not escaped arrives as a space.
    const at = parseInstant(text.replace(" ", "+"));
    if (at === null) throw new AppError("invalid_request", `${name} must be an RFC 3339 time`);
    bounds[bound] = at;
  }
  return bounds;
}

/** Own members only: "constructor" is no status. */
function readStates(status: string) {
  const states = Object.entries(STATES_OF).find(([name]) => name === status)?.[1];
  if (!states) throw new AppError("invalid_request", "status must be pending, retry, completed or failed");
  return states;
}

function readSort(query: URLSearchParams): DatedFilter["sortBy"] {
  const sortBy = query.get("sortBy") || "postAt";
  if (sortBy !== "postAt" && sortBy !== "createdAt") {
    throw new AppError("invalid_request", "sortBy must be postAt or createdAt");
  }
  return sortBy === "postAt" ? "scheduledAt" : "createdAt";
}

function readOrder(query: URLSearchParams): boolean {
  const order = (query.get("sortOrder") || "ASC").toUpperCase();
  if (order !== "ASC" && order !== "DESC") {
    throw new AppError("invalid_request", "sortOrder must be ASC or DESC");
  }
  return order === "DESC";
}

/**
 * Never brought within its bounds in silence: a shorter page than asked for ends an SDK's loop (section 9).
 */
function readInteger(
  query: URLSearchParams,
  name: string,
  [min, max]: readonly [number, number],
): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new AppError("invalid_request", `${name} must be an integer from ${min} to ${max}`);
}

interface CursorRow {
  readonly seq: number;
  readonly scheduledAt: number;
  readonly createdAt: number;
}

function writeCursor({ sortBy, isDescending }: DatedFilter, row: CursorRow): string {
  const at = sortBy === "scheduledAt" ? row.scheduledAt : row.createdAt;
  return Buffer.from(JSON.stringify([sortBy, isDescending, at, row.seq])).toString("base64url");
}

function readCursor(text: string, sortBy: string, isDescending: boolean): { at: number; seq: number } {
  const wrong = () => new AppError("invalid_request", "the cursor is none of this list");
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    throw wrong();
  }
  const [by, isDown, at, seq] = Array.isArray(parts) ? (parts as unknown[]) : [];
  if (by !== sortBy || isDown !== isDescending || !Number.isInteger(at) || !Number.isInteger(seq))
    throw wrong();
  return { at: at as number, seq: seq as number };
}
