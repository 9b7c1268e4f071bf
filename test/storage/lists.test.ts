import { expect, test } from "bun:test";
import { DELIVERY_STATES, settle } from "../../src/domain/delivery.ts";
import type { AppError } from "../../src/domain/errors.ts";
import type { DeliveryFilter, EventFilter, Page, RejectionFilter } from "../../src/domain/reads.ts";
import type { Store } from "../../src/storage/contract.ts";
import { countDeliveries } from "../../src/storage/list-deliveries.ts";
import { PAGE_LIMIT, PAGE_LIMIT_MAX } from "../../src/storage/page.ts";
import {
  NOW,
  newAttempt,
  newDelivery,
  newEvent,
  newId,
  newRejection,
  storeDelivery,
} from "../support/factory.ts";
import { openBareStore, openTestStore } from "../support/store.ts";

const project = "default";

async function pagesOf<Row>(list: (cursor: string | null) => Promise<Page<Row>>): Promise<Row[][]> {
  const pages: Row[][] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Row> = await list(cursor);
    pages.push([...page.data]);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return pages;
}

test("pages come newest first and end without an empty one", async () => {
  const store = openTestStore();
  const events = Array.from({ length: 6 }, () => newEvent());
  for (const event of events) await store.accept(event);
  const pages = await pagesOf((cursor) => store.listEvents({ project, cursor, limit: 3 }));
  expect(pages.map((page) => page.length)).toEqual([3, 3]);
  expect(pages.flat().map(({ id }) => id)).toEqual(events.map(({ id }) => id).toReversed());
});

test("a walk through the pages is not disturbed by rows that are added or purged meanwhile", async () => {
  const store = openTestStore();
  const events = Array.from({ length: 9 }, () => newEvent());
  for (const event of events) await store.accept(event);
  const pages = await pagesOf(async (cursor) => {
    const page = await store.listEvents({ project, cursor, limit: 2 });
    await store.accept(newEvent());
    return page;
  });
  expect(pages.flat().map(({ id }) => id)).toEqual(events.map(({ id }) => id).toReversed());
});

test("a page holds 50 unless asked otherwise, 500 at most", async () => {
  const store = openTestStore();
  await store.accept(newEvent({ deliveries: Array.from({ length: 60 }, () => newDelivery()) }));
  expect((await store.listDeliveries({ project })).data).toHaveLength(PAGE_LIMIT);
  expect([PAGE_LIMIT, PAGE_LIMIT_MAX]).toEqual([50, 500]);
});

test.each([
  { limit: 0 },
  { limit: 501 },
  { limit: 1.5 },
  { cursor: "" },
  { cursor: "-" },
  { cursor: Buffer.from("1; DROP TABLE event").toString("base64url") },
  { cursor: Buffer.from("99999999999999999999").toString("base64url") },
])("%j is refused as an invalid request", async (input) => {
  const answer = openTestStore().listEvents({ project, ...input });
  expect(await answer.catch((error: AppError) => error.code)).toBe("invalid_request");
});

interface Made {
  readonly store: Store;
  readonly ids: Readonly<Record<string, string>>;
}

/**
 * Three events of two sources, the second with two deliveries, one of them dead; one event of another
 * project.
 */
async function makeSome(): Promise<Made> {
  const store = openTestStore();
  const a = newEvent({ sourceSeq: 1, type: "a", receivedAt: NOW, deliveries: [newDelivery({ lane: 1 })] });
  const b = newEvent({
    sourceSeq: 2,
    type: "b",
    receivedAt: NOW + 10,
    deliveries: [newDelivery({ lane: 1 }), newDelivery({ lane: 2, state: "sending" })],
  });
  const c = newEvent({ sourceSeq: 1, type: "b", receivedAt: NOW + 20 });
  const other = newEvent({ project: "other", deliveries: [newDelivery({ project: "other" })] });
  for (const event of [a, b, c, other]) await store.accept(event);
  const ids = { a: a.id, b: b.id, c: c.id, other: other.id };
  const [a1, b1, b2] = [...a.deliveries, ...b.deliveries].map(({ id }) => id) as [string, string, string];
  const located = await store.deliveryPosition(b2);
  if (!located) throw new Error("not stored");
  const outcome = {
    kind: "failed",
    failure: "status",
    status: 500,
    text: "HTTP 500",
    retryAfterMs: null,
  } as const;
  const attempt = newAttempt({ outcome: "failed", failure: "status", status: 500, error: "HTTP 500" });
  const settlement = { outcome, attempt, decision: { kind: "dead" }, followUps: [] } as const;
  await store.transition(settle(located.position, settlement, NOW + 30));
  return { store, ids: { ...ids, a1, b1, b2 } };
}

const EVENT_CASES: readonly [Omit<EventFilter, "project">, string[]][] = [
  [{}, ["c", "b", "a"]],
  [{ sourceSeq: 1 }, ["c", "a"]],
  [{ type: "b" }, ["c", "b"]],
  [{ sourceSeq: 1, type: "b" }, ["c"]],
  [{ since: NOW + 10 }, ["c", "b"]],
  [{ until: NOW + 10 }, ["a"]],
  [{ since: NOW + 1, until: NOW + 20 }, ["b"]],
];

test.each(EVENT_CASES)("events by %j", async (filter, expected) => {
  const { store, ids } = await makeSome();
  const page = await store.listEvents({ project, ...filter });
  expect(page.data.map(({ id }) => id)).toEqual(expected.map((name) => ids[name] as string));
});

const DELIVERY_CASES: readonly [Omit<DeliveryFilter, "project" | "eventId">, string[]][] = [
  [{}, ["b2", "b1", "a1"]],
  [{ lane: 1 }, ["b1", "a1"]],
  [{ state: "dead" }, ["b2"]],
  [{ state: "queued" }, ["b1", "a1"]],
  [{ state: "succeeded" }, []],
  [{ lane: 2, state: "queued" }, []],
  [{ sourceSeq: 2 }, ["b2", "b1"]],
  [{ since: NOW + 10 }, ["b2", "b1"]],
  [{ until: NOW + 10 }, ["a1"]],
];

test.each(DELIVERY_CASES)("deliveries by %j", async (filter, expected) => {
  const { store, ids } = await makeSome();
  const page = await store.listDeliveries({ project, ...filter });
  expect(page.data.map(({ id }) => id)).toEqual(expected.map((name) => ids[name] as string));
});

test("deliveries of one event", async () => {
  const { store, ids } = await makeSome();
  const page = await store.listDeliveries({ project, eventId: ids.b as string });
  expect(page.data.map(({ id }) => id)).toEqual([ids.b2, ids.b1] as string[]);
  expect((await store.listDeliveries({ project, eventId: newId() })).data).toEqual([]);
});

test("a delivery shows where it came from, how it stands and its attempts", async () => {
  const { store, ids } = await makeSome();
  expect(await store.getDelivery({ project, id: ids.b2 as string })).toMatchObject({
    eventId: ids.b as string,
    sourceSeq: 2,
    lane: 2,
    state: "dead",
    attemptCount: 1,
    dueAt: null,
    finishedAt: NOW + 30,
    lastStatus: 500,
    lastError: "HTTP 500",
    hasPayload: true,
    attempts: [newAttempt({ outcome: "failed", failure: "status", status: 500, error: "HTTP 500" })],
  });
});

test("an event shows its bytes and its deliveries", async () => {
  const { store, ids } = await makeSome();
  const event = await store.getEvent({ project, id: ids.b as string });
  expect(Buffer.from(event?.payload?.body ?? []).toString()).toBe('{"hello":"world"}');
  expect(event?.deliveries.map(({ id }) => id)).toEqual([ids.b1, ids.b2] as string[]);
});

test("what belongs to another project is not found", async () => {
  const { store, ids } = await makeSome();
  expect(await store.getEvent({ project, id: ids.other as string })).toBeNull();
  expect(await store.getDelivery({ project: "other", id: ids.a1 as string })).toBeNull();
  expect(await store.getRejection({ project, id: newId() })).toBeNull();
});

test("deliveries are counted by state, the succeeded excepted", () => {
  const { db } = openBareStore();
  for (const [index, state] of DELIVERY_STATES.entries()) {
    for (let count = 0; count <= index; count += 1) storeDelivery(db, { state });
  }
  const counts = DELIVERY_STATES.map((state, index) => [state, index + 1] as const);
  expect(countDeliveries(db)).toEqual(Object.fromEntries(counts.filter(([state]) => state !== "succeeded")));
});

test("an empty store counts nothing", async () => {
  expect(await openTestStore().countDeliveries()).toEqual({});
});

const REJECTION_CASES: readonly [Omit<RejectionFilter, "project">, number[]][] = [
  [{}, [2, 1, 0]],
  [{ sourceSeq: 1 }, [2, 0]],
  [{ reason: "missing_signature" }, [1]],
  [{ since: NOW + 1, until: NOW + 2 }, [1]],
];

test.each(REJECTION_CASES)("rejections by %j", async (filter, expected) => {
  const store = openTestStore();
  const made = [
    newRejection({ receivedAt: NOW }),
    newRejection({ receivedAt: NOW + 1, sourceSeq: 2, reason: "missing_signature" }),
    newRejection({ receivedAt: NOW + 2 }),
  ];
  for (const rejection of [...made, newRejection({ project: "other" })]) await store.reject(rejection);
  const page = await store.listRejections({ project, ...filter });
  expect(page.data.map(({ id }) => id)).toEqual(expected.map((index) => made[index]?.id as string));
});

test("a rejection shows its diagnosis, headers and the beginning of its body", async () => {
  const store = openTestStore();
  const rejection = newRejection({ diagnosis: '{"field":"x"}', headers: '{"a":"b"}', isBodyCut: true });
  await store.reject(rejection);
  const { headers: _headers, body, ...rest } = rejection;
  expect(await store.getRejection({ project, id: rejection.id })).toEqual({
    ...rest,
    seq: 1,
    headers: { a: "b" },
    admission: null,
    body: new Uint8Array(body),
  });
});
