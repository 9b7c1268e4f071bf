/**
 * Reads the answer of a handler (pingback.md 3.6 to 3.8, 4.5): the outcome, what it logged, and the tasks
 * that it fans out to. A 2xx that says `status: "error"` is a failure (requirement 14). Whatever cannot be
 * read as Pingback's JSON counts by its status alone; one odd log entry loses no other, and no task.
 */
import type { Answer, Outcome } from "../../domain/attempt.ts";
import { functionEndpointName } from "../../domain/function.ts";
import { LOG_LEVELS, type LogLevel, type LogLine } from "../../domain/log-line.ts";
import type { FollowUp, Interpreter } from "../../domain/strategy.ts";
import { isObject, parseJson, writeJson } from "./json.ts";
import { PINGBACK_NAME } from "./wire.ts";

const CAPTURE_BYTES = 1_048_576;
const EXCERPT_BYTES = 10_240;
/** A handler that asks for more has a mistake in its loop. */
const TASKS_MAX = 10_000;
const LOGS_MAX = 10_000;
const ERROR_CHARS_MAX = 2_000;
const NO_BYTES = new Uint8Array(0);

export const PINGBACK_INTERPRETER: Interpreter = {
  captureBytesMax: CAPTURE_BYTES,
  excerptBytesMax: EXCERPT_BYTES,
  interpret(answer, { now }) {
    const said = readAnswer(answer);
    const outcome = outcomeOf(answer, said);
    const tasks = outcome.kind === "succeeded" ? readTasks(said.tasks, now) : [];
    const logs = readLogs(said.logs, now);
    const dropped = Math.max(listLength(said.tasks) - TASKS_MAX, 0);
    const detail = outcome.kind === "succeeded" && dropped > 0 ? writeJson({ droppedTasks: dropped }) : null;
    return { outcome, followUps: tasks, logs, detail };
  },
};

type Said = Readonly<Record<string, unknown>>;

function readAnswer(answer: Answer): Said {
  if (answer.kind !== "response" || answer.isBodyTruncated) return {};
  try {
    const value = parseJson(Buffer.from(answer.body).toString("utf8"));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function outcomeOf(answer: Answer, said: Said): Outcome {
  if (answer.kind === "error") {
    return { kind: "failed", failure: answer.failure, status: null, text: answer.text, retryAfterMs: null };
  }
  const { status } = answer;
  const isSuccess = status >= 200 && status < 300;
  if (isSuccess && !saysError(said)) return { kind: "succeeded", status };
  const failure = isSuccess ? "answer" : "status";
  return { kind: "failed", failure, status, text: errorText(status, said), retryAfterMs: null };
}

function saysError({ status, statusCode }: Said): boolean {
  return status === "error" || (typeof statusCode === "number" && statusCode >= 400);
}

function errorText(status: number, { error, message }: Said): string {
  const words = [error, message].find((text) => typeof text === "string" && text !== "");
  return words === undefined ? `HTTP ${status}` : `HTTP ${status}: ${words}`.slice(0, ERROR_CHARS_MAX);
}

function readTasks(tasks: unknown, now: number): FollowUp[] {
  if (!Array.isArray(tasks)) return [];
  return tasks.slice(0, TASKS_MAX).flatMap((task: unknown) => {
    if (!isObject(task) || typeof task.name !== "string") return [];
    const body = task.payload === undefined ? NO_BYTES : Buffer.from(writeJson(task.payload));
    const endpointName = functionEndpointName(task.name);
    return [
      { endpointName, profile: PINGBACK_NAME, payload: { headers: "{}", body }, spec: null, dueAt: now },
    ];
  });
}

function readLogs(logs: unknown, now: number): LogLine[] {
  if (!Array.isArray(logs)) return [];
  return logs.slice(0, LOGS_MAX).map((entry: unknown) => readLog(entry, now));
}

function readLog(entry: unknown, now: number): LogLine {
  if (!isObject(entry)) return { at: now, level: "info", message: textOf(entry), meta: null };
  const { timestamp, level, message, meta } = entry;
  const isTime = typeof timestamp === "number" && Math.abs(timestamp) <= Number.MAX_SAFE_INTEGER;
  return {
    at: isTime ? Math.round(timestamp) : now,
    level: LOG_LEVELS.includes(level as LogLevel) ? (level as LogLevel) : "info",
    message: textOf(message),
    meta: meta === undefined || meta === null ? null : writeJson(meta),
  };
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : writeJson(value);
}

function listLength(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}
