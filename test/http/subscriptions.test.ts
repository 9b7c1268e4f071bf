import { describe, expect, test } from "bun:test";
import type { SourceChange } from "../support/factory.ts";
import { KEYS, startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const EVENT_TYPE = { kind: "json", path: ["type"] } as const;
const ACME = { kind: "events", tenant: "acme", when: null } as const;
const SOURCE: SourceChange = { name: "orders", eventType: EVENT_TYPE, to: [ACME] };
const NAMES = ["exact", "prefix", "all", "globex", "none"];

const OPTIONS: TestAppOptions = {
  endpoints: NAMES.map((name) => ({ name, url: `http://receiver.test/${name}` })),
  sources: [SOURCE],
  subscriptions: [
    { name: "exact", tenant: "acme", eventTypes: ["OrderPlaced", "never"], endpoint: "exact" },
    { name: "prefix", tenant: "acme", eventTypes: ["invoice.*"], endpoint: "prefix" },
    { name: "all", tenant: "acme", eventTypes: ["*"], endpoint: "all" },
    { name: "globex", tenant: "globex", eventTypes: ["*"], endpoint: "globex" },
    { name: "none", tenant: "", eventTypes: ["*"], endpoint: "none" },
  ],
};

async function ingest(app: TestApp, body: object): Promise<string> {
  return app.ingest("orders", JSON.stringify(body));
}

/** The endpoints of all deliveries so far, by name, oldest first. */
async function deliveredTo(app: TestApp): Promise<(string | undefined)[]> {
  await app.flush();
  const { json } = await app.api("/deliveries");
  const endpoints = (await app.api("/endpoints")).json.data;
  return json.data.map(({ endpointId }) => endpoints.find(({ id }) => id === endpointId)?.name).reverse();
}

describe("An event for a tenant goes to its matching subscriptions", () => {
  test.each<[object, string[]]>([
    [{ type: "OrderPlaced" }, ["exact", "all"]],
    [{ type: "orderplaced" }, ["all"]],
    [{ type: "invoice.paid" }, ["prefix", "all"]],
    [{ type: "invoice" }, ["all"]],
    [{}, ["all"]],
  ])("%j", async (body, expected) => {
    await using app = await startTestApp(OPTIONS);
    const id = await ingest(app, body);
    expect(await deliveredTo(app)).toEqual(expected);
    expect((await app.api(`/events/${id}`)).json).toMatchObject({ tenant: "acme" });
  });

  test("of the empty tenant when it names none, and not to every tenant's", async () => {
    const to = [{ ...ACME, tenant: "" }];
    await using app = await startTestApp({ ...OPTIONS, sources: [{ ...SOURCE, to }] });
    const id = await ingest(app, { type: "OrderPlaced" });
    expect(await deliveredTo(app)).toEqual(["none"]);
    expect((await app.api(`/events/${id}`)).json).toMatchObject({ tenant: null });
  });

  test("of the source's project only", async () => {
    const subscriptions = [{ project: "other", tenant: "acme" }];
    await using app = await startTestApp({ ...OPTIONS, subscriptions });
    await ingest(app, { type: "a" });
    expect(await deliveredTo(app)).toEqual([]);
  });
});

test("An event that nobody subscribes to is stored, and its tenant with it", async () => {
  await using app = await startTestApp({
    ...OPTIONS,
    subscriptions: OPTIONS.subscriptions?.slice(0, 2) ?? [],
  });
  const id = await ingest(app, { type: "other" });
  expect(await deliveredTo(app)).toEqual([]);
  expect((await app.api(`/events/${id}`)).json).toMatchObject({ type: "other", tenant: "acme" });
});

test("Each way to an endpoint is its own delivery; patterns of one subscription are one way", async () => {
  await using app = await startTestApp({
    ...OPTIONS,
    sources: [{ ...SOURCE, to: ["all", ACME] }],
    subscriptions: [
      { name: "one", tenant: "acme", eventTypes: ["a.*", "a.b", "*"], endpoint: "all" },
      { name: "two", tenant: "acme", eventTypes: ["a.b"], endpoint: "all" },
    ],
  });
  await ingest(app, { type: "a.b" });
  expect(await deliveredTo(app)).toEqual(["all", "all", "all"]);
  const ids = app.sent.map(({ headers }) => headers.get("webhook-id"));
  expect([ids.length, new Set(ids).size]).toEqual([3, 1]);
});

test("What the condition declines is nobody's event", async () => {
  const to = [{ ...ACME, when: { "json:env": "live" } }, "none"];
  await using app = await startTestApp({ ...OPTIONS, sources: [{ ...SOURCE, to }] });
  const id = await ingest(app, { type: "OrderPlaced", env: "test" });
  expect(await deliveredTo(app)).toEqual(["none"]);
  expect((await app.api(`/events/${id}`)).json).toMatchObject({ tenant: null });
  await ingest(app, { type: "OrderPlaced", env: "live" });
  expect(await deliveredTo(app)).toEqual(["none", "exact", "all", "none"]);
});

test("Deliveries to a paused endpoint wait, the others do not", async () => {
  await using app = await startTestApp(OPTIONS);
  await app.api("/endpoints/all/pause", { method: "POST" });
  await ingest(app, { type: "OrderPlaced" });
  await app.flush();
  const { json } = await app.api("/deliveries?state=held");
  expect(json.data).toHaveLength(1);
  expect(app.sent.map(({ url }) => url)).toEqual(["http://receiver.test/exact"]);
});

test("A duplicate goes nowhere a second time", async () => {
  const selectors = [[{ kind: "json", path: ["id"] }]] as const;
  const sources = [{ ...SOURCE, dedupe: { selectors, windowMs: 60_000 } }];
  await using app = await startTestApp({ ...OPTIONS, sources });
  const first = await ingest(app, { id: 1, type: "invoice.paid" });
  expect(await ingest(app, { id: 1, type: "invoice.paid" })).toBe(first);
  expect(await deliveredTo(app)).toEqual(["prefix", "all"]);
});

test("A reload decides for the events after it", async () => {
  await using app = await startTestApp(OPTIONS);
  const moved = [{ name: "all", tenant: "acme", eventTypes: ["a"], endpoint: "none" }];
  await app.declare({ subscriptions: moved });
  await ingest(app, { type: "a" });
  await ingest(app, { type: "b" });
  expect(await deliveredTo(app)).toEqual(["none"]);
});

describe("The API", () => {
  test("lists subscriptions in service, page by page", async () => {
    await using app = await startTestApp(OPTIONS);
    const first = (await app.api("/subscriptions?limit=3", { key: KEYS.read })).json;
    expect(first.data.map(({ name }) => name)).toEqual(["exact", "prefix", "all"]);
    const second = (await app.api(`/subscriptions?cursor=${first.nextCursor}`)).json;
    expect(second.data.map(({ name }) => name)).toEqual(["globex", "none"]);
    expect(second.nextCursor).toBeNull();
    expect((await app.api("/subscriptions", { key: KEYS.other })).json.data).toEqual([]);
  });

  test("shows one by name or id, a retired one by id only", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await app.api("/subscriptions/exact");
    expect(json).toMatchObject({
      name: "exact",
      door: "config",
      tenant: "acme",
      eventTypes: ["OrderPlaced", "never"],
      endpoint: "exact",
      state: "active",
      retiredAt: null,
    });
    expect(json.id).toStartWith("sub_");
    await app.declare({ subscriptions: [] });
    expect((await app.api(`/subscriptions/${json.id}`)).json).toMatchObject({ state: "retired" });
    expect((await app.api("/subscriptions/exact")).status).toBe(404);
    expect((await app.api(`/subscriptions/${json.id}`, { key: KEYS.other })).status).toBe(404);
  });

  test("shows a tenant among a source's targets", async () => {
    await using app = await startTestApp(OPTIONS);
    expect((await app.api("/sources/orders")).json).toMatchObject({ to: [ACME] });
  });
});
