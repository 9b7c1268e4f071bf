/**
 * Plans of the statements that must stay cheap: every step a search along an index or a key, never a scan or
 * a sort.
 */
import { beforeAll, expect, test } from "bun:test";
import type { DeliveryMatch } from "../../src/domain/bulk.ts";
import type { DatedFilter } from "../../src/domain/dated.ts";
import type { DeliveryFilter, EventFilter, RejectionFilter } from "../../src/domain/reads.ts";
import { BULK_LIST_SQL, bulkItemsSql } from "../../src/storage/bulks.ts";
import { CLAIM_SQL, NEXT_DUE_SQL } from "../../src/storage/claims.ts";
import { datedListSql, isBoundedDatedList } from "../../src/storage/dated-deliveries.ts";
import { stretchEndSql } from "../../src/storage/delivery-match.ts";
import { historySql } from "../../src/storage/history.ts";
import { NEXT_IN_LINE_SQL } from "../../src/storage/lines.ts";
import { deliveryListSql, isBoundedDeliveryList } from "../../src/storage/list-deliveries.ts";
import { eventListSql, isBoundedEventList } from "../../src/storage/list-events.ts";
import { isBoundedRejectionList, rejectionListSql } from "../../src/storage/list-rejections.ts";
import { pullSql } from "../../src/storage/pull.ts";
import { RETIRED_SCHEDULES_SQL } from "../../src/storage/purge.ts";
import { RELEASE_SQL } from "../../src/storage/releases.ts";
import { ROLLUPS_SQL } from "../../src/storage/rollups.ts";
import { DUE_SCHEDULES_SQL } from "../../src/storage/schedule-reads.ts";
import { deliverySearchSql, eventSearchSql } from "../../src/storage/search.ts";
import { DEQUEUE_LEASED_SQL } from "../../src/storage/transitions.ts";
import { newId } from "../support/factory.ts";
import { type BareStore, openBareStore, queryPlan } from "../support/store.ts";

let store: BareStore;

beforeAll(() => {
  store = openBareStore();
});

function expectSearchesOnly(steps: readonly string[]): void {
  const others = steps.filter((step) => !step.startsWith("SEARCH") && !step.startsWith("SCALAR SUBQUERY"));
  expect(others).toEqual([]);
}

test("claim reads one range of the queue's primary key, then rows by number, and sorts nothing", () => {
  const steps = queryPlan(store.db, CLAIM_SQL);
  expect(steps[0]).toBe("SEARCH q USING PRIMARY KEY (lane=? AND due_at<?)");
  expect(steps).toHaveLength(4);
  expectSearchesOnly(steps);
});

test("the next due time is the first of a range", () => {
  expect(queryPlan(store.db, NEXT_DUE_SQL)).toEqual(["SEARCH queue USING PRIMARY KEY (lane=?)"]);
});

test("leaving the queue is one key", () => {
  expect(queryPlan(store.db, DEQUEUE_LEASED_SQL)).toEqual([
    "SEARCH queue USING PRIMARY KEY (lane=? AND due_at=? AND delivery_seq=?)",
  ]);
});

test("the next of a line is the first of a range, whatever the number of lines", () => {
  expect(queryPlan(store.db, NEXT_IN_LINE_SQL)).toEqual(["SEARCH line USING PRIMARY KEY (lane=? AND key=?)"]);
});

test("what waits for its source, and what waits to be fetched, have an index of their own", () => {
  const released = queryPlan(store.db, RELEASE_SQL);
  expect(released[0]).toBe("SEARCH d USING INDEX delivery_on_resume (seq>?)");
  expectSearchesOnly(released);
  for (const state of ["stored", "fetched"] as const) {
    const pulled = queryPlan(store.db, pullSql(state));
    expect(pulled[0]).toBe("SEARCH d USING INDEX delivery_pull (endpoint_seq=? AND state=?)");
    expectSearchesOnly(pulled);
  }
});

test("the sums of an endpoint are one range of their primary key", () => {
  expect(queryPlan(store.db, ROLLUPS_SQL)).toEqual([
    "SEARCH rollup USING PRIMARY KEY (project=? AND lane=? AND bucket_ms=? AND at>? AND at<?)",
  ]);
});

const REPAIRS: readonly [DeliveryMatch, string][] = [
  [{ project: "default", states: ["dead"] }, "INDEX delivery_notable (state=? AND seq>? AND seq<?)"],
  [{ project: "default", states: ["dead"], lane: 1 }, "INDEX delivery_notable (state=? AND seq>? AND seq<?)"],
  [
    { project: "default", states: ["succeeded"], lane: 1 },
    "INDEX delivery_endpoint (endpoint_seq=? AND seq>? AND seq<?)",
  ],
  [
    { project: "default", states: ["queued", "held"], error: "x" },
    "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
  ],
];

test.each(REPAIRS)("a repair of %j walks one range of an index, and sorts nothing", (match, range) => {
  const end = queryPlan(store.db, stretchEndSql(match));
  expect(end).toHaveLength(1);
  expect(end[0]).toContain(range);
  const items = queryPlan(store.db, bulkItemsSql(match));
  expect(items[0]).toBe(`SEARCH d USING ${range}`);
  expect(items.filter((step) => step.startsWith("SCAN") || step.includes("TEMP B-TREE"))).toEqual([]);
});

test("a search walks one range of an index per stretch", () => {
  for (const [match, range] of REPAIRS) {
    const { start, rows } = deliverySearchSql({ match, text: "x" });
    const walked = range
      .replace(" AND seq>? AND seq<?", " AND seq<?")
      .replace("rowid>? AND rowid<?", "rowid<?");
    expect(queryPlan(store.db, start)).toEqual([expect.stringContaining(walked)]);
    const steps = queryPlan(store.db, rows);
    expect(steps[0]).toBe(`SEARCH d USING ${range}`);
    expect(steps.filter((step) => step.startsWith("SCAN") || step.includes("TEMP B-TREE"))).toEqual([]);
  }
  const bySource = eventSearchSql({ project: "default", sourceSeq: 1, text: "x" });
  expect(queryPlan(store.db, `SELECT e.seq ${bySource.from} ORDER BY e.seq DESC`)).toEqual([
    "SEARCH e USING COVERING INDEX event_source (source_seq=? AND seq>? AND seq<?)",
    "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)",
  ]);
});

test("the list of bulk operations is one range of its index", () => {
  expect(queryPlan(store.db, BULK_LIST_SQL)).toEqual([
    "SEARCH bulk USING INDEX bulk_project (project=? AND seq<?)",
  ]);
});

const project = "default";

const DELIVERY_LISTS: readonly [DeliveryFilter, string][] = [
  [{ project }, "SEARCH d USING INTEGER PRIMARY KEY (rowid<?)"],
  [{ project, lane: 1 }, "SEARCH d USING INDEX delivery_endpoint (endpoint_seq=? AND seq<?)"],
  [{ project, state: "dead" }, "SEARCH d USING INDEX delivery_notable (state=? AND seq<?)"],
  [{ project, state: "held" }, "SEARCH d USING INDEX delivery_notable (state=? AND seq<?)"],
  [{ project, eventId: newId() }, "SEARCH d USING INDEX delivery_event (event_seq=? AND rowid<?)"],
  [{ project, eventId: newId(), state: "dead" }, "SEARCH d USING INDEX delivery_"],
];

test.each(DELIVERY_LISTS)("deliveries of %j come in order from an index", (filter, first) => {
  expect(isBoundedDeliveryList(filter, true)).toBe(true);
  const steps = queryPlan(store.db, deliveryListSql(filter, 10).sql);
  expect(steps[0]?.startsWith(first)).toBe(true);
  expectSearchesOnly(steps);
});

test.each<DeliveryFilter>([
  { project, state: "queued" },
  { project, state: "succeeded" },
  { project, lane: 1, state: "dead" },
  { project, sourceSeq: 1 },
  { project, since: 1 },
  { project, lane: 1, until: 1 },
])("deliveries of %j are left to the read thread", (filter) => {
  expect(isBoundedDeliveryList(filter, true)).toBe(false);
});

const EVENT_LISTS: readonly [EventFilter, string][] = [
  [{ project }, "SEARCH event USING INTEGER PRIMARY KEY (rowid<?)"],
  [{ project, sourceSeq: 1 }, "SEARCH event USING INDEX event_source (source_seq=? AND seq<?)"],
];

test.each(EVENT_LISTS)("events of %j come in order from an index", (filter, only) => {
  expect(isBoundedEventList(filter, true)).toBe(true);
  expect(queryPlan(store.db, eventListSql(filter, 10).sql)).toEqual([only]);
});

test.each<EventFilter>([
  { project, type: "a" },
  { project, sourceSeq: 1, since: 1 },
  { project, until: 1 },
])("events of %j are left to the read thread", (filter) => {
  expect(isBoundedEventList(filter, true)).toBe(false);
});

const REJECTION_LISTS: readonly [RejectionFilter, string][] = [
  [{ project }, "SEARCH rejection USING INTEGER PRIMARY KEY (rowid<?)"],
  [{ project, sourceSeq: 1 }, "SEARCH rejection USING INDEX rejection_source (source_seq=? AND seq<?)"],
];

test.each(REJECTION_LISTS)("rejections of %j come in order from an index", (filter, only) => {
  expect(isBoundedRejectionList(filter, true)).toBe(true);
  expect(queryPlan(store.db, rejectionListSql(filter, 10).sql)).toEqual([only]);
});

test("with several projects, a list of one project alone is left to the read thread", () => {
  expect(isBoundedDeliveryList({ project }, false)).toBe(false);
  expect(isBoundedDeliveryList({ project, state: "dead" }, false)).toBe(false);
  expect(isBoundedEventList({ project }, false)).toBe(false);
  expect(isBoundedRejectionList({ project }, false)).toBe(false);
  expect(isBoundedDeliveryList({ project, lane: 1 }, false)).toBe(true);
});

test("retired schedules are walked along their own index, and so are the deliveries of each", () => {
  const { db } = openBareStore();
  const [first, ...rest] = queryPlan(db, RETIRED_SCHEDULES_SQL);
  expect(first).toBe("SEARCH s USING INDEX schedule_retired (seq>?)");
  expect(rest.join()).toContain("SEARCH d USING COVERING INDEX delivery_schedule (schedule_seq=?)");
  expect(rest.join()).not.toMatch(/SCAN [ds]\b|USE TEMP B-TREE/);
});

test("due schedules come in order from an index that holds nothing else", () => {
  const { db } = openBareStore();
  const [first, ...rest] = queryPlan(db, DUE_SCHEDULES_SQL);
  expect(first).toContain("SEARCH s USING INDEX schedule_due");
  expect(rest.join()).not.toMatch(/SCAN [dr]\b|USE TEMP B-TREE/);
});

const profile = "hookbridge";
const after = { createdAt: 5, seq: 5 };

const HISTORIES: readonly [
  Partial<Parameters<typeof historySql>[0]>,
  Parameters<typeof historySql>[1],
  string,
][] = [
  [{}, null, "delivery_history (project=? AND profile=?)"],
  [{ after }, null, "delivery_history (project=? AND profile=? AND created_at<?)"],
  [
    { since: 1, until: 9 },
    null,
    "delivery_history (project=? AND profile=? AND created_at>? AND created_at<?)",
  ],
  [{}, "dead", "delivery_history_state (project=? AND profile=? AND state=?)"],
  [{ lane: 3 }, null, "delivery_history_endpoint (endpoint_seq=?)"],
  [{ lane: 3 }, "retrying", "delivery_history_endpoint_state (endpoint_seq=? AND state=?)"],
];

test.each(HISTORIES)("a page of history %j in state %s is one range of an index", (change, state, index) => {
  const { sql } = historySql({ project, profile, limit: 50, ...change }, state);
  const steps = queryPlan(store.db, sql);
  expect(steps).toContain(`SEARCH d USING INDEX ${index}`);
  // The page itself comes out of the index in order; only its few rows are put in order again by the join.
  expect(steps.filter((step) => step.startsWith("SCAN d")).length).toBeLessThanOrEqual(1);
  expect(steps.filter((step) => step.includes("TEMP B-TREE")).length).toBeLessThanOrEqual(1);
});

const DATED = {
  project,
  profile: "posthook",
  sortBy: "scheduledAt",
  isDescending: false,
  limit: 10,
} as const;

const DATED_LISTS: readonly [string, DatedFilter, string][] = [
  ["all", DATED, "delivery_dated (project=?)"],
  ["after an instant", { ...DATED, scheduledAfter: 1 }, "delivery_dated (project=? AND scheduled_at>?)"],
  ["by making", { ...DATED, sortBy: "createdAt", isDescending: true }, "delivery_dated_created (project=?)"],
  ["waiting", { ...DATED, states: ["queued", "held"] }, "delivery_dated_active (project=?)"],
  ["given up", { ...DATED, states: ["dead", "cancelled"] }, "delivery_dated_failed (project=?)"],
];

test.each(DATED_LISTS)("a dated list of %s walks one index and sorts nothing", (_name, filter, index) => {
  const { page, count } = datedListSql(filter);
  for (const sql of [page, count]) {
    const steps = queryPlan(store.db, sql).filter((step) => !/^(CO-ROUTINE|SCAN c$|SCAN \()/.test(step));
    expect(steps.find((step) => step.includes("delivery_dated"))).toContain(`INDEX ${index}`);
    expectSearchesOnly(steps.map((step) => step.replace(/ LEFT-JOIN$/, "")));
  }
});

test("a dated list is bounded where its filters are on the column that it is sorted by", () => {
  expect(isBoundedDatedList({ ...DATED, scheduledAfter: 1 })).toBe(true);
  expect(isBoundedDatedList({ ...DATED, createdAfter: 1 })).toBe(false);
  expect(isBoundedDatedList({ ...DATED, states: ["dead"] })).toBe(false);
  expect(isBoundedDatedList({ ...DATED, offset: 1_001 })).toBe(false);
});
