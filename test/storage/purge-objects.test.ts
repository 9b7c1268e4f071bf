/** What is out of service leaves the file when nothing refers to it any more. */
import { expect, test } from "bun:test";
import type { GoneObject } from "../../src/domain/access.ts";
import type { PurgeResult } from "../../src/storage/purge.ts";
import { RETIRED_TABLES, retiredSql } from "../../src/storage/purge-objects.ts";
import { NOW, storeDelivery } from "../support/factory.ts";
import { type BareStore, openBareStore } from "../support/store.ts";

const ID = (n: number) => Buffer.from(n.toString(16).padStart(32, "0"), "hex");

function addEndpoint(store: BareStore, seq: number, deletedAt: number | null, project = "default"): void {
  store.db
    .query(
      `INSERT INTO endpoint (seq, id, project, name, door, url, spec, sealed, created_at, updated_at,
         deleted_at)
       VALUES (?, ?, ?, ?, 'native', 'http://a', '{}', x'', 0, 0, ?)`,
    )
    .run(seq, ID(seq), project, `e${seq}`, deletedAt);
}

function addSource(store: BareStore, seq: number, deletedAt: number | null): void {
  store.db
    .query(
      `INSERT INTO source (seq, id, project, name, door, spec, sealed, created_at, updated_at, deleted_at)
       VALUES (?, ?, 'default', ?, 'native', '{}', x'', 0, 0, ?)`,
    )
    .run(seq, ID(seq), `s${seq}`, deletedAt);
}

function addProject(store: BareStore, name: string, retiredAt: number | null): void {
  store.db
    .query("INSERT INTO project (name, door, created_at, retired_at) VALUES (?, 'native', 0, ?)")
    .run(name, retiredAt);
}

/** Steps until a sweep is done. */
function sweep(store: BareStore, limit = 100): { deleted: number; gone: GoneObject[]; steps: number } {
  let deleted = 0;
  let steps = 0;
  const gone: GoneObject[] = [];
  let result: PurgeResult;
  do {
    const input = { kind: "objects", before: NOW, limit } as const;
    result = store.apply({ verb: "purge", input }) as PurgeResult;
    deleted += result.deletedCount;
    gone.push(...(result.gone ?? []));
    steps += 1;
  } while (!result.isDone && steps < 1_000);
  return { deleted, gone, steps };
}

function left(store: BareStore, table: string): number[] {
  const rows = store.db.query<{ seq: number }, []>(`SELECT seq FROM ${table} ORDER BY seq`).all();
  return rows.map(({ seq }) => seq);
}

test("an endpoint goes when it has been retired for long enough and has no delivery left", () => {
  const store = openBareStore();
  for (const seq of [101, 102, 103, 105]) addEndpoint(store, seq, NOW);
  addEndpoint(store, 104, NOW + 1);
  addEndpoint(store, 106, null);
  const { seq } = storeDelivery(store.db, { lane: 102, state: "dead", finishedAt: NOW });
  const { gone } = sweep(store);
  expect(left(store, "endpoint").filter((n) => n > 100)).toEqual([102, 104, 106]);
  expect(gone.map((object) => [object.kind, object.seq])).toEqual([
    ["endpoint", 101],
    ["endpoint", 103],
    ["endpoint", 105],
  ]);
  store.db.query("DELETE FROM delivery WHERE seq = ?").run(seq);
  expect(sweep(store).gone.map((object) => object.seq)).toEqual([102]);
});

test("the newest endpoint and the newest source stay, so that no number comes back", () => {
  const store = openBareStore();
  for (const seq of [201, 202]) {
    addEndpoint(store, seq, NOW);
    addSource(store, seq, NOW);
  }
  sweep(store);
  expect(left(store, "endpoint").filter((n) => n > 200)).toEqual([202]);
  expect(left(store, "source").filter((n) => n > 200)).toEqual([202]);
});

test("a source stays as long as an event, a dedupe key or a pulled delivery is its own", () => {
  const store = openBareStore();
  for (const seq of [301, 302, 303, 304]) addSource(store, seq, NOW);
  addSource(store, 305, null);
  const event = store.db.query(
    "INSERT INTO event (id, project, source_seq, received_at, size_bytes) VALUES (?, 'default', ?, 0, 0)",
  );
  event.run(ID(9), 301);
  store.db.query("INSERT INTO dedupe VALUES (302, 'key', ?, 1)").run(ID(9));
  storeDelivery(store.db, { lane: -303, state: "stored" });
  expect(sweep(store).gone).toMatchObject([{ kind: "source", seq: 304 }]);
  expect(left(store, "source").filter((n) => n > 300)).toEqual([301, 302, 303, 305]);
});

test("a project goes in the sweep in which the last of its objects went, with what is its alone", () => {
  const store = openBareStore();
  for (const name of ["empty", "busy", "young"]) addProject(store, name, name === "young" ? NOW + 1 : NOW);
  addProject(store, "living", null);
  addEndpoint(store, 401, NOW, "empty");
  addEndpoint(store, 402, null, "busy");
  store.db
    .query(
      `INSERT INTO api_key (id, project, hash, scope, door, created_at, deleted_at)
       VALUES (?, ?, ?, ?, ?, 0, ?)`,
    )
    .run(ID(7), "empty", Buffer.alloc(32, 7), "admin", "native", NOW);
  store.db.query("INSERT INTO key_use VALUES (?, 1)").run(ID(7));
  store.db.query("INSERT INTO allowance VALUES ('empty', 'hooks', 0, 1)").run();
  expect(sweep(store).deleted).toBe(3);
  const names = store.db.query<{ name: string }, []>("SELECT name FROM project ORDER BY name").all();
  expect(names.map(({ name }) => name).filter((name) => name !== "default")).toEqual([
    "busy",
    "living",
    "young",
  ]);
  for (const table of ["api_key", "key_use", "allowance"]) {
    expect(store.db.query(`SELECT count(*) AS n FROM ${table} WHERE 1`).get()).toEqual({ n: 0 });
  }
});

test("a sweep goes on in steps of its limit, and finds everything", () => {
  const store = openBareStore();
  for (let seq = 501; seq <= 525; seq += 1) addEndpoint(store, seq, NOW, seq % 2 ? "odd" : "even");
  addEndpoint(store, 526, null);
  const { deleted, steps } = sweep(store, 10);
  expect(deleted).toBe(25);
  expect(steps).toBeGreaterThan(RETIRED_TABLES.length);
  expect(left(store, "endpoint").filter((n) => n > 500)).toEqual([526]);
});

test.each(
  RETIRED_TABLES.map((table) => [table.name, table] as const),
)("retired rows of %s are found by an index, and so is what refers to them", (name, table) => {
  const { db } = openBareStore();
  const plan = db
    .query<{ detail: string }, [number, string, number, number]>(`EXPLAIN QUERY PLAN ${retiredSql(table)}`)
    .all(NOW, "", 0, 10)
    .map(({ detail }) => detail);
  expect(plan[0]).toContain(`SEARCH o USING INDEX ${name}_retired`);
  const scans = plan.filter((detail) => detail.startsWith("SCAN"));
  // Keys and schedules of a project are few, and looked at last.
  expect(scans.filter((detail) => !/^SCAN (endpoint|source|x\b)/.test(detail))).toEqual([]);
  if (name !== "project") expect(scans.filter((detail) => detail.startsWith("SCAN x"))).toEqual([]);
});

test("what is in service is never looked at for it", () => {
  const store = openBareStore();
  addEndpoint(store, 601, null);
  storeDelivery(store.db, { lane: 601, state: "queued" });
  expect(sweep(store)).toEqual({ deleted: 0, gone: [], steps: RETIRED_TABLES.length });
});
