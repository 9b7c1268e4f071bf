/**
 * Pingback's words: what its clients send, read to ours, and ours shown as its JSON (pingback.md sections 2
 * and 5). Pure.
 */
import type { AppFunction, FunctionHost, FunctionWords } from "../../domain/function.ts";
import type { Id } from "../../domain/id.ts";
import { readPlan } from "../../domain/schedule-spec.ts";
import { isObject } from "./json.ts";
import { readTimeout } from "./words.ts";

/** Names our door and our profile in the store, so it stays for ever. */
export const PINGBACK_NAME = "pingback";

/** Always three digits: Python 3.10 reads no other number of them (requirement 12). */
export function showIsoTime(at: number): string {
  return new Date(at).toISOString();
}

export function showOptionalTime(at: number | null): string | null {
  return at === null ? null : showIsoTime(at);
}

export function showUuid(id: Id): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Null for what is no UUID: nothing of ours has such an id. */
export function readUuid(text: string): Id | null {
  return UUID.test(text) ? text.replaceAll("-", "").toLowerCase() : null;
}

/** What a request says, or every problem with it. */
export type Read<Words> =
  | { readonly ok: true; readonly words: Words }
  | { readonly ok: false; readonly problems: readonly string[] | string };

export interface RegisterWords {
  readonly functions: readonly FunctionWords[];
  readonly endpointUrl?: string;
  /** A UUID as the caller wrote it; only compared. */
  readonly projectId?: string;
}

export interface RegisterLimits {
  readonly timeoutMaxMs: number;
  readonly timezone: string;
}

/** A name is a key of a JSON answer and a line of a list. */
const NAME_CHARS_MAX = 500;
const FUNCTIONS_MAX = 10_000;

/** Reads the body of a registration (2.3); types are not coerced, unknown properties mean nothing. */
export function readRegistration(body: unknown, limits: RegisterLimits): Read<RegisterWords> {
  if (!isObject(body)) return { ok: false, problems: ["functions must be an array"] };
  const { functions, endpoint_url: endpointUrl, project_id: projectId } = body;
  const problems: string[] = [];
  if (!Array.isArray(functions)) problems.push("functions must be an array");
  if (endpointUrl !== undefined && endpointUrl !== null && typeof endpointUrl !== "string") {
    problems.push("endpoint_url must be a string");
  }
  if (projectId !== undefined && projectId !== null && !isUuid(projectId)) {
    problems.push("project_id must be a UUID");
  }
  const entries: readonly unknown[] = Array.isArray(functions) ? functions : [];
  if (entries.length > FUNCTIONS_MAX) problems.push(`functions must have at most ${FUNCTIONS_MAX} entries`);
  for (const [index, entry] of entries.entries())
    problems.push(...shapeProblems(entry, `functions.${index}`));
  if (problems.length > 0) return { ok: false, problems };
  const words: FunctionWords[] = [];
  for (const entry of entries) {
    const read = readFunction(entry as FunctionEntry, limits);
    if (!read.ok) return read;
    words.push(read.words);
  }
  return {
    ok: true,
    words: {
      functions: words,
      ...(typeof endpointUrl === "string" ? { endpointUrl } : {}),
      ...(typeof projectId === "string" ? { projectId } : {}),
    },
  };
}

function isUuid(value: unknown): boolean {
  return typeof value === "string" && UUID.test(value);
}

interface FunctionEntry {
  readonly name: string;
  readonly type: "cron" | "task";
  readonly schedule?: string | null;
  readonly options?: {
    readonly retries?: number | null;
    readonly timeout?: string | null;
    readonly concurrency?: number | null;
  } | null;
}

function shapeProblems(entry: unknown, at: string): string[] {
  if (!isObject(entry)) return [`${at} must be an object`];
  const { name, type, schedule, options } = entry;
  const problems: string[] = [];
  if (typeof name !== "string" || name === "" || name.length > NAME_CHARS_MAX) {
    problems.push(`${at}.name must be a non-empty string of at most ${NAME_CHARS_MAX} characters`);
  }
  if (type !== "cron" && type !== "task") {
    problems.push(`${at}.type must be one of the following values: cron, task`);
  }
  if (isGiven(schedule) && typeof schedule !== "string") problems.push(`${at}.schedule must be a string`);
  if (!isGiven(options)) return problems;
  if (!isObject(options)) return [...problems, `${at}.options must be an object`];
  const { retries, timeout, concurrency } = options;
  if (isGiven(retries) && !isWhole(retries, 0)) {
    problems.push(`${at}.options.retries must be an integer not less than 0`);
  }
  if (isGiven(timeout) && typeof timeout !== "string") {
    problems.push(`${at}.options.timeout must be a string`);
  }
  if (isGiven(concurrency) && !isWhole(concurrency, 1)) {
    problems.push(`${at}.options.concurrency must be an integer not less than 1`);
  }
  return problems;
}

export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

export function isWhole(value: unknown, min: number, max = 1_000_000): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function readFunction(entry: FunctionEntry, limits: RegisterLimits): Read<FunctionWords> {
  const { name, type: kind } = entry;
  const { retries, timeout, concurrency } = entry.options ?? {};
  const schedule = kind === "cron" ? (entry.schedule ?? "") : null;
  if (schedule !== null && !isSchedule(schedule, limits.timezone)) {
    return { ok: false, problems: `Invalid cron expression for "${name}": ${schedule}` };
  }
  const read = readTimeout(timeout ?? undefined, limits.timeoutMaxMs);
  if (read?.ok === false) return { ok: false, problems: `${read.problem} (function "${name}")` };
  return {
    ok: true,
    words: {
      ...{ name, kind, schedule },
      ...(isGiven(retries) ? { retries: retries as number } : {}),
      ...(read === null ? {} : { timeoutMs: read.ms }),
      ...(isGiven(concurrency) ? { concurrency: concurrency as number } : {}),
    },
  };
}

/** Aliases that we know and Pingback refuses (4.6). */
const NOT_PINGBACKS = /^\s*@(annually|midnight)\s*$/i;
const EVERY = /^\s*@every\s+(\S+)\s*$/i;

export function isSchedule(text: string, timezone: string): boolean {
  if (NOT_PINGBACKS.test(text)) return false;
  const every = EVERY.exec(text)?.[1];
  return readPlan(every === undefined ? { cron: text, timezone } : { every }, 0).ok;
}

/** A function as Pingback's job (5.4). */
export function showJob(one: AppFunction, host: Pick<FunctionHost, "id">) {
  return {
    id: showUuid(one.id),
    projectId: showUuid(host.id),
    name: one.name,
    schedule: one.schedule,
    type: one.kind,
    status: one.status,
    nextRunAt: showOptionalTime(one.nextRunAt),
    lastRunAt: showOptionalTime(one.lastRunAt),
    retries: one.retries,
    timeoutSeconds: Math.round(one.timeoutMs / 1_000),
    concurrency: one.concurrency,
    source: one.origin,
    createdAt: showIsoTime(one.createdAt),
    updatedAt: showIsoTime(one.updatedAt),
  };
}
