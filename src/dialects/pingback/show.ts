/** Executions and log lines as Pingback's JSON (pingback.md sections 4.1, 5.5, 5.6 and 6). Pure. */
import type { AttemptRecord } from "../../domain/attempt.ts";
import { type Execution, executionStatus, type StoredLog } from "../../domain/execution.ts";
import type { AppFunction } from "../../domain/function.ts";
import type { LogLine } from "../../domain/log-line.ts";
import { parseJson } from "./json.ts";
import { payloadOfEvent } from "./payload.ts";
import { showIsoTime, showOptionalTime, showUuid } from "./wire.ts";

/** Finds the function of a number. */
export type FunctionOf = (lane: number) => AppFunction | undefined;

export function showExecution(one: Execution, functionOf: FunctionOf) {
  const status = executionStatus(one.state);
  const isFinal = status === "success" || status === "failed";
  const last = isFinal ? one.attempts.at(-1) : undefined;
  const before = last ? one.attempts.slice(0, -1) : one.attempts;
  const logsOf = (number: number) => one.logs.filter(({ attempt }) => attempt === number).map(showLogEntry);
  const startedAt =
    last?.startedAt ?? (status === "running" ? Math.max(one.dueAt ?? 0, one.createdAt) : null);
  const jobId = functionOf(one.lane)?.id;
  return {
    id: showUuid(one.id),
    jobId: jobId === undefined ? null : showUuid(jobId),
    status,
    attempt: isFinal ? Math.max(one.attemptCount, 1) : one.attemptCount + 1,
    scheduledAt: showIsoTime(one.scheduledAt),
    startedAt: showOptionalTime(startedAt),
    completedAt: isFinal ? showOptionalTime(one.finishedAt) : null,
    durationMs: last?.durationMs ?? null,
    httpStatus: last?.status ?? null,
    responseBody: last === undefined ? null : showExcerpt(last.excerpt),
    errorMessage: last?.error ?? (one.state === "cancelled" ? "cancelled" : null),
    logs: last ? logsOf(last.number) : [],
    attempts: before.map((attempt) => ({ ...showAttempt(attempt), logs: logsOf(attempt.number) })),
    parentId: one.parent === null ? null : showUuid(one.parent.id),
    payload: showPayload(one),
    createdAt: showIsoTime(one.createdAt),
  };
}

function showAttempt({ number, startedAt, durationMs, status, error }: AttemptRecord) {
  return {
    attempt: number,
    status: "failed" as const,
    startedAt: showIsoTime(startedAt),
    completedAt: showIsoTime(startedAt + durationMs),
    durationMs,
    httpStatus: status,
    errorMessage: error,
  };
}

function showLogEntry({ at, level, message, meta }: LogLine) {
  return { timestamp: at, level, message, ...(meta === null ? {} : { meta: parseJson(meta) }) };
}

/** Cut at a character's border: what is left of the last one is dropped. */
function showExcerpt(excerpt: Uint8Array | null): string | null {
  return excerpt === null ? null : new TextDecoder().decode(excerpt, { stream: true });
}

/** Null also stands for none: JSON has no third thing. */
function showPayload({ payload, isEvent }: Execution): unknown {
  const text = isEvent ? payloadOfEvent(payload) : Buffer.from(payload).toString("utf8");
  return text === "" ? null : parseJson(text);
}

/** One line of a list of logs; `jobName` is null when its function was removed with its history. */
export function showLog(line: StoredLog, functionOf: FunctionOf) {
  const job = functionOf(line.lane);
  return {
    executionId: line.executionId === null ? null : showUuid(line.executionId),
    jobId: job === undefined ? null : showUuid(job.id),
    jobName: job?.name ?? null,
    ...showLogEntry(line),
  };
}

/** A node of the workflow graph (section 6). */
export function showNode(one: Execution, functionOf: FunctionOf) {
  const job = functionOf(one.lane);
  const shown = showExecution(one, functionOf);
  return {
    id: shown.id,
    functionName: job?.name ?? null,
    type: job?.kind ?? null,
    schedule: job?.schedule ?? null,
    status: shown.status,
    durationMs: shown.durationMs,
    attempt: shown.attempt,
    maxRetries: job?.retries ?? 0,
    parentId: shown.parentId,
    jobId: shown.jobId,
    scheduledAt: shown.scheduledAt,
    completedAt: shown.completedAt,
    errorMessage: shown.errorMessage,
    payload: shown.payload,
    responseBody: shown.responseBody,
  };
}
