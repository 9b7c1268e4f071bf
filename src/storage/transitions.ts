/**
 * Applying transitions. The queue row is the lock: a transition first takes it away under the lease it was
 * decided with, and when it is no longer there somebody else was faster, which is an answer (false), not an
 * error.
 */
import type { Database } from "bun:sqlite";
import {
  DEADLINE_LANE,
  type DeliveryState,
  hasQueueRow,
  isFinal,
  NEXT_STATES,
  type Transition,
} from "../domain/delivery.ts";
import type { DeliveryInserter } from "./deliveries.ts";
import type { Lines } from "./lines.ts";
import { createLogWrites, type InsertLogs } from "./log-lines.ts";
import { createEndRemoved } from "./removals.ts";

/** The queue row by its whole primary key. */
export const DEQUEUE_LEASED_SQL =
  "DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ? AND lease = ?";

type Statements = ReturnType<typeof prepareStatements>;

interface Parts {
  readonly insertDelivery: DeliveryInserter;
  readonly lines: Lines;
}

interface TransitionContext extends Parts {
  readonly statements: Statements;
  readonly endRemoved: (seq: number, at: number) => void;
  readonly insertLogs: InsertLogs;
}

/** What it returns is the change as it was applied; see applyTransition(). */
export function createTransition(db: Database, parts: Parts): (change: Transition) => Transition | null {
  const [endRemoved, insertLogs] = [createEndRemoved(db), createLogWrites(db)];
  const context = { statements: prepareStatements(db), endRemoved, insertLogs, ...parts };
  return (change) => applyTransition(change, context);
}

function prepareStatements(db: Database) {
  const dequeueLeased = db.query(DEQUEUE_LEASED_SQL);
  const dequeueFree = db.query(
    "DELETE FROM queue WHERE lane = ? AND due_at = ? AND delivery_seq = ? AND lease IS NULL",
  );
  const enqueue = db.query("INSERT INTO queue (lane, due_at, delivery_seq, lease) VALUES (?, ?, ?, NULL)");
  const payloadOf = db.query<{ seq: number }, [number]>(
    "SELECT p.seq FROM delivery d JOIN payload p ON p.seq = d.payload_seq WHERE d.seq = ?",
  );
  const move = db.query(
    `UPDATE delivery SET state = ?, due_at = ?, finished_at = ?, attempt_count = ?,
       budget_start = ?, policy_state = ?
     WHERE seq = ? AND state = ?`,
  );
  // A report on an awaited attempt has no status of its own: the one that was answered stands.
  const moveWithAttempt = db.query(
    `UPDATE delivery SET state = ?, due_at = ?, finished_at = ?, attempt_count = ?,
       budget_start = ?, policy_state = ?,
       last_status = coalesce(?, CASE WHEN state = 'awaiting' THEN last_status END), last_error = ?
     WHERE seq = ? AND state = ?`,
  );
  // The conflict is the acknowledgement (or its absence) that finishes an attempt left awaiting.
  const insertAttempt = db.query(
    `INSERT INTO attempt (delivery_seq, number, started_at, duration_ms, outcome, status, failure,
       error, excerpt, detail)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (delivery_seq, number) DO UPDATE SET outcome = excluded.outcome, failure = excluded.failure,
       error = excluded.error, duration_ms = excluded.started_at - attempt.started_at
     WHERE attempt.outcome = 'awaiting'`,
  );
  // Both by the primary key, and only on the rarer ways: a handing out, a replay.
  const noteFetched = db.query("UPDATE delivery SET fetched_at = ? WHERE seq = ?");
  const countReplay = db.query(
    "UPDATE delivery SET replay_count = replay_count + 1, fetched_at = NULL WHERE seq = ?",
  );
  const isErased = db.query<{ seq: number }, [number]>(
    "SELECT seq FROM delivery WHERE seq = ? AND deleted_at IS NOT NULL",
  );
  const setDue = db.query("UPDATE delivery SET due_at = ? WHERE seq = ?");
  return {
    ...{ dequeueLeased, dequeueFree, enqueue, payloadOf, move, moveWithAttempt, insertAttempt },
    ...{ noteFetched, countReplay, isErased, setDue },
  };
}

/**
 * Returns what was applied, which is another end than asked for when the delivery was erased meanwhile; null
 * means that the delivery is no longer as it was, or that a replay has no body left to send. Throws for a
 * change that the state table does not know.
 */
function applyTransition(asked: Transition, context: TransitionContext): Transition | null {
  const { statements, insertDelivery, endRemoved, insertLogs } = context;
  const change = withoutRetryOfErased(asked, statements);
  const { seq, from, to } = change;
  if (!NEXT_STATES[from].includes(to)) throw new Error(`delivery ${seq}: ${from} never becomes ${to}`);
  const isReplay = isFinal(from) && !isFinal(to);
  if (isReplay && !statements.payloadOf.get(seq)) return null;
  if (hasQueueRow(from) && !dequeue(change, statements)) return null;
  if (!moveRow(change, statements)) {
    if (hasQueueRow(from)) requeue(change, statements);
    return null;
  }
  const dueAt = change.line === undefined ? change.dueAt : stepInLine(change, context);
  if (hasQueueRow(to)) statements.enqueue.run(queueLane(to, change.lane), dueAt, seq);
  if (isReplay) statements.countReplay.run(seq);
  if (to === "fetched") statements.noteFetched.run(change.at, seq);
  recordAttempt(change, statements);
  if (from === "sending" && hasQueueRow(to)) endRemoved(seq, change.at);
  for (const followUp of change.followUps) {
    const origin = { eventSeq: null, payloadSeq: null, createdAt: change.at };
    insertDelivery({ ...followUp, parentSeq: seq }, origin);
  }
  if (change.logs && change.attempt) insertLogs(change.logs, { ...change, attempt: change.attempt.number });
  return change;
}

/**
 * What was erased while its attempt was out must not go out again: there is no body any more. It can only
 * leave `sending` for a retry, a rest or another turn, and ends instead.
 */
function withoutRetryOfErased(change: Transition, { isErased }: Statements): Transition {
  const { seq, from, to, attempt } = change;
  if (from !== "sending" || to !== "retrying" || attempt === null || !isErased.get(seq)) return change;
  return { ...change, to: "dead", dueAt: null, policyState: null, lineStep: "leave" };
}

/** Returns when the delivery is due now that its line has been told. */
function stepInLine(change: Transition, { lines, statements }: TransitionContext): number | null {
  const { lane, seq, line: key = "", lineStep, dueAt, at } = change;
  if (lineStep === "leave") lines.leave({ lane, key, seq }, at);
  if (lineStep !== "join" || dueAt === null) return dueAt;
  const inTurn = lines.enter({ lane, key, seq }, dueAt);
  if (inTurn !== dueAt) statements.setDue.run(inTurn, seq);
  return inTurn;
}

function dequeue(change: Transition, { dequeueFree, dequeueLeased }: Statements): boolean {
  const { seq, from, fromDueAt, lane, lease } = change;
  const queued = queueLane(from, lane);
  const { changes } =
    lease === null
      ? dequeueFree.run(queued, fromDueAt, seq)
      : dequeueLeased.run(queued, fromDueAt, seq, lease);
  return changes > 0;
}

/**
 * Undoes a dequeue: the row was there, but its delivery has changed to another waiting state in the
 * meantime.
 */
function requeue(change: Transition, { enqueue }: Statements): void {
  const { seq, from, fromDueAt, lane, lease } = change;
  if (lease !== null) throw new Error(`delivery ${seq} is leased but not ${from}`);
  enqueue.run(queueLane(from, lane), fromDueAt, seq);
}

function moveRow(change: Transition, { move, moveWithAttempt }: Statements): boolean {
  const { seq, from, to, dueAt, attempt, attemptCount, budgetStart, policyState } = change;
  const finishedAt = isFinal(to) ? change.at : null;
  const { changes } =
    attempt === null
      ? move.run(to, dueAt, finishedAt, attemptCount, budgetStart, policyState, seq, from)
      : moveWithAttempt.run(
          to,
          dueAt,
          finishedAt,
          attemptCount,
          budgetStart,
          policyState,
          attempt.status,
          attempt.error,
          seq,
          from,
        );
  return changes > 0;
}

function recordAttempt({ seq, attempt }: Transition, { insertAttempt }: Statements): void {
  if (attempt === null) return;
  insertAttempt.run(
    seq,
    attempt.number,
    attempt.startedAt,
    attempt.durationMs,
    attempt.outcome,
    attempt.status,
    attempt.failure,
    attempt.error,
    attempt.excerpt,
    attempt.detail,
  );
}

function queueLane(state: DeliveryState, lane: number): number {
  return state === "awaiting" ? DEADLINE_LANE : lane;
}
