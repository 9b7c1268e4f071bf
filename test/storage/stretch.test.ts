/** Lists that look through rows go a stretch at a time, and miss nothing on the way. */
import { expect, test } from "bun:test";
import type { Page } from "../../src/domain/reads.ts";
import { listExecutions } from "../../src/storage/list-executions.ts";
import { listLogs } from "../../src/storage/list-logs.ts";
import { STRETCH_SEQS } from "../../src/storage/stretch.ts";
import { storeDelivery } from "../support/factory.ts";
import { type BareStore, openBareStore, queryPlan } from "../support/store.ts";

/** Numbers with stretches between them in which there is nothing. */
const SEQS = [1, 2, STRETCH_SEQS + 1, 3 * STRETCH_SEQS, 3 * STRETCH_SEQS + 1];

function fill(store: BareStore): void {
  const insert = store.db.query(
    `INSERT INTO log_line (seq, delivery_seq, attempt, project, endpoint_seq, at, stored_at, level, message)
     VALUES (?1, ?1, 1, 'default', 1, ?1, 0, 'info', 'a line')`,
  );
  for (const seq of SEQS) {
    storeDelivery(store.db, { state: "succeeded", seq });
    insert.run(seq);
  }
  store.db.run("UPDATE delivery SET profile = 'pingback'");
}

/** Asks on until there is no next page; returns what each page had. */
function walk(look: (cursor: string | null) => Page<{ readonly seq: number }>): number[][] {
  const pages: number[][] = [];
  let cursor: string | null = null;
  do {
    const page: Page<{ readonly seq: number }> = look(cursor);
    pages.push(page.data.map(({ seq }) => seq));
    cursor = page.nextCursor;
  } while (cursor !== null && pages.length < 50);
  return pages;
}

test("log lines are found in every stretch, whatever the limit, and the last page says so", () => {
  const store = openBareStore();
  fill(store);
  const found = (limit: number) =>
    walk((cursor) =>
      listLogs(store.db, { project: "default", text: "line", limit, cursor, isOneStretch: true }),
    );
  expect(found(50).flat()).toEqual(SEQS.toReversed());
  expect(found(1).flat()).toEqual(SEQS.toReversed());
  expect(found(50).length).toBeGreaterThan(1);
  const whole = walk((cursor) => listLogs(store.db, { project: "default", text: "line", cursor }));
  expect(whole).toEqual([SEQS.toReversed()]);
});

test("executions are, too", () => {
  const store = openBareStore();
  fill(store);
  const found = (limit: number) =>
    walk((cursor) =>
      listExecutions(store.db, { project: "default", status: "success", limit, cursor, isOneStretch: true }),
    );
  expect(found(50).flat()).toEqual(SEQS.toReversed());
  expect(found(1).flat()).toEqual(SEQS.toReversed());
  expect(found(50).length).toBeGreaterThan(1);
});

test("a list that only follows an index does not go by stretches, and one of nothing ends at once", () => {
  const store = openBareStore();
  const input = { project: "default", isOneStretch: true } as const;
  expect(listLogs(store.db, { ...input, text: "line" })).toEqual({ data: [], nextCursor: null });
  expect(listExecutions(store.db, { ...input, status: "failed" })).toEqual({ data: [], nextCursor: null });
  fill(store);
  expect(listLogs(store.db, { ...input, lane: 1 }).data).toHaveLength(SEQS.length);
  expect(listExecutions(store.db, input).data).toHaveLength(SEQS.length);
});

const NOBODY = "0".repeat(32);

test("every list walks an index in its own order: nothing is sorted, no table is scanned", () => {
  const { db } = openBareStore();
  const asked: string[] = [];
  const watched = new Proxy(db, {
    get: (target, name) => {
      if (name !== "query") return Reflect.get(target, name);
      return (sql: string) => {
        asked.push(sql);
        return target.query(sql);
      };
    },
  });
  const shared = { project: "default", isOneStretch: true } as const;
  const executions = [
    {},
    { lane: 1 },
    { status: "failed" },
    { lane: 1, since: 1 },
    { parentId: NOBODY },
  ] as const;
  for (const filter of executions) listExecutions(watched, { ...shared, ...filter });
  listExecutions(watched, { ...shared, text: { part: "a", lanes: [1] } });
  const logs = [{}, { lane: 1 }, { level: "error" }, { lane: 1, text: "a" }, { after: "Mg" }] as const;
  for (const filter of logs) listLogs(watched, { ...shared, ...filter });
  listLogs(watched, { ...shared, executionId: NOBODY, level: "warn" });
  const steps = asked.flatMap((sql) => queryPlan(db, sql));
  expect(steps.filter((step) => /TEMP B-TREE|^SCAN (?!CONSTANT ROW)/.test(step))).toEqual([]);
  expect(steps.length).toBeGreaterThan(asked.length);
});
