import { describe, expect, test } from "bun:test";
import { DAY } from "../../src/domain/duration.ts";
import {
  BODY_BYTES_MAX,
  KEYS,
  sendResponse,
  startTestApp,
  type TestApp,
  type TestAppOptions,
} from "../support/test-app.ts";

const OPTIONS: TestAppOptions = {
  endpoints: ["exact", "prefix", "all"].map((name) => ({ name, url: `http://receiver.test/${name}` })),
  subscriptions: [
    { name: "exact", tenant: "acme", eventTypes: ["order.placed"], endpoint: "exact" },
    { name: "prefix", tenant: "acme", eventTypes: ["order.*"], endpoint: "prefix" },
    { name: "all", tenant: "acme", eventTypes: ["*"], endpoint: "all" },
    { name: "twice", tenant: "acme", eventTypes: ["*"], endpoint: "all" },
  ],
};

interface Published {
  readonly id: string;
  readonly duplicate: boolean;
  readonly deliveryCount: number;
  readonly deliveries: readonly { readonly id: string; readonly endpoint: string }[];
  readonly error: { readonly code: string; readonly message: string; readonly details: unknown };
}

async function publish(app: TestApp, body: string, key: string = KEYS.ingest) {
  const { status, json } = await app.api("/events", { method: "POST", body, key });
  await app.settle();
  return { status, json: json as unknown as Published };
}

const order = (rest = "") => `{"type":"order.placed","tenant":"acme","data":{"n":1}${rest}}`;

describe("A published event", () => {
  test("goes to every subscription of its tenant that matches, each its own delivery", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await publish(app, order());
    expect(json).toMatchObject({ duplicate: false, deliveryCount: 4 });
    expect(json.deliveries.map(({ endpoint }) => endpoint)).toEqual(["exact", "prefix", "all", "all"]);
    expect(new Set(json.deliveries.map(({ id }) => id)).size).toBe(4);
    expect(app.sent.map(({ url }) => url.split("/").at(-1))).toEqual(["exact", "prefix", "all", "all"]);
    expect(app.sent.map(({ headers }) => headers.get("webhook-id"))).toEqual(Array(4).fill(json.id));
    expect(app.sent.map(({ headers }) => headers.get("webhook-event-type"))).toEqual(
      Array(4).fill("order.placed"),
    );
  });

  test("is stored when nobody wants it, under its tenant", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await publish(app, '{"type":"a","tenant":"globex","data":null,"id":"mine-1"}');
    expect(json).toMatchObject({ deliveryCount: 0, deliveries: [], externalId: "mine-1" });
    expect((await app.api(`/events/${json.id}`)).json).toMatchObject({
      ...{ type: "a", tenant: "globex", source: null, externalId: "mine-1", body: "null" },
      headers: { "content-type": "application/json", "webhook-event-type": "a" },
    });
  });

  test("keeps the bytes of its data", async () => {
    await using app = await startTestApp(OPTIONS);
    const data = '{ "amount" : 9007199254740993, "rate": 1.0,\n\t"who":"Zo\\u00eb", "x":1,"x":2 }';
    const { json } = await publish(app, `{"type":"order.x","tenant":"acme","data": ${data} }`);
    expect(Buffer.from(app.sent[0]?.body ?? []).toString()).toBe(data);
    expect((await app.api(`/events/${json.id}`)).json).toMatchObject({ body: data });
  });

  test("stays in the project of its key", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await publish(app, order(), KEYS.other);
    expect(json.deliveryCount).toBe(0);
    expect((await app.api(`/events/${json.id}`)).status).toBe(404);
  });

  test("cannot be one of Postern's own", async () => {
    await using app = await startTestApp(OPTIONS);
    const { status, json } = await publish(app, '{"type":"endpoint.disabled","tenant":"postern","data":{}}');
    expect([status, json.error.code]).toEqual([400, "invalid_request"]);
    expect((await app.api("/events")).json.data).toEqual([]);
  });

  test("stands in the line of its ordering key", async () => {
    const [exact] = OPTIONS.endpoints ?? [];
    const endpoints = [{ ...exact, pacing: { ordering: "key" } }] as const;
    await using app = await startTestApp({
      ...OPTIONS,
      endpoints,
      subscriptions: OPTIONS.subscriptions?.slice(0, 1) ?? [],
    });
    app.sendResults.push(sendResponse(500));
    for (const orderingKey of ["a", "a", "b"]) await publish(app, order(`,"orderingKey":"${orderingKey}"`));
    const { json } = await app.api("/deliveries");
    expect(json.data).toMatchObject([
      { orderingKey: "b", state: "succeeded" },
      { orderingKey: "a", state: "queued", attemptCount: 0 },
      { orderingKey: "a", state: "retrying" },
    ]);
  });

  test("waits for endpoints that are paused", async () => {
    await using app = await startTestApp(OPTIONS);
    await app.api("/endpoints/exact/pause", { method: "POST" });
    await publish(app, order());
    expect((await app.api("/deliveries?state=held")).json.data).toHaveLength(1);
    expect(app.sent).toHaveLength(3);
  });
});

describe("Under an idempotency key", () => {
  test.each([
    ["of its own", ',"idempotencyKey":"k"'],
    ["that is the caller's id", ',"id":"k"'],
  ])("%s, the same event again is answered with the first one", async (_name, rest) => {
    await using app = await startTestApp(OPTIONS);
    const first = await publish(app, order(rest));
    const again = await publish(app, order(rest));
    expect(again.json).toMatchObject({ id: first.json.id, duplicate: true, deliveryCount: 4 });
    expect(again.json.deliveries).toEqual(first.json.deliveries);
    expect(app.sent).toHaveLength(4);
  });

  test("another event is a conflict that changes nothing", async () => {
    await using app = await startTestApp(OPTIONS);
    const first = await publish(app, order(',"id":"k"'));
    const other = await publish(app, '{"type":"order.placed","tenant":"acme","data":{"n":2},"id":"k"}');
    expect([other.status, other.json.error]).toEqual([
      409,
      expect.objectContaining({ code: "conflict", details: { eventId: first.json.id } }),
    ]);
    expect(app.sent).toHaveLength(4);
    expect((await app.api("/events")).json.data).toHaveLength(1);
  });

  test("at the same moment, one of two is the first", async () => {
    await using app = await startTestApp(OPTIONS);
    const both = await Promise.all([publish(app, order(',"id":"k"')), publish(app, order(',"id":"k"'))]);
    expect(both.map(({ json }) => json.duplicate).sort()).toEqual([false, true]);
    expect(app.sent).toHaveLength(4);
  });

  test("it holds in its project, for a day, and is forgotten after", async () => {
    await using app = await startTestApp(OPTIONS);
    const first = await publish(app, order(',"id":"k"'));
    expect((await publish(app, order(',"id":"k"'), KEYS.other)).json.duplicate).toBe(false);
    await app.advance(DAY - 1);
    expect((await publish(app, order(',"id":"k"'))).json.duplicate).toBe(true);
    await app.advance(1);
    const next = await publish(app, order(',"id":"k"'));
    expect([next.json.duplicate, next.json.id === first.json.id]).toEqual([false, false]);
    await app.advance(DAY);
    await app.engine.retention.sweep();
    const now = app.clock.now();
    expect(await app.store.purge({ kind: "dedupe", before: now, limit: 10 })).toMatchObject({
      deletedCount: 0,
    });
  });
});

describe("It is refused", () => {
  test.each([
    ["without data", '{"type":"a"}', 400],
    ["without a type", '{"data":1}', 400],
    ["with a star in its type", '{"type":"a.*","data":1}', 400],
    ["with a line break in its type", '{"type":"a\\nb","data":1}', 400],
    ["with a member that nobody knows", '{"type":"a","data":1,"tenent":"x"}', 400],
    ["with a member twice", '{"type":"a","data":1,"data":2}', 400],
    ["with control characters in its tenant", '{"type":"a","data":1,"tenant":"a\\u0000"}', 400],
    ["as something else than an object", "[]", 400],
    ["as no JSON", '{"type":"a","data":1', 400],
    ["when it is too large", `{"type":"a","data":"${"x".repeat(BODY_BYTES_MAX)}"}`, 413],
  ])("%s", async (_name, body, status) => {
    await using app = await startTestApp(OPTIONS);
    expect((await publish(app, body)).status).toBe(status);
    expect((await app.api("/events")).json.data).toEqual([]);
  });

  test("with a key that may only read", async () => {
    await using app = await startTestApp(OPTIONS);
    expect((await publish(app, order(), KEYS.read)).status).toBe(403);
  });
});

test("A delivery without an event sends its JSON as it was written, too", async () => {
  await using app = await startTestApp(OPTIONS);
  const json = '[9007199254740993, {"a" : 1.50}]';
  const body = `{"endpoint":"exact","json": ${json},"headers":{"X-Why":"test"}}`;
  expect((await app.api("/deliveries", { method: "POST", body, key: KEYS.ingest })).status).toBe(200);
  await app.settle();
  expect(Buffer.from(app.sent[0]?.body ?? []).toString()).toBe(json);
  expect(app.sent[0]?.headers.get("x-why")).toBe("test");
});
