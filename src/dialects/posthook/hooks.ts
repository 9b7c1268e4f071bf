/**
 * Hooks one by one: schedule, get, delete (reference sections 5.1, 5.3 and 5.4), and how a stored one is
 * shown.
 */
import type { DatedRow } from "../../domain/dated.ts";
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { JsonText } from "../../domain/json-span.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { readDraft } from "./draft.ts";
import type { PosthookProject } from "./projects.ts";
import { extraOf, PROFILE_NAME, specOf } from "./spec.ts";
import { hookText, readHookId, showTime, statusOf } from "./wire.ts";

export interface Scheduled {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface QuotaUse {
  readonly limit: number;
  readonly used: number;
  readonly resetsAt: number;
}

type HooksContext = Pick<DialectContext, "dated" | "datedReads" | "clock">;

/** What a month's hooks are counted under in the store. */
const ALLOWANCE = "posthook hooks";
const utf8 = new TextDecoder();

/** The monthly quota was used up; carries what its answer's headers say. */
export class QuotaError extends AppError {
  readonly use: QuotaUse;

  constructor(use: QuotaUse) {
    super("rate_limited", "the monthly hook quota is used up");
    this.use = use;
  }
}

export class Hooks {
  readonly #context: HooksContext;

  constructor(context: HooksContext) {
    this.#context = context;
  }

  /** Resolves after the hook is on disk. Throws invalid_request, body_too_large, QuotaError. */
  async schedule({ settings, endpoint }: PosthookProject, json: JsonText): Promise<Scheduled> {
    const { clock, dated } = this.#context;
    const now = clock.now();
    const { spec, data, postAt } = readDraft(json, now);
    const { periodAt, resetsAt } = monthOf(now);
    const charge = settings.quota === null ? null : { name: ALLOWANCE, periodAt, usedMax: settings.quota };
    const result = await dated.create(endpoint, {
      payload: { headers: "{}", body: data },
      spec: JSON.stringify(spec),
      scheduledAt: postAt,
      now,
      charge,
    });
    const use = { limit: settings.quota ?? 0, used: result.used ?? 0, resetsAt };
    if (result.kind === "refused") throw new QuotaError(use);
    const text = hookText({
      ...{ id: result.id, spec, domain: extraOf(endpoint).domain, data: utf8.decode(data), postAt },
      ...{ status: "pending", tryAt: Math.max(postAt, now), attempts: 0, lastDurationMs: 0, error: "" },
      ...{ createdAt: now, updatedAt: now },
    });
    return { text, headers: settings.quota === null ? {} : quotaHeaders(use) };
  }

  /** Throws not_found, also for an id that is none. */
  async get({ project, endpoint }: PosthookProject, shownId: string): Promise<string> {
    const row = await this.#context.datedReads.getDated({
      project,
      profile: PROFILE_NAME,
      id: readId(shownId),
    });
    if (!row) throw noHook();
    return showRow(row, extraOf(endpoint).domain);
  }

  /** Takes a hook back, whatever its status; the second time throws not_found. */
  async delete({ project }: PosthookProject, shownId: string): Promise<void> {
    const { dated, clock } = this.#context;
    const removal = { project, profile: PROFILE_NAME, id: readId(shownId), now: clock.now() };
    if (!(await dated.remove(removal))) throw noHook();
  }
}

/** Returns the JSON text of a stored hook. */
export function showRow(row: DatedRow, domain: string | null): string {
  const { state, attemptCount, budgetStart, lastAttempt, createdAt, finishedAt } = row;
  const attempts = attemptCount - budgetStart;
  const attemptedAt = lastAttempt === null ? 0 : lastAttempt.startedAt + lastAttempt.durationMs;
  return hookText({
    id: row.id,
    spec: specOf(row.spec),
    domain,
    data: row.body === null ? "{}" : utf8.decode(row.body),
    postAt: row.scheduledAt,
    status: statusOf(state),
    tryAt: state === "awaiting" ? null : row.dueAt,
    attempts,
    lastDurationMs: lastAttempt?.durationMs ?? 0,
    // What a hook that is tried anew failed of before is history.
    error: attempts === 0 || state === "succeeded" ? "" : (row.lastError ?? ""),
    createdAt,
    updatedAt: Math.max(createdAt, attemptedAt, finishedAt ?? 0),
  });
}

/** Section 4. Integers only: the Python SDK fails on anything else, after the hook was made. */
export function quotaHeaders({ limit, used, resetsAt }: QuotaUse): Readonly<Record<string, string>> {
  return {
    "Posthook-HookQuota-Limit": String(limit),
    "Posthook-HookQuota-Usage": String(used),
    "Posthook-HookQuota-Remaining": String(Math.max(0, limit - used)),
    "Posthook-HookQuota-Resets-At": showTime(resetsAt),
  };
}

function monthOf(now: number): { periodAt: number; resetsAt: number } {
  const date = new Date(now);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return { periodAt: Date.UTC(year, month), resetsAt: Date.UTC(year, month + 1) };
}

function readId(shownId: string): Id {
  const id = readHookId(shownId);
  if (id === null) throw noHook();
  return id;
}

function noHook(): AppError {
  return new AppError("not_found", "hook not found");
}
