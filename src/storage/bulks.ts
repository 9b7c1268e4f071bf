/**
 * Bulk operations. A step reads the next deliveries that match, changes each as its single verb would, and
 * moves the cursor, all in one transaction: whatever kills the process, an item is either changed and behind
 * the cursor or neither.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import {
  type Bulk,
  type BulkAction,
  type BulkState,
  type BulkStep,
  type BulkStepInput,
  type CopiedDelivery,
  type DeliveryMatch,
  decideBulk,
  type NewBulk,
} from "../domain/bulk.ts";
import { isFinal, type NewDelivery, type Transition } from "../domain/delivery.ts";
import type { Id } from "../domain/id.ts";
import type { BulkFilter, Lookup, Page } from "../domain/reads.ts";
import type { DeliveryInserter } from "./deliveries.ts";
import { matchOf, stretchEnd, walkOf } from "./delivery-match.ts";
import { idBytes, idText } from "./ids.ts";
import { pageBounds, toPage } from "./page.ts";
import {
  createPositionReads,
  LOCATED_COLUMNS,
  LOCATED_FROM,
  type LocatedRow,
  toLocated,
} from "./positions.ts";
import { createNoteEnd, type NoteEnd } from "./result-notes.ts";

/** Rows looked at per step when few of them match: about two milliseconds. */
const STEP_ROWS = 2_048;

type Located = ReturnType<typeof toLocated>;

interface BulkRow {
  seq: number;
  id: Uint8Array;
  project: string;
  action: BulkAction;
  is_as_new: number;
  filter: string;
  rate: number | null;
  state: BulkState;
  last_seq: number;
  cursor: number;
  changed_count: number;
  skipped_count: number;
  created_at: number;
  updated_at: number;
  finished_at: number | null;
}

function toBulk(row: BulkRow): Bulk {
  return {
    seq: row.seq,
    id: idText(row.id),
    project: row.project,
    action: row.action,
    isAsNew: row.is_as_new === 1,
    match: JSON.parse(row.filter) as DeliveryMatch,
    rate: row.rate,
    state: row.state,
    lastSeq: row.last_seq,
    cursor: row.cursor,
    changedCount: row.changed_count,
    skippedCount: row.skipped_count,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
  };
}

/** The deliveries of a stretch that match, oldest first, with all that a decision needs. */
export function bulkItemsSql(match: DeliveryMatch): string {
  return `SELECT ${LOCATED_COLUMNS}, q.lease ${LOCATED_FROM}
    WHERE ${walkOf(match).sql} AND d.seq > ? AND d.seq <= ? AND ${matchOf(match).sql} ORDER BY d.seq LIMIT ?`;
}

interface BulkContext {
  readonly transition: (change: Transition) => boolean;
  readonly insertDelivery: DeliveryInserter;
}

/** What is to be done to one item, and where that is written down. */
interface ItemChange {
  readonly action: BulkAction;
  /** Of the delivery that it may make. */
  readonly id: Id | undefined;
  readonly now: number;
  readonly slice: Slice;
}

/** What a step does to its items. */
class Slice {
  readonly due: { seq: number; lane: number }[] = [];
  readonly lanes = new Set<number>();
  changed = 0;
  skipped = 0;
  hasEnded = false;

  /** Returns what came of it, the operation being as it is now. */
  toStep(bulk: Bulk): BulkStep {
    return { bulk, due: this.due, lanes: [...this.lanes], hasEnded: this.hasEnded };
  }
}

function prepareStatements(db: Database) {
  const insert = db.query<BulkRow, SQLQueryBindings[]>(
    `INSERT INTO bulk (id, project, action, is_as_new, filter, rate, state, last_seq, cursor, created_at,
       updated_at)
     VALUES (?, ?, ?, ?, ?, ?, 'running', (SELECT coalesce(max(seq), 0) FROM delivery), 0, ?, ?) RETURNING *`,
  );
  const get = db.query<BulkRow, [number]>("SELECT * FROM bulk WHERE seq = ?");
  const advance = db.query<BulkRow, SQLQueryBindings[]>(
    `UPDATE bulk SET cursor = ?1, changed_count = changed_count + ?2, skipped_count = skipped_count + ?3,
       updated_at = ?4, state = CASE WHEN ?1 >= last_seq THEN 'done' ELSE state END,
       finished_at = CASE WHEN ?1 >= last_seq THEN ?4 END
     WHERE seq = ?5 RETURNING *`,
  );
  const change = db.query<BulkRow, SQLQueryBindings[]>(
    `UPDATE bulk SET state = ?1, updated_at = ?2, finished_at = CASE WHEN ?1 = 'cancelled' THEN ?2 END
     WHERE id = ?3 AND project = ?4 AND finished_at IS NULL RETURNING *`,
  );
  const payloadOf = db.query<{ headers: string; body: Uint8Array }, [number]>(
    "SELECT p.headers, p.body FROM delivery d JOIN payload p ON p.seq = d.payload_seq WHERE d.seq = ?",
  );
  const endpointOf = db.query<{ id: Uint8Array }, [number]>("SELECT id FROM endpoint WHERE seq = ?");
  return { insert, get, advance, change, payloadOf, endpointOf };
}

export class BulkWrites {
  readonly #db: Database;
  readonly #context: BulkContext;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #locate: (id: Id) => Located | null;
  readonly #noteEnd: NoteEnd;

  constructor(db: Database, context: BulkContext) {
    this.#db = db;
    this.#context = context;
    this.#statements = prepareStatements(db);
    this.#locate = createPositionReads(db).deliveryPosition;
    this.#noteEnd = createNoteEnd(db);
  }

  create({ id, project, action, isAsNew, match, rate }: NewBulk, now: number): Bulk {
    const values = [idBytes(id), project, action, isAsNew ? 1 : 0, JSON.stringify(match), rate, now, now];
    return toBulk(this.#statements.insert.get(...values) as BulkRow);
  }

  /** Null: there is none of that id that is not over. */
  setState({ project, id }: Lookup, state: BulkState, now: number): Bulk | null {
    const row = this.#statements.change.get(state, now, idBytes(id), project);
    return row && toBulk(row);
  }

  /** Null: no longer running, or not where the caller believes it to be. */
  step(input: BulkStepInput): BulkStep | null {
    const { seq, now, itemsMax } = input;
    const row = this.#statements.get.get(seq);
    if (row === null || row.state !== "running" || row.cursor !== input.cursor) return null;
    const bulk = toBulk(row);
    const { match, cursor, lastSeq } = bulk;
    const end = stretchEnd(this.#db, match, { after: cursor, last: lastSeq, rows: STEP_ROWS });
    const items = this.#db
      .query<LocatedRow, SQLQueryBindings[]>(bulkItemsSql(match))
      .all(...walkOf(match).values, cursor, end, ...matchOf(match).values, itemsMax)
      .map(toLocated);
    const slice = new Slice();
    for (const [index, item] of items.entries()) {
      const change = { action: bulk.action, id: input.ids[index], now, slice };
      const isDone = bulk.isAsNew ? this.#copy(item, change) : this.#change(item, change);
      if (isDone) slice.changed += 1;
      else slice.skipped += 1;
    }
    // A full slice may have left some of the stretch behind its last item.
    const to = items.length < itemsMax ? end : (items.at(-1)?.position.seq ?? end);
    const moved = this.#statements.advance.get(to, slice.changed, slice.skipped, now, seq);
    return slice.toStep(toBulk(moved as BulkRow));
  }

  /** Null: there is nothing of that id in the project that can be sent again. */
  copyOf({ project, id }: Lookup, newId: Id, now: number): CopiedDelivery | null {
    const located = this.#locate(id);
    if (located === null || located.facts.project !== project) return null;
    const seq = this.#insertCopy(located, newId, now);
    return seq === null ? null : { seq, lane: located.position.lane };
  }

  #change({ position, facts, hasPayload }: Located, { action, id, now, slice }: ItemChange): boolean {
    const needsPayload = action === "replay" || action === "retry";
    const decided = needsPayload && !hasPayload ? null : decideBulk(action, position, now);
    if (decided === null || position.lease !== null) return false;
    const note = id === undefined ? null : this.#noteEnd({ facts, decided, id });
    if (!this.#context.transition(note === null ? decided : { ...decided, followUps: [note] })) return false;
    if (note !== null) slice.lanes.add(note.lane);
    // Of a line the next may be due, be it this one or the one behind it.
    if (decided.dueAt !== null || position.line !== undefined) slice.lanes.add(position.lane);
    if (decided.dueAt !== null && position.line === undefined) {
      slice.due.push({ seq: position.seq, lane: position.lane });
    }
    if (isFinal(decided.to)) slice.hasEnded = true;
    return true;
  }

  #copy(item: Located, { id, now, slice }: ItemChange): boolean {
    const seq = id === undefined ? null : this.#insertCopy(item, id, now);
    if (seq === null) return false;
    const { lane, line } = item.position;
    slice.lanes.add(lane);
    if (line === undefined) slice.due.push({ seq, lane });
    return true;
  }

  /**
   * Stores a delivery of the same content under another id, with a body of its own, so that the two go their
   * separate ways. Returns its seq; null when there is no body left, or nowhere to send it.
   */
  #insertCopy({ position, facts, profile }: Located, id: Id, now: number): number | null {
    const { lane, line } = position;
    const payload = this.#statements.payloadOf.get(position.seq);
    const endpoint = this.#statements.endpointOf.get(lane);
    if (payload === null || endpoint === null) return null;
    const copy: NewDelivery = {
      ...{ id, project: facts.project, lane, endpointId: idText(endpoint.id), profile },
      ...{ state: "queued", dueAt: now, spec: facts.spec, payload },
      ...(line === undefined ? {} : { line }),
    };
    return this.#context.insertDelivery(copy, { eventSeq: null, payloadSeq: null, createdAt: now });
  }
}

export function openBulks(db: Database): Bulk[] {
  return db.query<BulkRow, []>("SELECT * FROM bulk WHERE finished_at IS NULL ORDER BY seq").all().map(toBulk);
}

export function getBulk(db: Database, { project, id }: Lookup): Bulk | null {
  const row = db
    .query<BulkRow, [Uint8Array, string]>("SELECT * FROM bulk WHERE id = ? AND project = ?")
    .get(idBytes(id), project);
  return row && toBulk(row);
}

/** Newest first, along bulk_project. */
export const BULK_LIST_SQL = "SELECT * FROM bulk WHERE project = ? AND seq < ? ORDER BY seq DESC LIMIT ?";

export function listBulks(db: Database, filter: BulkFilter): Page<Bulk> {
  const { before, limit } = pageBounds(filter);
  const rows = db
    .query<BulkRow, [string, number, number]>(BULK_LIST_SQL)
    .all(filter.project, before, limit + 1);
  return toPage(rows.map(toBulk), limit);
}
