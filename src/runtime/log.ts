/**
 * Structured log lines on stdout: JSON, one object per line, with stable event names. Secrets never reach it:
 * callers log names, ids and counts, and the redaction below is the second line of defence for whole objects.
 */
import pino from "pino";

export interface Log {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Writes what is buffered; called last before the process ends. */
  flush(): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

const REDACTED_PATHS = [
  "secret",
  "secrets",
  "authorization",
  "headers.authorization",
  "headers.cookie",
  "key",
];

/**
 * Lines wait until this many bytes are together, or until FLUSH_EVERY_MS; a line per write costs a system
 * call.
 */
const BUFFER_BYTES = 8_192;
const FLUSH_EVERY_MS = 500;

export function createLog(level: LogLevel): Log {
  const destination = pino.destination({
    fd: 1,
    sync: true,
    minLength: level === "debug" ? 0 : BUFFER_BYTES,
    periodicFlush: FLUSH_EVERY_MS,
  });
  const logger = pino(
    {
      level,
      base: null,
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED_PATHS, censor: "(redacted)" },
    },
    destination,
  );
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
    flush: () => destination.flushSync(),
  };
}

export const SILENT_LOG: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  flush: () => {},
};
