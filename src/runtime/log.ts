/**
 * Structured log lines on stdout: JSON, one object per line, with stable event names. Secrets never reach it:
 * callers log names, ids and counts, and dropping well-known names below is the second line of defence.
 */
import { writeSync } from "node:fs";
import type { Clock } from "./clock.ts";
import { LogOutput, type LogOutputOptions } from "./log-output.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** Writes what is buffered; called last before the process ends. */
  flush(): void;
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Names of fields whose values are never written. */
const REDACTED: ReadonlySet<string> = new Set([
  "secret",
  "secrets",
  "authorization",
  "cookie",
  "key",
  "password",
]);

/** A line per write costs a system call. */
const BUFFER_CHARS = 8_192;

/** `clock.wallNow` gives the epoch milliseconds that lines carry. */
export function createLog(
  level: LogLevel,
  clock: Pick<Clock, "wallNow" | "setWallTimer">,
  write: LogOutputOptions["write"] = (bytes) => writeSync(1, bytes),
): Log {
  const wallTime = () => new Date(clock.wallNow()).toISOString();
  const output = new LogOutput({
    ...{ clock, write, bufferChars: level === "debug" ? 0 : BUFFER_CHARS },
    lostLine: (lines) => `{"level":"warn","time":"${wallTime()}","event":"log.lost","lines":${lines}}\n`,
  });
  const threshold = LOG_LEVELS.indexOf(level);
  const writerOf = (name: LogLevel) => {
    if (LOG_LEVELS.indexOf(name) < threshold) return () => {};
    const head = `{"level":"${name}","time":"`;
    return (event: string, fields?: Fields) => {
      const rest = fields === undefined ? "{}" : JSON.stringify(redact(fields));
      const tail = rest === "{}" ? "}\n" : `,${rest.slice(1)}\n`;
      output.write(`${head}${wallTime()}","event":"${event}"${tail}`);
    };
  };
  return {
    debug: writerOf("debug"),
    info: writerOf("info"),
    warn: writerOf("warn"),
    error: writerOf("error"),
    flush: () => output.flush(),
  };
}

function redact(fields: Fields): Fields {
  for (const name in fields) {
    if (!REDACTED.has(name)) continue;
    const entries = Object.entries(fields).map(([key, value]) => [
      key,
      REDACTED.has(key) ? "(redacted)" : value,
    ]);
    return Object.fromEntries(entries);
  }
  return fields;
}

export const SILENT_LOG: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  flush: () => {},
};
