import { describe, expect, test } from "bun:test";
import { requestTable } from "../support/request-table.ts";
import { type AnyAnswer, KEYS, sendResponse, startTestApp, type TestApp } from "../support/test-app.ts";

const POST = { method: "POST" } as const;
const UNKNOWN_ID = "0".repeat(32);
/** The first failure is final. */
const ONE_TRY = { kind: "ladder", delaysMs: [], jitter: 0 } as const;

const OPTIONS = {
  endpoints: [
    {
      name: "app",
      headers: { "x-secret": "hunter2" },
      sign: [{ scheme: "standard", secrets: [{ value: "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=" }] }],
    },
    { name: "fragile", retry: ONE_TRY },
    { name: "foreign", project: "other" },
  ],
  sources: [
    { name: "orders", to: ["app"], eventType: { kind: "json", path: ["type"] } },
    { name: "payments", to: ["fragile"] },
    { name: "pulled" },
    { name: "foreign-source", project: "other", to: ["foreign"] },
    { name: "guarded", verify: [{ scheme: "token", header: "x-token", secrets: [{ value: "hunter2" }] }] },
  ],
} as const;

const settled = (app: TestApp, state: string) =>
  app.probe.next("attempt.settled", (signal) => signal.state === state);

/**
 * Sends an event and waits until its first attempt ended in `state`; returns the shown id of the delivery.
 */
async function deliver(app: TestApp, source: string, state: string): Promise<string> {
  const ended = settled(app, state);
  const event = await app.ingest(source);
  await ended;
  const { json } = await app.api(`/deliveries?event=${event}`);
  return json.data[0]?.id ?? "";
}

async function deadDelivery(app: TestApp): Promise<string> {
  app.sendResults.push(sendResponse(503, "down for maintenance"));
  return deliver(app, "payments", "dead");
}

async function heldDelivery(app: TestApp): Promise<string> {
  await app.api("/endpoints/app/pause", POST);
  const event = await app.ingest("orders");
  const { json } = await app.api(`/deliveries?event=${event}`);
  return json.data[0]?.id ?? "";
}

describe("who may call", () => {
  requestTable(OPTIONS, [
    { name: "nobody without a key", path: "/_/api/events", status: 401, code: "unauthorized" },
    {
      name: "and the answer names the scheme",
      path: "/_/api/events",
      status: 401,
      answerHeaders: { "www-authenticate": 'Bearer realm="postern"' },
    },
    {
      name: "not even to learn that a path is unknown",
      path: "/_/api/nothing",
      status: 401,
      code: "unauthorized",
    },
    {
      name: "nobody with an unknown key",
      path: "/_/api/events",
      key: "nonsense",
      status: 401,
      code: "unauthorized",
    },
    { name: "a key in X-API-Key", path: "/_/api/events", headers: { "x-api-key": KEYS.read }, status: 200 },
    {
      name: "a Bearer in any spelling",
      path: "/_/api/events",
      headers: { authorization: `bearer  ${KEYS.read}` },
      status: 200,
    },
    {
      name: "another Authorization scheme leaves X-API-Key to decide",
      path: "/_/api/events",
      headers: { authorization: "Basic eDp5", "x-api-key": KEYS.read },
      status: 200,
    },
    {
      name: "a wrong Bearer is not rescued by X-API-Key",
      path: "/_/api/events",
      headers: { authorization: "Bearer nonsense", "x-api-key": KEYS.read },
      status: 401,
    },
    {
      name: "a key for ingest reads nothing",
      path: "/_/api/events",
      key: KEYS.ingest,
      status: 403,
      code: "forbidden",
    },
    {
      name: "a key for reading changes nothing",
      ...POST,
      path: "/_/api/endpoints/app/pause",
      key: KEYS.read,
      status: 403,
      code: "forbidden",
      json: { error: { details: { needed: "admin", given: "read" } } },
      after: (app) => expect(app.engine.directory.endpointNamed("default", "app")?.pausedAt).toBeNull(),
    },
  ]);
});

describe("bad requests", () => {
  const admin = { key: KEYS.admin };
  requestTable(OPTIONS, [
    { ...admin, name: "an unknown path", path: "/_/api/nothing", status: 404, code: "not_found" },
    { ...admin, name: "the prefix alone", path: "/_/api", status: 404, code: "not_found" },
    {
      ...admin,
      name: "a wrong method, with the right ones",
      method: "DELETE",
      path: "/_/api/events",
      status: 405,
      code: "method_not_allowed",
      answerHeaders: { allow: "GET, HEAD, POST" },
    },
    {
      ...admin,
      name: "a GET for an action",
      path: "/_/api/reload",
      status: 405,
      answerHeaders: { allow: "POST" },
    },
    {
      ...admin,
      name: "an unknown query parameter",
      path: "/_/api/events?sort=up",
      status: 400,
      code: "invalid_request",
      json: { error: { details: { parameter: "sort" } } },
    },
    {
      ...admin,
      name: "an unknown query parameter of a path that takes none",
      path: "/_/api/endpoints/app?x=1",
      status: 400,
      code: "invalid_request",
    },
    { ...admin, name: "a parameter that is given twice", path: "/_/api/events?type=a&type=b", status: 400 },
    { ...admin, name: "a parameter named like a built-in", path: "/_/api/events?__proto__=1", status: 400 },
    {
      ...admin,
      name: "a limit of zero",
      path: "/_/api/events?limit=0",
      status: 400,
      code: "invalid_request",
    },
    { ...admin, name: "a limit above the most", path: "/_/api/endpoints?limit=501", status: 400 },
    { ...admin, name: "a limit that is no number", path: "/_/api/events?limit=ten", status: 400 },
    {
      ...admin,
      name: "a cursor that is none",
      path: "/_/api/events?cursor=xyz",
      status: 400,
      code: "invalid_request",
    },
    {
      ...admin,
      name: "a cursor that is none, of endpoints",
      path: "/_/api/endpoints?cursor=xyz",
      status: 400,
    },
    { ...admin, name: "an instant that is none", path: "/_/api/events?since=yesterday", status: 400 },
    {
      ...admin,
      name: "an instant that no calendar has",
      path: "/_/api/events?since=2026-13-01",
      status: 400,
    },
    { ...admin, name: "a state that is none", path: "/_/api/deliveries?state=lost", status: 400 },
    { ...admin, name: "a reason that is none", path: "/_/api/rejections?reason=bored", status: 400 },
    { ...admin, name: "an endpoint that is none", path: "/_/api/deliveries?endpoint=nobody", status: 400 },
    {
      ...admin,
      name: "an endpoint of another project",
      path: "/_/api/deliveries?endpoint=foreign",
      status: 400,
    },
    {
      ...admin,
      name: "an event id of another kind",
      path: `/_/api/deliveries?event=dlv_${UNKNOWN_ID}`,
      status: 400,
    },
    { ...admin, name: "an id that is none", path: "/_/api/events/7", status: 404, code: "not_found" },
    {
      ...admin,
      name: "an id with a broken escape",
      path: "/_/api/events/%zz",
      status: 404,
      code: "not_found",
    },
    { ...admin, name: "an id of another kind", path: `/_/api/deliveries/evt_${UNKNOWN_ID}`, status: 404 },
    { ...admin, name: "an id that nothing has", path: `/_/api/events/evt_${UNKNOWN_ID}`, status: 404 },
    {
      ...admin,
      name: "a rejection that is not there",
      path: `/_/api/rejections/rej_${UNKNOWN_ID}`,
      status: 404,
    },
    {
      ...admin,
      ...POST,
      name: "an action on nothing",
      path: `/_/api/deliveries/dlv_${UNKNOWN_ID}/retry`,
      status: 404,
    },
    { ...admin, ...POST, name: "a body that is no JSON", path: "/_/api/reload", body: "{", status: 400 },
    {
      ...admin,
      ...POST,
      name: "a body that is no UTF-8",
      path: "/_/api/reload",
      body: new Uint8Array([34, 255, 34]),
      status: 400,
    },
    {
      ...admin,
      ...POST,
      name: "a body where none is taken",
      path: "/_/api/reload",
      body: '{"now":true}',
      status: 400,
    },
    {
      ...admin,
      ...POST,
      name: "a huge body where none is taken",
      path: "/_/api/reload",
      body: "x".repeat(70_000),
      status: 413,
    },
    {
      ...admin,
      ...POST,
      name: "no mistake: an empty object",
      path: "/_/api/reload",
      body: "{}",
      status: 200,
    },
    {
      ...admin,
      ...POST,
      name: "no mistake: an empty body that claims to be JSON",
      path: "/_/api/reload",
      headers: { "content-type": "application/json" },
      status: 200,
    },
  ]);
});

describe("events", () => {
  test("a list is newest first, in pages", async () => {
    await using app = await startTestApp(OPTIONS);
    const ids: string[] = [];
    for (let index = 0; index < 3; index += 1) ids.unshift(await app.ingest("pulled"));
    const first = await app.api("/events?limit=2");
    expect(first.json.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const second = await app.api(`/events?limit=2&cursor=${first.json.nextCursor}`);
    expect(second.json).toMatchObject({ data: [{ id: ids[2], source: "pulled" }], nextCursor: null });
  });

  test("filters narrow by source, type and time", async () => {
    await using app = await startTestApp(OPTIONS);
    await app.ingest("orders", '{"type":"paid"}');
    app.clock.advance(60_000);
    const later = new Date(app.clock.now()).toISOString();
    await app.ingest("pulled");
    const count = async (query: string) => (await app.api(`/events?${query}`)).json.data.length;
    expect(await count("source=orders")).toBe(1);
    expect(await count("type=paid")).toBe(1);
    expect(await count("type=other")).toBe(0);
    expect(await count(`since=${later}`)).toBe(1);
    expect(await count(`until=${later}`)).toBe(1);
    expect(await count("since=2026-01-01T01:00:30+01:00")).toBe(1);
    expect(await count("since=2026-01-01")).toBe(2);
  });

  test("an event shows its bytes and what came of it", async () => {
    await using app = await startTestApp(OPTIONS);
    const ended = settled(app, "succeeded");
    const id = await app.ingest("orders", '{"type":"paid","to":"Zoë"}');
    await ended;
    const { json } = await app.api(`/events/${id}`);
    expect(json).toMatchObject({
      id,
      source: "orders",
      type: "paid",
      body: '{"type":"paid","to":"Zoë"}',
      bodyEncoding: "text",
      receivedAt: "2026-01-01T00:00:00.000Z",
      deliveries: [{ eventId: id, endpoint: "app", state: "succeeded", lastStatus: 200 }],
    });
  });

  test("bytes that are no text are shown as base64", async () => {
    await using app = await startTestApp(OPTIONS);
    const body = new Uint8Array([0, 255, 254]);
    const response = await app.request("/in/pulled", { ...POST, body });
    const { id } = (await response.json()) as { id: string };
    const { json } = await app.api(`/events/${id}`);
    expect(json).toMatchObject({ body: "AP/+", bodyEncoding: "base64" });
  });

  test("another project sees nothing of it", async () => {
    await using app = await startTestApp(OPTIONS);
    const id = await app.ingest("pulled");
    expect((await app.api(`/events/${id}`, { key: KEYS.other })).status).toBe(404);
    expect((await app.api("/events", { key: KEYS.other })).json.data).toEqual([]);
  });
});

describe("deliveries", () => {
  test("a dead one shows its attempt with the answer it got", async () => {
    await using app = await startTestApp(OPTIONS);
    const id = await deadDelivery(app);
    const { json } = await app.api(`/deliveries/${id}`);
    expect(json).toMatchObject({
      state: "dead",
      endpoint: "fragile",
      source: "payments",
      attemptCount: 1,
      lastStatus: 503,
      hasPayload: true,
      dueAt: null,
      attempts: [
        {
          number: 1,
          outcome: "failed",
          failure: "status",
          status: 503,
          responseExcerpt: "down for maintenance",
          responseEncoding: "text",
        },
      ],
    });
  });

  test("filters narrow by state, endpoint, source, event and time", async () => {
    await using app = await startTestApp(OPTIONS);
    await deadDelivery(app);
    await deliver(app, "orders", "succeeded");
    const { json } = await app.api("/deliveries");
    const endpointId = json.data[0]?.endpointId;
    const found = async (query: string) =>
      (await app.api(`/deliveries?${query}`)).json.data.map(({ source }) => source);
    expect(await found("state=dead")).toEqual(["payments"]);
    expect(await found("endpoint=fragile")).toEqual(["payments"]);
    expect(await found(`endpoint=${endpointId}`)).toEqual(["orders"]);
    expect(await found("source=orders")).toEqual(["orders"]);
    expect(await found(`event=${json.data[1]?.eventId}`)).toEqual(["payments"]);
    expect(await found("until=2026-01-01")).toEqual([]);
    expect(await found("state=dead&endpoint=app")).toEqual([]);
  });

  test("a replay sends a dead one again under its id", async () => {
    await using app = await startTestApp(OPTIONS);
    const id = await deadDelivery(app);
    const ended = settled(app, "succeeded");
    const { status, json } = await app.api(`/deliveries/${id}/replay`, POST);
    expect({ status, id: json.id }).toEqual({ status: 200, id });
    await ended;
    const after = await app.api(`/deliveries/${id}`);
    expect(after.json).toMatchObject({ state: "succeeded", attempts: [{ number: 1 }, { number: 2 }] });
  });

  test("a waiting one is retried, then cancelled, then discarded", async () => {
    await using app = await startTestApp(OPTIONS);
    const id = await heldDelivery(app);
    expect((await app.api(`/deliveries/${id}/retry`, POST)).json.state).toBe("held");
    const cancelled = await app.api(`/deliveries/${id}/cancel`, POST);
    expect(cancelled.json).toMatchObject({ state: "cancelled", finishedAt: "2026-01-01T00:00:00.000Z" });
    expect((await app.api(`/deliveries/${id}/discard`, POST)).json.state).toBe("discarded");
  });

  test.each([
    "cancel",
    "retry",
    "discard",
  ])("%s of one that succeeded is refused with its state", async (verb) => {
    await using app = await startTestApp(OPTIONS);
    const id = await deliver(app, "orders", "succeeded");
    const { status, json } = await app.api(`/deliveries/${id}/${verb}`, POST);
    expect(status).toBe(409);
    expect(json.error).toMatchObject({ code: "invalid_state", details: { state: "succeeded" } });
  });

  test("another project can neither see nor change one", async () => {
    await using app = await startTestApp(OPTIONS);
    const id = await deadDelivery(app);
    expect((await app.api(`/deliveries/${id}`, { key: KEYS.other })).status).toBe(404);
    for (const verb of ["cancel", "retry", "replay", "discard"]) {
      expect((await app.api(`/deliveries/${id}/${verb}`, { ...POST, key: KEYS.other })).status).toBe(404);
    }
    expect((await app.api(`/deliveries/${id}`)).json.state).toBe("dead");
  });
});

describe("rejections", () => {
  test("a refused request is listed by source and reason and shown whole", async () => {
    await using app = await startTestApp(OPTIONS);
    await app.request("/in/guarded", { ...POST, headers: { "x-token": "wrong", "x-odd": "1" }, body: "{}" });
    await app.request("/in/orders", { method: "PUT", body: "{}" });
    await app.flush();
    const { json } = await app.api("/rejections?source=guarded&reason=token_mismatch");
    expect(json.data).toHaveLength(1);
    const shown = await app.api(`/rejections/${json.data[0]?.id}`);
    expect(shown.json).toMatchObject({
      source: "guarded",
      reason: "token_mismatch",
      method: "POST",
      remoteAddress: "127.0.0.1",
      headers: { "x-odd": "1" },
      body: "{}",
      bodyEncoding: "text",
      isBodyCut: false,
    });
    expect(JSON.stringify(shown.json)).not.toContain("wrong");
    expect((await app.api("/rejections?until=2026-01-01")).json.data).toEqual([]);
    expect((await app.api(`/rejections/${json.data[0]?.id}`, { key: KEYS.other })).status).toBe(404);
  });
});

describe("endpoints and sources", () => {
  test("an endpoint is shown by id and by name, without secrets", async () => {
    await using app = await startTestApp(OPTIONS);
    const byName = await app.api("/endpoints/app");
    const byId = await app.api(`/endpoints/${byName.json.id}`);
    expect(byId.json).toEqual(byName.json);
    expect(byName.json).toMatchObject({
      state: "active",
      headerNames: ["x-secret"],
      sign: ["standard"],
      breaker: { state: "closed", retryAt: null },
      lane: { inFlight: 0, nextDueAt: null },
    });
    expect(JSON.stringify(byName.json)).not.toMatch(/hunter2|whsec_/);
  });

  test("a list shows the project's own, in pages", async () => {
    await using app = await startTestApp(OPTIONS);
    const names = ({ json }: { json: AnyAnswer }) => json.data.map(({ name }) => name);
    const first = await app.api("/endpoints?limit=1");
    expect(names(first)).toEqual(["app"]);
    const second = await app.api(`/endpoints?limit=1&cursor=${first.json.nextCursor}`);
    expect(names(second)).toEqual(["fragile"]);
    expect(second.json.nextCursor).toBeNull();
    expect(names(await app.api("/sources", { key: KEYS.other }))).toEqual(["foreign-source"]);
  });

  test("an endpoint is paused and resumed, and what waited is sent", async () => {
    await using app = await startTestApp(OPTIONS);
    const id = await heldDelivery(app);
    expect((await app.api("/endpoints/app")).json.state).toBe("paused");
    expect((await app.api(`/deliveries/${id}`)).json.state).toBe("held");
    const ended = settled(app, "succeeded");
    expect((await app.api("/endpoints/app/resume", POST)).json).toMatchObject({
      state: "active",
      pausedAt: null,
    });
    await ended;
    expect((await app.api(`/deliveries/${id}`)).json.state).toBe("succeeded");
  });

  test("an open breaker shows when it is tried again", async () => {
    await using app = await startTestApp({
      ...OPTIONS,
      endpoints: [{ name: "app", breaker: { failures: 1, recoveryMs: 30_000 } }, { name: "fragile" }],
    });
    app.sendResults.push(sendResponse(500));
    await deliver(app, "orders", "retrying");
    expect((await app.api("/endpoints/app")).json.breaker).toMatchObject({
      state: "open",
      retryAt: "2026-01-01T00:00:30.000Z",
    });
  });

  test("a source is shown without secrets, paused and resumed", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await app.api("/sources/guarded");
    expect(json).toMatchObject({
      ingestUrl: "http://hooks.example/in/guarded",
      verify: ["token"],
      state: "active",
    });
    expect(JSON.stringify(json)).not.toContain("hunter2");
    expect((await app.api("/sources/orders")).json.eventType).toBe("json:type");
    const paused = await app.api(`/sources/${json.id}/pause`, POST);
    expect(paused.json).toMatchObject({ state: "paused", pausedAt: "2026-01-01T00:00:00.000Z" });
    expect((await app.request("/in/guarded", POST)).status).toBe(503);
    expect((await app.api("/sources/guarded/resume", POST)).json.state).toBe("active");
  });

  test.each([
    "/endpoints/foreign",
    "/sources/foreign-source",
  ])("%s of another project is not there", async (path) => {
    await using app = await startTestApp(OPTIONS);
    expect((await app.api(path)).status).toBe(404);
    expect((await app.api(`${path}/pause`, POST)).status).toBe(404);
    expect((await app.api(path, { key: KEYS.other })).status).toBe(200);
  });
});

describe("the server", () => {
  test("status shows version, uptime, store and counts", async () => {
    await using app = await startTestApp(OPTIONS);
    await deadDelivery(app);
    app.clock.advance(1_500);
    expect((await app.api("/status")).json).toMatchObject({
      version: "1.2.3",
      uptimeMs: 1_500,
      clock: "virtual",
      durability: "fsync",
      store: { isHealthy: true, reason: null },
      attempts: { inFlight: 0, inFlightMax: 64 },
      deliveries: { dead: 1 },
    });
  });

  test("a reload says what it changed", async () => {
    await using app = await startTestApp(OPTIONS);
    app.reload.result = {
      ok: true,
      created: ["source x"],
      updated: [],
      retired: [],
      restartFor: ["server.listen"],
    };
    const { json } = await app.api("/reload", POST);
    expect(json).toMatchObject({ created: ["source x"], updated: [], restartFor: ["server.listen"] });
  });

  test("a reload of a bad file shows every error", async () => {
    await using app = await startTestApp(OPTIONS);
    const errors = [
      { line: 3, column: 1, key: "server.listen", message: "is missing" },
      { line: 9, column: 4, key: "store.path", message: "got 7, expected a path" },
    ];
    app.reload.result = { ok: false, errors };
    const { status, json } = await app.api("/reload", POST);
    expect(status).toBe(422);
    expect(json.error).toMatchObject({ code: "invalid_config", details: { errors } });
  });
});
