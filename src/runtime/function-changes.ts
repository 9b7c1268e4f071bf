/**
 * What a registration, a hand or the configuration changes about functions, as commands for the store: the
 * endpoint of each function, and the schedule of each cron. All commands of one change are applied together
 * or not at all. Decides; stores nothing.
 */
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import {
  type AppFunction,
  FUNCTION_DEFAULTS,
  type FunctionExtra,
  type FunctionHost,
  type FunctionStyle,
  type FunctionWords,
  functionEndpointName,
} from "../domain/function.ts";
import type { Id } from "../domain/id.ts";
import type { RetryRule } from "../domain/policy.ts";
import {
  isSameTiming,
  NO_NEXT_RUN,
  nextAfter,
  planOf,
  type ScheduleDefinition,
} from "../domain/schedule-definition.ts";
import type { ScheduleSpec } from "../domain/schedule-spec.ts";
import type { EndpointWrite, FunctionChange } from "./ports.ts";

/** What a function is to become. */
export interface FunctionTarget extends Omit<FunctionExtra, "scheduleId"> {
  readonly name: string;
  readonly retries: number;
  readonly timeoutMs: number;
  readonly concurrency: number;
}

export interface ChangeContext {
  readonly host: FunctionHost;
  readonly style: FunctionStyle;
  /** Cron fields are read in it. */
  readonly timezone: string;
  /** Whether the file, not an API, says where the functions are. */
  readonly isDeclared: boolean;
  readonly now: number;
  readonly nextId: () => Id;
}

const AWAITED = "no application has registered this function";

/** min(2^attempt, 60) seconds after a failed attempt, without jitter (pingback.md 4.2). */
function retryRule(retries: number): RetryRule {
  return {
    ...{ kind: "exponential", delayMs: 2_000, factor: 2, delayMaxMs: 60_000 },
    ...{ attemptsMax: retries + 1, ageMaxMs: null, jitter: 0 },
  };
}

/** Returns what makes `target` of an existing function, or a new one. Nothing when it is that already. */
export function putFunction(
  target: FunctionTarget,
  existing: AppFunction | null,
  context: ChangeContext,
): FunctionChange[] {
  const { nextId } = context;
  const runs = target.schedule !== null && !target.isAwaited;
  const scheduleId = existing?.scheduleId ?? (runs ? nextId() : null);
  const schedule = runs ? target.schedule : null;
  return [
    ...(scheduleId === null
      ? []
      : scheduleChanges({ ...target, schedule }, { id: scheduleId, existing, context })),
    ...endpointChanges(target, { id: scheduleId, existing, context }),
  ];
}

function endpointChanges(
  target: FunctionTarget,
  { id: scheduleId, existing, context }: PartInput<Id | null>,
): FunctionChange[] {
  const { nextId, host, style, now } = context;
  const { name, retries, timeoutMs, concurrency } = target;
  const { kind, schedule, origin, isPaused, isAwaited, overrides } = target;
  const extra: FunctionExtra = { kind, schedule, scheduleId, origin, isPaused, isAwaited, overrides };
  const definition: EndpointWrite = {
    id: existing?.id ?? nextId(),
    project: host.project,
    name: functionEndpointName(name),
    door: style.door,
    profile: style.profile,
    url: host.endpointUrl ?? "",
    headers: {},
    sign: style.sign(host.secret),
    retry: retryRule(retries),
    ...{ concurrency, timeoutMs, rate: null, breaker: { failures: 0, recoveryMs: 1_000 } },
    ...(context.isDeclared ? { isDeclared: true } : {}),
    extra: JSON.stringify(extra),
  };
  const endpoint = existing?.endpoint;
  if (endpoint && endpoint.deletedAt === null && isSameDefinition(endpoint, definition)) return [];
  return [{ verb: "putEndpoint", definition, now }];
}

/** Returns what takes a function out of service. Its history stays, and what waits is still sent. */
export function retireFunction(existing: AppFunction, context: ChangeContext): FunctionChange[] {
  const { now } = context;
  const { scheduleId: id, planned } = existing;
  const target = { ...existing, isPaused: false };
  return [
    ...(planned?.deletedAt === null ? [{ verb: "retireSchedule" as const, id: planned.id, now }] : []),
    ...endpointChanges(target, { id, existing, context }),
    { verb: "retireEndpoint", id: existing.id, now },
  ];
}

interface PartInput<ScheduleId> {
  /** Of its schedule. */
  readonly id: ScheduleId;
  readonly existing: AppFunction | null;
  readonly context: ChangeContext;
}

function scheduleChanges(target: FunctionTarget, { id, existing, context }: PartInput<Id>): FunctionChange[] {
  const { now, host, style, timezone } = context;
  const planned = existing?.planned ?? null;
  const isLiving = planned !== null && planned.deletedAt === null;
  if (target.schedule === null) {
    return isLiving ? [{ verb: "retireSchedule", id, now }] : [];
  }
  const timing = timingOf(target.schedule, timezone);
  const isSame = isLiving && isSameTiming(planned.timing, timing);
  if (isSame && planned.activeMax === target.concurrency) return [];
  const definition: ScheduleDefinition = {
    project: host.project,
    name: functionEndpointName(target.name),
    timing,
    missed: { kind: "once" },
    overlap: "skip",
    activeMax: target.concurrency,
    activeScope: "endpoint",
    endpoint: functionEndpointName(target.name),
    content: { headers: {}, body: "" },
  };
  const plan = planOf({ timing, anchorAt: now });
  if (plan === null) throw new AppError("invalid_request", `Invalid cron expression: ${target.schedule}`);
  const first = isSame ? null : { anchorAt: now, ...nextAfter(plan, id, now) };
  return [{ verb: "putSchedule", write: { id, door: style.door, definition, timing: first, now } }];
}

/** Absent options mean what was set by hand, else the defaults. */
export function targetOf(words: FunctionWords, existing: AppFunction | null): FunctionTarget {
  const isBack = existing === null || existing.status === "inactive";
  const overrides = existing?.overrides ?? {};
  const { name, kind, schedule, retries, timeoutMs, concurrency } = words;
  return {
    ...{ name, kind, schedule, overrides, origin: "sdk", isAwaited: false },
    isPaused: isBack ? false : existing.isPaused,
    retries: retries ?? overrides.retries ?? FUNCTION_DEFAULTS.retries,
    timeoutMs: timeoutMs ?? overrides.timeoutMs ?? FUNCTION_DEFAULTS.timeoutMs,
    concurrency: concurrency ?? overrides.concurrency ?? FUNCTION_DEFAULTS.concurrency,
  };
}

/** A function whose application has moved, or has another secret; one out of service stays so. */
export function moveFunction(existing: AppFunction, context: ChangeContext): FunctionChange[] {
  if (existing.endpoint.deletedAt !== null) {
    const { endpoint } = existing;
    const url = context.host.endpointUrl ?? "";
    const sign = context.style.sign(context.host.secret);
    const isSame = endpoint.url === url && JSON.stringify(endpoint.sign) === JSON.stringify(sign);
    return isSame ? [] : retireFunction(existing, context);
  }
  return putFunction(existing, existing, context);
}

/** A pause of the schedule, or its end. */
export function pauseFunction(
  existing: AppFunction,
  target: FunctionTarget,
  context: ChangeContext,
): FunctionChange[] {
  const { planned } = existing;
  if (planned === null || planned.deletedAt !== null) return [];
  const { now } = context;
  if (target.isPaused) {
    return [{ verb: "setSchedulePaused", pause: { id: planned.id, at: now, ...NO_NEXT_RUN, now } }];
  }
  // What would have run meanwhile is not made up for: the pause was meant.
  const plan = planOf(planned);
  const next = plan === null ? NO_NEXT_RUN : nextAfter(plan, planned.id, now);
  return [{ verb: "setSchedulePaused", pause: { id: planned.id, at: null, ...next, now } }];
}

/** Makes a place where what comes for a function can wait until an application registers it. */
export function awaitFunction(
  name: string,
  existing: AppFunction | null,
  context: ChangeContext,
): FunctionChange[] {
  const target: FunctionTarget = {
    ...FUNCTION_DEFAULTS,
    ...{ name, kind: "task", schedule: null, origin: "sdk", isPaused: false, overrides: {} },
    ...existing,
    isAwaited: true,
  };
  const changes = putFunction(target, existing, context);
  const put = changes.find((change) => change.verb === "putEndpoint");
  return put ? [...changes, holdFunction(put.definition.id, context)] : changes;
}

/** Lets what comes for a function wait until it is registered. */
export function holdFunction(id: Id, { now }: ChangeContext): FunctionChange {
  return { verb: "setEndpointDisabled", id, disabled: { at: now, reason: AWAITED } };
}

/** `@every 15m` is a promise of the product that its hosted platform does not keep; here it works. */
function timingOf(schedule: string, timezone: string): ScheduleSpec {
  const every = /^\s*@every\s+(\S+)\s*$/i.exec(schedule)?.[1];
  return every === undefined ? { cron: schedule, timezone } : { every };
}

function isSameDefinition(endpoint: Endpoint, definition: EndpointWrite): boolean {
  const keys = Object.keys(definition) as (keyof EndpointWrite)[];
  return (
    endpoint.isDeclared === definition.isDeclared &&
    keys.every((key) => JSON.stringify(endpoint[key]) === JSON.stringify(definition[key]))
  );
}
