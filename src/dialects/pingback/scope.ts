/**
 * Whose project a request is about. A key belongs to one project and stands in for the hosted platform's
 * user; keys of the project `default` are the operator's and reach every project, as in the native API.
 * What belongs to another project is not found.
 */
import type { AppFunction, FunctionHost } from "../../domain/function.ts";
import { isOperator, type Principal } from "../../http/auth.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { Refusal } from "./failure.ts";
import type { FunctionOf } from "./show.ts";
import { readUuid } from "./wire.ts";

export function hostOf({ functions }: DialectContext, principal: Principal, uuid: string): FunctionHost {
  const id = readUuid(uuid);
  const host = functions.hosts().find((one) => one.id === id);
  const isReached = host && (host.project === principal.project || isOperator(principal));
  if (!isReached) throw new Refusal(404, "Project not found");
  return host;
}

/** A function of a project by its shown id; one that was made by hand and removed is gone. */
export async function jobOf(context: DialectContext, project: string, uuid: string): Promise<AppFunction> {
  const job = (await context.functions.list(project)).find(({ id }) => id === readUuid(uuid));
  if (!job || isRemoved(job)) throw new Refusal(404, "Job not found");
  return job;
}

export function isRemoved({ origin, status }: AppFunction): boolean {
  return origin === "manual" && status === "inactive";
}

export async function functionsByLane({ functions }: DialectContext, project: string): Promise<FunctionOf> {
  const byLane = new Map((await functions.list(project)).map((one) => [one.endpoint.lane, one]));
  return (lane) => byLane.get(lane);
}

export interface PageQuery {
  readonly page: number;
  readonly limit: number;
  readonly offset: number;
}

const LIMIT_MAX = 500;

/** Pages are counted from 1. */
export function readPageQuery(query: URLSearchParams, limitDefault = 20): PageQuery {
  const page = readCount(query, "page", { fallback: 1, max: 1_000_000 });
  const limit = readCount(query, "limit", { fallback: limitDefault, max: LIMIT_MAX });
  return { page, limit, offset: (page - 1) * limit };
}

interface CountRule {
  readonly fallback: number;
  readonly max: number;
}

/** A whole number from 1; throws a Refusal for anything else. */
export function readCount(query: URLSearchParams, name: string, { fallback, max }: CountRule): number {
  const text = query.get(name);
  if (text === null || text === "") return fallback;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= 1) return Math.min(value, max);
  throw new Refusal(400, [`${name} must be an integer not less than 1`]);
}

/** `dateFrom` and `dateTo`; the second is included. */
export function readDates(query: URLSearchParams): { since?: number; until?: number } {
  const since = readDate(query, "dateFrom");
  const to = readDate(query, "dateTo");
  return { ...(since === null ? {} : { since }), ...(to === null ? {} : { until: to + 1 }) };
}

function readDate(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null || text === "") return null;
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new Refusal(400, [`${name} must be a valid ISO 8601 date string`]);
  return at;
}
