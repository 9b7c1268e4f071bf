/** What becomes of executions and of what they logged. */
import { expect, test } from "bun:test";
import { DELIVERY_STATES, type DeliveryState, isFinal } from "../../src/domain/delivery.ts";
import type { PurgeKind, PurgeResult } from "../../src/storage/purge.ts";
import { NOW, storeDelivery } from "../support/factory.ts";
import { type BareStore, openBareStore } from "../support/store.ts";

function sweep(store: BareStore, kind: PurgeKind, before: number, limit = 100): number[] {
  const deleted: number[] = [];
  let result: PurgeResult;
  do {
    result = store.apply({ verb: "purge", input: { kind, before, limit } }) as PurgeResult;
    deleted.push(result.deletedCount);
  } while (!result.isDone && deleted.length < 1_000);
  return deleted;
}

function seqs(store: BareStore, table: "delivery" | "log_line" | "payload"): number[] {
  const rows = store.db.query<{ seq: number }, []>(`SELECT seq FROM ${table} ORDER BY seq`).all();
  return rows.map(({ seq }) => seq);
}

/** Stores an execution with as many lines as asked for; returns its number. */
function storeExecution(store: BareStore, state: DeliveryState, lines = 1, at = NOW): number {
  const { seq } = storeDelivery(store.db, { state, createdAt: at, finishedAt: at });
  store.db.query("UPDATE delivery SET profile = 'pingback' WHERE seq = ?").run(seq);
  const insert = store.db.query(
    `INSERT INTO log_line (delivery_seq, attempt, project, endpoint_seq, at, stored_at, level, message)
     VALUES (?, 1, 'default', 1, 0, ?, 'info', 'a line')`,
  );
  for (let index = 0; index < lines; index += 1) insert.run(seq, at);
  return seq;
}

test("executions that succeeded go at an age of their own, with their lines", () => {
  const store = openBareStore();
  const other = storeDelivery(store.db, { state: "succeeded", finishedAt: NOW }).seq;
  const old = storeExecution(store, "succeeded");
  const failed = storeExecution(store, "dead");
  const young = storeExecution(store, "succeeded", 1, NOW + 1);
  sweep(store, "executions", NOW);
  expect(seqs(store, "delivery")).toEqual([other, failed, young]);
  expect(seqs(store, "log_line")).toEqual([2, 3]);
  expect(seqs(store, "payload")).not.toContain(old);
  sweep(store, "delivered", NOW + 9);
  expect(seqs(store, "delivery")).toEqual([failed, young]);
});

test("lines go by when they were stored, whatever their execution does, in steps", () => {
  const store = openBareStore();
  storeExecution(store, "retrying", 5);
  storeExecution(store, "succeeded", 2, NOW + 1);
  expect(sweep(store, "logs", NOW, 2)).toEqual([2, 2, 1]);
  expect(seqs(store, "log_line")).toEqual([6, 7]);
  expect(seqs(store, "delivery")).toHaveLength(2);
  expect(sweep(store, "logs", NOW)).toEqual([0]);
});

test("for the disk budget lines of ended executions go, oldest first, those of others never", () => {
  const store = openBareStore();
  const states = DELIVERY_STATES.map((state) => ({ state, seq: storeExecution(store, state) }));
  const kept = states.filter(({ state }) => !isFinal(state)).map(({ seq }) => seq);
  store.apply({ verb: "purge", input: { kind: "finished_logs", before: 0, limit: 1 } });
  const first = states.findIndex(({ state }) => isFinal(state)) + 1;
  expect(seqs(store, "log_line")).not.toContain(first);
  expect(seqs(store, "log_line")).toHaveLength(DELIVERY_STATES.length - 1);
  sweep(store, "finished_logs", 0);
  const owners = store.db.query<{ delivery_seq: number }, []>("SELECT delivery_seq FROM log_line").all();
  expect(owners.map(({ delivery_seq: seq }) => seq)).toEqual(kept);
  expect(seqs(store, "payload")).toHaveLength(DELIVERY_STATES.length);
});

test("for the disk budget lines whose execution is gone go, too", () => {
  const store = openBareStore();
  const seq = storeExecution(store, "succeeded", 3);
  store.db.query("DELETE FROM delivery WHERE seq = ?").run(seq);
  expect(sweep(store, "finished_logs", 0, 2)).toEqual([2, 1, 0]);
});
