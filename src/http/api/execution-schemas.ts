/** Executions and log lines as the native API shows them. */
import { type Static, Type } from "@sinclair/typebox";
import { DELIVERY_STATES } from "../../domain/delivery.ts";
import {
  EXECUTION_STATUSES,
  type Execution,
  executionStatus,
  type StoredLog,
} from "../../domain/execution.ts";
import { functionNameOf } from "../../domain/function.ts";
import { type Id, readId, showId } from "../../domain/id.ts";
import { LOG_LEVELS } from "../../domain/log-line.ts";
import type { Directory } from "../../runtime/directory.ts";
import { ATTEMPT, showAttempt } from "./deliveries.ts";
import {
  BODY_ENCODING,
  INSTANT,
  named,
  nullable,
  oneOf,
  showBody,
  showInstant,
  showJson,
  showOptionalInstant,
} from "./schemas.ts";

export const EXECUTION_STATUS = oneOf(EXECUTION_STATUSES);
export const LOG_LEVEL = oneOf(LOG_LEVELS);

const EXECUTION_MEMBERS = {
  id: Type.String({
    description: "An execution is a delivery: this is its id.",
    examples: ["dlv_01970000000070008000000000000000"],
  }),
  executionId: Type.String({ format: "uuid", description: "The same id as its application knows it." }),
  function: nullable(Type.String({ description: "Its name." })),
  functionId: nullable(Type.String()),
  status: EXECUTION_STATUS,
  state: oneOf(DELIVERY_STATES, "The same more exactly: the state of the delivery."),
  attemptCount: Type.Integer({ description: "Finished attempts." }),
  createdAt: INSTANT,
  scheduledAt: INSTANT,
  dueAt: nullable(INSTANT),
  finishedAt: nullable(INSTANT),
  durationMs: nullable(Type.Number({ description: "Of the newest attempt." })),
  lastStatus: nullable(Type.Integer({ description: "HTTP status of the newest attempt." })),
  lastError: nullable(Type.String()),
  parentId: nullable(Type.String({ description: "The execution that asked for this one." })),
  hasChildren: Type.Boolean(),
};

export const EXECUTION = named("Execution", EXECUTION_MEMBERS);

export const EXECUTION_TREE = named("ExecutionTree", {
  rootId: Type.String(),
  nodes: Type.Array(EXECUTION, {
    description: "The root first, then level by level; parentId makes the edges. At most 10,000.",
  }),
});

const LINE_MEMBERS = {
  attempt: Type.Integer(),
  at: Type.String({ format: "date-time", description: "By the application's clock." }),
  level: LOG_LEVEL,
  message: Type.String(),
  meta: Type.Unknown({ description: "Any JSON value, or null." }),
};

const EXECUTION_LOG = named("ExecutionLog", LINE_MEMBERS);

export const LOG_LINE = named("LogLine", {
  cursor: Type.String({ description: "Where it stands: what `cursor` and `after` take." }),
  executionId: nullable(Type.String({ description: "The execution's id; null when it is kept no longer." })),
  function: nullable(Type.String()),
  ...LINE_MEMBERS,
});

export const EXECUTION_DETAIL = named("ExecutionDetail", {
  ...EXECUTION_MEMBERS,
  payload: nullable(
    Type.String({ description: "As stored, JSON unless an event made it; null: none, or kept no longer." }),
  ),
  payloadEncoding: nullable(BODY_ENCODING),
  attempts: Type.Array(ATTEMPT, { description: "The newest 200, oldest first." }),
  logs: Type.Array(EXECUTION_LOG, { description: "What its attempts logged, in order." }),
});

export function showExecution(one: Execution, directory: Directory): Static<typeof EXECUTION> {
  const endpoint = directory.endpointOfLane(one.lane);
  const last = one.attempts.at(-1);
  return {
    id: showId("delivery", one.id),
    executionId: showUuid(one.id),
    function: endpoint ? functionNameOf(endpoint) : null,
    functionId: endpoint ? showId("endpoint", endpoint.id) : null,
    status: executionStatus(one.state),
    state: one.state,
    attemptCount: one.attemptCount,
    createdAt: showInstant(one.createdAt),
    scheduledAt: showInstant(one.scheduledAt),
    dueAt: showOptionalInstant(one.dueAt),
    finishedAt: showOptionalInstant(one.finishedAt),
    durationMs: last?.durationMs ?? null,
    lastStatus: last?.status ?? null,
    lastError: last?.error ?? null,
    parentId: one.parent === null ? null : showId("delivery", one.parent.id),
    hasChildren: one.hasChildren,
  };
}

export function showExecutionDetail(one: Execution, directory: Directory): Static<typeof EXECUTION_DETAIL> {
  const payload = one.payload.byteLength === 0 ? null : showBody(one.payload);
  return {
    ...showExecution(one, directory),
    payload: payload?.text ?? null,
    payloadEncoding: payload?.encoding ?? null,
    attempts: one.attempts.map(showAttempt),
    logs: one.logs.map(({ attempt, at, level, message, meta }) => ({
      ...{ attempt, at: showInstant(at), level, message },
      meta: showJson(meta),
    })),
  };
}

export function showLogLine(line: StoredLog, directory: Directory): Static<typeof LOG_LINE> {
  const endpoint = directory.endpointOfLane(line.lane);
  const { attempt, level, message } = line;
  return {
    cursor: line.cursor,
    executionId: line.executionId === null ? null : showId("delivery", line.executionId),
    function: endpoint ? functionNameOf(endpoint) : null,
    ...{ attempt, at: showInstant(line.at), level, message },
    meta: showJson(line.meta),
  };
}

const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/;

/** Reads either form of an execution's id; null when it is none. */
export function readExecutionId(text: string): Id | null {
  const parts = UUID.exec(text.toLowerCase());
  return parts === null ? readId("delivery", text) : parts.slice(1).join("");
}

function showUuid(id: Id): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
