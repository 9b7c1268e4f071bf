import { describe, expect, test } from "bun:test";
import { AppError } from "../../src/domain/errors.ts";
import { requestTable } from "../support/request-table.ts";
import { BODY_BYTES_MAX, KEYS, startTestApp, type TestApp } from "../support/test-app.ts";

const SOURCES = [
  {
    name: "orders",
    to: ["app"],
    dedupe: { selectors: [[{ kind: "header", name: "x-id" }]], windowMs: 60_000 },
  },
  { name: "small", bodyBytesMax: 8 },
  { name: "empty-answer", respondStatus: 204 },
  { name: "fine", respondStatus: 200, methods: ["POST", "PUT"] },
  { name: "token", verify: [{ scheme: "token", header: "x-token", secrets: [{ value: "open-sesame" }] }] },
] as const;

const POST = { method: "POST" } as const;

async function rejections(app: TestApp): Promise<unknown[]> {
  await app.flush();
  const { json } = await app.api("/rejections");
  return json.data.map(({ source, reason }) => ({ source, reason }));
}

async function pause(app: TestApp): Promise<void> {
  await app.api("/sources/orders/pause", { method: "POST" });
}

describe("the ingest door", () => {
  requestTable({ sources: SOURCES }, [
    {
      name: "answers an event with its receipt",
      ...POST,
      path: "/in/orders",
      body: '{"n":1}',
      status: 202,
      json: { id: expect.stringMatching(/^evt_[0-9a-f]{32}$/), duplicate: false, durability: "fsync" },
      answerHeaders: { "content-type": "application/json" },
    },
    { name: "answers with the source's own status", ...POST, path: "/in/fine", status: 200, body: "x" },
    { name: "takes the methods of the source", method: "PUT", path: "/in/fine", status: 200, body: "x" },
    { name: "answers 204 without a body", ...POST, path: "/in/empty-answer", status: 204, body: "x" },
    { name: "takes an empty body", ...POST, path: "/in/orders", status: 202 },
    { name: "ignores the query", ...POST, path: "/in/orders?x=1", status: 202, body: "x" },
    {
      name: "counts a source that does not exist and keeps nothing",
      ...POST,
      path: "/in/nobody",
      status: 404,
      code: "not_found",
      after: async (app) => {
        expect(app.engine.metrics.unknownSourceCount).toBe(1);
        expect(await rejections(app)).toEqual([]);
      },
    },
    {
      name: "does not take a longer path for a source",
      ...POST,
      path: "/in/orders/x",
      status: 404,
      code: "not_found",
    },
    { name: "does not serve an empty name", ...POST, path: "/in/", status: 404, code: "not_found" },
    {
      name: "refuses another method and says which it takes",
      path: "/in/fine",
      status: 405,
      code: "invalid_method",
      answerHeaders: { allow: "POST, PUT" },
    },
    {
      name: "refuses a body over the source's limit and keeps the refusal",
      ...POST,
      path: "/in/small",
      body: "123456789",
      status: 413,
      code: "body_too_large",
      after: async (app) =>
        expect(await rejections(app)).toEqual([{ source: "small", reason: "body_too_large" }]),
    },
    { name: "takes a body of exactly the limit", ...POST, path: "/in/small", body: "12345678", status: 202 },
    {
      name: "refuses a body over the server's limit",
      ...POST,
      path: "/in/orders",
      body: "x".repeat(BODY_BYTES_MAX + 1),
      status: 413,
      code: "body_too_large",
    },
    {
      name: "believes a declared length before it reads",
      ...POST,
      path: "/in/small",
      headers: { "content-length": "9" },
      body: "x",
      status: 413,
      code: "body_too_large",
    },
    {
      name: "answers a refusal with its reason",
      ...POST,
      path: "/in/token",
      headers: { "x-token": "wrong" },
      status: 401,
      code: "token_mismatch",
    },
    {
      name: "tells senders of a paused source to come back",
      ...POST,
      path: "/in/orders",
      before: pause,
      status: 503,
      code: "paused",
      answerHeaders: { "retry-after": "60" },
    },
    {
      name: "serves ingest listeners",
      ...POST,
      path: "/in/orders",
      role: "ingest",
      body: "x",
      status: 202,
    },
    { name: "does not serve metrics listeners", ...POST, path: "/in/orders", role: "metrics", status: 404 },
  ]);

  test("a duplicate gets the first id and the same shape", async () => {
    await using app = await startTestApp({ sources: SOURCES });
    const send = async () => {
      const response = await app.request("/in/orders", { ...POST, headers: { "x-id": "7" }, body: "{}" });
      return { status: response.status, receipt: await response.json() };
    };
    const first = await send();
    const second = await send();
    expect(first.status).toBe(202);
    expect(second).toEqual({ status: 202, receipt: { ...(first.receipt as object), duplicate: true } });
  });

  test("the bytes and the sender's address are stored as they came", async () => {
    await using app = await startTestApp({ sources: SOURCES, trustedProxies: ["127.0.0.0/8"] });
    const body = '{ "amount": 12345678901234567890 }\n';
    const headers = { "x-forwarded-for": "203.0.113.9", "content-type": "text/odd", authorization: "secret" };
    const response = await app.request("/in/orders", { ...POST, headers, body });
    const { id } = (await response.json()) as { id: string };
    const { json } = await app.api(`/events/${id}`);
    expect(json).toMatchObject({ body, bodyEncoding: "text", remoteAddress: "203.0.113.9" });
    expect(json.headers).toMatchObject({ "content-type": "text/odd" });
    expect(json.headers).not.toHaveProperty("authorization");
  });

  test("a chunked body is cut off at the limit", async () => {
    await using app = await startTestApp({ sources: SOURCES });
    let pulls = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulls += 1;
        controller.enqueue(Buffer.from("12345"));
      },
    });
    const response = await app.request("/in/small", { ...POST, body: endless });
    expect(response.status).toBe(413);
    expect(pulls).toBeLessThan(10);
  });

  test("a body that does not arrive in time is given up", async () => {
    await using app = await startTestApp({ sources: SOURCES });
    let isCancelled = false;
    const stalled = new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from("{")),
      cancel: () => {
        isCancelled = true;
      },
    });
    const answer = app.request("/in/orders", { ...POST, body: stalled });
    app.clock.advance(9_999);
    expect(Bun.peek.status(answer)).toBe("pending");
    app.clock.advance(1);
    const response = await answer;
    expect(response.status).toBe(408);
    expect(await response.json()).toMatchObject({ error: { code: "request_timeout" } });
    expect(response.headers.get("connection")).toBe("close");
    expect(isCancelled).toBe(true);
  });

  test("reads that began later keep their full time", async () => {
    await using app = await startTestApp({ sources: SOURCES });
    const send = () => app.request("/in/orders", { ...POST, body: new ReadableStream({}) });
    const early = send();
    app.clock.advance(6_000);
    const late = send();
    app.clock.advance(4_000);
    expect((await early).status).toBe(408);
    expect(Bun.peek.status(late)).toBe("pending");
    app.clock.advance(6_000);
    expect((await late).status).toBe(408);
  });

  test("a full store turns into 503 with the time to come back", async () => {
    await using app = await startTestApp({ sources: SOURCES });
    const source = app.engine.directory.sourceNamed("orders");
    app.engine.ingest.receive = async () => {
      throw new AppError("overloaded", "too many wait", { retryAfterMs: 2_500 });
    };
    expect(source).toBeDefined();
    const response = await app.request("/in/orders", { ...POST, body: "{}" });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("3");
    expect(await response.json()).toMatchObject({ error: { code: "overloaded" } });
  });

  test("a mistake of ours says nothing of itself and is logged once", async () => {
    await using app = await startTestApp({ sources: SOURCES });
    app.engine.ingest.receive = async () => {
      throw new TypeError("secret internals");
    };
    const response = await app.request("/in/orders", { ...POST, body: "{}" });
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("internals");
    expect(app.logged.map(({ event }) => event)).toEqual(["http.failed"]);
    expect(app.logged[0]?.fields.requestId).toBe(response.headers.get("x-request-id"));
  });

  test("a key of the API opens nothing more at a source", async () => {
    await using app = await startTestApp({ sources: SOURCES });
    const response = await app.request("/in/token", { ...POST, key: KEYS.admin, body: "{}" });
    expect(await response.json()).toMatchObject({ error: { code: "missing_token" } });
  });
});
