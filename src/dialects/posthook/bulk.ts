/**
 * Bulk retry, replay and cancel (reference section 10), by ids or by a range of postAt. Hooks in another
 * status, of another project or unknown are passed over, and `affected` counts what really changed.
 */
import type { DatedFilter, DatedRow } from "../../domain/dated.ts";
import type { DeliveryState } from "../../domain/delivery.ts";
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { JsonText } from "../../domain/json-span.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { readTime } from "./draft.ts";
import type { PosthookProject } from "./projects.ts";
import { PROFILE_NAME } from "./spec.ts";
import { readHookId } from "./wire.ts";

export const OPERATIONS = ["retry", "replay", "cancel"] as const;
export type Operation = (typeof OPERATIONS)[number];

const STATES: Readonly<Record<Operation, readonly DeliveryState[]>> = {
  retry: ["dead"],
  replay: ["succeeded"],
  // What is in flight cannot be said to be "never delivered" any more.
  cancel: ["queued", "awaiting", "held", "retrying"],
};
const COUNT_MAX = 1_000;
/** Hooks with their data in memory at once: at most 4 MiB of it. */
const CHUNK = 64;

type BulkContext = Pick<DialectContext, "dated" | "datedReads" | "commands" | "clock">;

export class Bulk {
  readonly #context: BulkContext;

  constructor(context: BulkContext) {
    this.#context = context;
  }

  /** Returns how many hooks were changed, or made. */
  async run(operation: Operation, project: PosthookProject, json: JsonText): Promise<number> {
    const { project: name } = project;
    const ids = readIds(json) ?? (await this.#find(readFilter(json, name, STATES[operation])));
    let affected = 0;
    for (let at = 0; at < ids.length; at += CHUNK) {
      const done = await Promise.all(
        ids.slice(at, at + CHUNK).map((id) => this.#apply(operation, project, id)),
      );
      affected += done.filter(Boolean).length;
    }
    return affected;
  }

  async #find(filter: DatedFilter | null): Promise<readonly Id[]> {
    if (filter === null) return [];
    const ids: Id[] = [];
    let after: DatedFilter["after"];
    while (ids.length < filter.limit) {
      const limit = Math.min(CHUNK, filter.limit - ids.length);
      const page = await this.#context.datedReads.listDated({
        ...filter,
        limit,
        ...(after ? { after } : {}),
      });
      ids.push(...page.rows.map(({ id }) => id));
      const last = page.rows.at(-1);
      if (!last || !page.hasMore) break;
      after = { at: last.scheduledAt, seq: last.seq };
    }
    return ids;
  }

  #apply(operation: Operation, project: PosthookProject, id: Id): Promise<boolean> {
    const { dated, clock } = this.#context;
    const states = STATES[operation];
    if (operation === "cancel") {
      const now = clock.now();
      return dated.remove({ project: project.project, profile: PROFILE_NAME, id, now, states });
    }
    return operation === "retry" ? this.#retry(project.project, id) : this.#replay(project, id);
  }

  /** The same hook again, with all of its attempts anew (open question 8). */
  async #retry(project: string, id: Id): Promise<boolean> {
    if (!(await this.#row("retry", project, id))) return false;
    try {
      await this.#context.commands.replay(project, id);
      return true;
    } catch (error) {
      // Another one was faster, or its data is no longer kept.
      if (error instanceof AppError && PASSED_OVER.has(error.code)) return false;
      throw error;
    }
  }

  /** A new hook, due now, with the data and the retry policy of the old one (open question 9). */
  async #replay({ project, endpoint }: PosthookProject, id: Id): Promise<boolean> {
    const row = await this.#row("replay", project, id);
    if (!row || row.body === null) return false;
    const now = this.#context.clock.now();
    const payload = { headers: "{}", body: row.body };
    const spec = row.spec ?? "{}";
    await this.#context.dated.create(endpoint, { payload, spec, scheduledAt: now, now, charge: null });
    return true;
  }

  async #row(operation: Operation, project: string, id: Id): Promise<DatedRow | null> {
    const row = await this.#context.datedReads.getDated({ project, profile: PROFILE_NAME, id });
    return row && STATES[operation].includes(row.state) ? row : null;
  }
}

const PASSED_OVER: ReadonlySet<string> = new Set(["invalid_state", "not_found", "gone", "conflict"]);

type Body = Readonly<Record<string, unknown>>;

function bodyOf(json: JsonText): Body {
  json.members();
  return json.value as Body;
}

/**
 * Null when the body has the other form. Ids that are none cannot be found, and one that stands twice counts
 * once.
 */
function readIds(json: JsonText): readonly Id[] | null {
  const { hookIDs = null, ...rest } = bodyOf(json);
  if (hookIDs === null) return null;
  if (FILTER_KEYS.some((key) => (rest[key] ?? null) !== null)) {
    throw new AppError("invalid_request", "hookIDs cannot be combined with a filter");
  }
  if (!Array.isArray(hookIDs) || hookIDs.some((id) => typeof id !== "string")) {
    throw new AppError("invalid_request", "hookIDs must be a list of ids");
  }
  if (hookIDs.length > COUNT_MAX) {
    throw new AppError("invalid_request", `hookIDs takes at most ${COUNT_MAX} ids`);
  }
  return [...new Set((hookIDs as string[]).flatMap((id) => readHookId(id) ?? []))];
}

const FILTER_KEYS = ["startTime", "endTime", "limit", "endpointKey", "sequenceID"] as const;

/** Null when nothing can match: there are no sequences here. */
function readFilter(json: JsonText, project: string, states: readonly DeliveryState[]): DatedFilter | null {
  const { startTime, endTime, limit, endpointKey = null, sequenceID = null } = bodyOf(json);
  if ((startTime ?? null) === null || (endTime ?? null) === null) {
    throw new AppError("invalid_request", "either hookIDs or startTime and endTime are required");
  }
  const scheduledFrom = readTime(startTime, "startTime");
  const scheduledBefore = readTime(endTime, "endTime");
  for (const [name, value] of Object.entries({ endpointKey, sequenceID })) {
    if (value !== null && typeof value !== "string") {
      throw new AppError("invalid_request", `${name} must be a string`);
    }
  }
  const count = readLimit(limit);
  if (sequenceID !== null && sequenceID !== "") return null;
  return {
    ...{ project, profile: PROFILE_NAME, states, scheduledFrom, scheduledBefore, limit: count },
    ...{ sortBy: "scheduledAt", isDescending: false },
    ...(typeof endpointKey === "string" && endpointKey !== "" ? { path: endpointKey } : {}),
  };
}

/** Go leaves it out when it is zero (section 10). */
function readLimit(limit: unknown): number {
  if (limit === undefined || limit === null) return COUNT_MAX;
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 1 && limit <= COUNT_MAX) return limit;
  throw new AppError("invalid_request", `limit must be an integer from 1 to ${COUNT_MAX}`);
}
