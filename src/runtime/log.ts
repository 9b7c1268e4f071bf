/**
 * Structured log lines on stdout: JSON, one object per line, with stable event names. Secrets never reach it:
 * callers log names, ids and counts, and dropping well-known names below is the second line of defence.
 */
import { SonicBoom } from "sonic-boom";

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

/**
 * Lines wait until this many bytes are together, or until FLUSH_EVERY_MS; a line per write costs a system
 * call.
 */
const BUFFER_BYTES = 8_192;
const FLUSH_EVERY_MS = 500;

/** `wallNow` gives the epoch milliseconds that lines carry. */
export function createLog(level: LogLevel, wallNow: () => number): Log {
  const destination = new SonicBoom({
    fd: 1,
    sync: true,
    minLength: level === "debug" ? 0 : BUFFER_BYTES,
    periodicFlush: FLUSH_EVERY_MS,
  });
  const threshold = LOG_LEVELS.indexOf(level);
  const writerOf = (name: LogLevel) => {
    if (LOG_LEVELS.indexOf(name) < threshold) return () => {};
    const head = `{"level":"${name}","time":"`;
    return (event: string, fields?: Fields) => {
      const rest = fields === undefined ? "{}" : JSON.stringify(redact(fields));
      const tail = rest === "{}" ? "}\n" : `,${rest.slice(1)}\n`;
      destination.write(`${head}${new Date(wallNow()).toISOString()}","event":"${event}"${tail}`);
    };
  };
  return {
    debug: writerOf("debug"),
    info: writerOf("info"),
    warn: writerOf("warn"),
    error: writerOf("error"),
    flush: () => destination.flushSync(),
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
