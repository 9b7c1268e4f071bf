/** Executions of functions and what they logged, as reads show them. Plain values. */
import type { AttemptRecord } from "./attempt.ts";
import type { DeliveryState } from "./delivery.ts";
import type { Id } from "./id.ts";
import type { LogLevel, LogLine } from "./log-line.ts";
import type { Lookup, Page, PageInput, TimeRange } from "./reads.ts";

/** Four words for the states of a delivery: it waits, it is under way, it ended well, it ended badly. */
export const EXECUTION_STATUSES = ["pending", "running", "success", "failed"] as const;
export type ExecutionStatus = (typeof EXECUTION_STATUSES)[number];

export const STATES_OF: Readonly<Record<ExecutionStatus, readonly DeliveryState[]>> = {
  pending: ["queued", "retrying", "held"],
  running: ["sending", "awaiting"],
  success: ["succeeded"],
  failed: ["dead", "cancelled", "discarded"],
};

export function executionStatus(state: DeliveryState): ExecutionStatus {
  return EXECUTION_STATUSES.find((status) => STATES_OF[status].includes(state)) ?? "pending";
}

export interface ExecutionFilter extends TimeRange {
  readonly project: string;
  readonly status?: ExecutionStatus;
  /** The function's number. */
  readonly lane?: number;
  readonly parentId?: Id;
  /** In its error, answer, payload, logs, or one of these functions' names. */
  readonly text?: { readonly part: string; readonly lanes: readonly number[] };
}

export interface Execution {
  readonly seq: number;
  readonly id: Id;
  readonly lane: number;
  readonly state: DeliveryState;
  /** Finished attempts. */
  readonly attemptCount: number;
  readonly createdAt: number;
  readonly scheduledAt: number;
  readonly dueAt: number | null;
  readonly finishedAt: number | null;
  readonly parent: { readonly id: Id; readonly lane: number } | null;
  readonly hasChildren: boolean;
  /** Whether a source made it: its payload is then the event's body, as it came. */
  readonly isEvent: boolean;
  /** Empty: none, or given up for the disk budget. */
  readonly payload: Uint8Array;
  /** Oldest first. */
  readonly attempts: readonly AttemptRecord[];
  /** In the order in which they were written. */
  readonly logs: readonly (LogLine & { readonly attempt: number })[];
}

export interface LogFilter extends TimeRange {
  readonly project: string;
  readonly lane?: number;
  readonly executionId?: Id;
  readonly level?: LogLevel;
  /** In the message. */
  readonly text?: string;
}

export interface StoredLog extends LogLine {
  readonly seq: number;
  /** Its place in lists. */
  readonly cursor: string;
  readonly attempt: number;
  readonly lane: number;
  readonly executionId: Id | null;
}

/** A page by number, with how many there are. */
export interface NumberedPage<Row> {
  readonly items: readonly Row[];
  /** Counted up to a bound. */
  readonly total: number;
}

export interface NumberedPageInput {
  readonly offset: number;
  readonly limit: number;
}

/** Buckets of time: `count` of them, each `widthMs` wide, the first beginning at `since`. */
export interface HistogramInput {
  readonly project: string;
  readonly since: number;
  readonly widthMs: number;
  readonly count: number;
}

/** How many of each kind fell into the bucket of this number. */
export interface HistogramCell {
  readonly bucket: number;
  readonly kind: string;
  readonly count: number;
}

/** How far a list goes that has to look through rows. */
export interface WalkInput extends PageInput {
  /** One stretch of the store: the page may be short, or empty, and have a next one nevertheless. */
  readonly isOneStretch?: boolean;
}

export interface FunctionReads {
  /** Newest first; without payload, logs and attempts but the last. */
  listExecutions(filter: ExecutionFilter & WalkInput): Promise<Page<Execution>>;
  pageExecutions(filter: ExecutionFilter & NumberedPageInput): Promise<NumberedPage<Execution>>;
  getExecution(lookup: Lookup): Promise<Execution | null>;
  /** The root of an execution first, then all that came of it, level by level; empty when there is none. */
  executionTree(lookup: Lookup): Promise<readonly Execution[]>;
  executionHistogram(input: HistogramInput): Promise<readonly HistogramCell[]>;
  /**
   * Newest first. With `after`, a cursor: what came after it, oldest first, and always a cursor to go on
   * from.
   */
  listLogs(filter: LogFilter & WalkInput & { readonly after?: string }): Promise<Page<StoredLog>>;
  pageLogs(filter: LogFilter & NumberedPageInput): Promise<NumberedPage<StoredLog>>;
  logHistogram(input: HistogramInput): Promise<readonly HistogramCell[]>;
}
