/**
 * Functions: what an application registered for us to call. A function is stored as an endpoint named
 * `function:<name>` and, when it is a cron, a schedule of the same name; an execution is a delivery to it.
 * What an endpoint has no place for is the JSON in its `extra`. Pure.
 */
import type { Endpoint } from "./endpoint.ts";
import type { Id } from "./id.ts";
import type { Schedule } from "./schedule-definition.ts";
import type { SignSpec } from "./signature/index.ts";

export const FUNCTION_DEFAULTS = { retries: 0, timeoutMs: 30_000, concurrency: 1 } as const;

export type FunctionKind = "cron" | "task";
/** `inactive`: the application no longer has it. `paused`: its schedule rests; it can still be started. */
export type FunctionStatus = "active" | "paused" | "inactive";

/** What was set by hand; a registration that is silent about it leaves it alone. */
export interface FunctionOverrides {
  readonly retries?: number;
  readonly timeoutMs?: number;
  readonly concurrency?: number;
}

export interface FunctionExtra {
  readonly kind: FunctionKind;
  /** The cron expression as written; null for a task. */
  readonly schedule: string | null;
  /** Its schedule, which is retired while it has none. */
  readonly scheduleId: Id | null;
  /** `sdk`: the application registers it; `manual`: made through an API, no registration touches it. */
  readonly origin: "sdk" | "manual";
  readonly isPaused: boolean;
  /** A source names it, but no application has registered it (any more): what comes for it is held. */
  readonly isAwaited: boolean;
  readonly overrides: FunctionOverrides;
}

export interface AppFunction extends FunctionExtra {
  readonly id: Id;
  readonly project: string;
  readonly name: string;
  readonly status: FunctionStatus;
  readonly retries: number;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly nextRunAt: number | null;
  readonly lastRunAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly endpoint: Endpoint;
  /** The stored schedule, the retired one included. */
  readonly planned: Schedule | null;
}

/** What one entry of a registration says, checked; what is absent was not said. */
export interface FunctionWords {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly schedule: string | null;
  readonly retries?: number;
  readonly timeoutMs?: number;
  readonly concurrency?: number;
}

/** How the protocol that registers functions wants them called. */
export interface FunctionStyle {
  /** Whose objects they are. */
  readonly door: string;
  /** What their executions follow. */
  readonly profile: string;
  readonly sign: (secret: string) => readonly SignSpec[];
}

/** The application of a project. */
export interface FunctionHost {
  readonly id: Id;
  readonly project: string;
  readonly title: string;
  readonly domain: string | null;
  /** As it was given, byte for byte. */
  readonly endpointUrl: string | null;
  /** What requests to it are signed with, as text. */
  readonly secret: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** No other endpoint has a name with a colon. */
const PREFIX = "function:";

export function functionEndpointName(name: string): string {
  return PREFIX + name;
}

/** Returns the name of the function that an endpoint stands for; null when it stands for none. */
export function functionNameOf({ name }: { readonly name: string }): string | null {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : null;
}

export function readFunctionExtra({ extra }: Pick<Endpoint, "extra">): FunctionExtra {
  return JSON.parse(extra ?? "{}") as FunctionExtra;
}

export function toFunction(endpoint: Endpoint, schedule: Schedule | null): AppFunction {
  const stored = readFunctionExtra(endpoint);
  // Schedules can be paused by themselves, too.
  const isPaused = stored.isPaused || (schedule?.pausedAt ?? null) !== null;
  const extra = { ...stored, isPaused };
  const { id, project, retry, timeoutMs, concurrency, createdAt, updatedAt } = endpoint;
  return {
    ...extra,
    ...{ id, project, timeoutMs, concurrency, createdAt, updatedAt, endpoint, planned: schedule },
    name: functionNameOf(endpoint) ?? endpoint.name,
    status: statusOf(endpoint, extra),
    retries: retry.kind === "exponential" ? retry.attemptsMax - 1 : 0,
    nextRunAt: schedule?.nextRunAt ?? null,
    lastRunAt: schedule?.lastRunAt ?? null,
  };
}

function statusOf({ deletedAt }: Endpoint, { isPaused, isAwaited }: FunctionExtra): FunctionStatus {
  if (deletedAt !== null || isAwaited) return "inactive";
  return isPaused ? "paused" : "active";
}
