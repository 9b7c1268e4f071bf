/** What a receiver logged while it handled an attempt, as its answer told. It is stored with the outcome. */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogLine {
  /** Epoch ms by the receiver's own clock. */
  readonly at: number;
  readonly level: LogLevel;
  readonly message: string;
  /** JSON, or null. */
  readonly meta: string | null;
}
