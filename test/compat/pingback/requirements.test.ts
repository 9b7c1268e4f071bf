/**
 * The strictest requirements of pingback.md section 1, each by its number: a server that meets all of them
 * satisfies every SDK, version and framework adapter that was examined. Real sockets, the real sender, a
 * clock that rests.
 */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { type RecordedRequest, startReceiver } from "../../support/receiver.ts";
import { startVirtualServer, VIRTUAL_KEY, type VirtualServer } from "../../support/virtual-server.ts";

const SECRET = "cron-secret-123";
const TRIGGERED = { task: "t", payload: { é: "<&>\u2028", n: [1, 1.5, null], nested: { b: 1, a: 2 } } };

async function post(server: VirtualServer, path: string, body: unknown): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: "POST",
    redirect: "manual",
    headers: { authorization: `Bearer ${VIRTUAL_KEY}`, "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

function start(url: string): Promise<VirtualServer> {
  return startVirtualServer(
    `pingback = { endpoint_url = "${url}/api/pingback", cron_secret = "${SECRET}", max_timeout = "2h" }`,
  );
}

const register = (server: VirtualServer, options: object = {}) =>
  post(server, "/api/v1/register", { functions: [{ name: "t", type: "task", options }] });

test("requirements 1 to 5: 201, JSON with the members that SDKs read, no redirect, two slashes", async () => {
  await using receiver = startReceiver();
  await using server = await start(receiver.url);
  for (const path of ["/api/v1/register", "//api/v1/register"]) {
    const registered = await post(server, path, { functions: [{ name: "t", type: "task" }] });
    expect(registered.status).toBe(201);
    expect(await registered.json()).toEqual({ jobs: [{ name: "t", status: "active" }] });
  }
  for (const path of ["/api/v1/trigger", "//api/v1/trigger"]) {
    const triggered = await post(server, path, { task: "t" });
    expect(triggered.status).toBe(201);
    expect(triggered.headers.get("content-type")).toContain("application/json");
    expect(await triggered.json()).toEqual({
      executionId: expect.any(String),
      task: "t",
      scheduledAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
  }
});

async function dispatched(): Promise<RecordedRequest> {
  await using receiver = startReceiver();
  await using server = await start(receiver.url);
  await register(server);
  await post(server, "/api/v1/trigger", TRIGGERED);
  return receiver.next();
}

test("requirements 6 to 10: framing, spelling, signature and time of a dispatch", async () => {
  const before = Math.floor(Date.now() / 1_000);
  const { method, headers, text } = await dispatched();
  expect(method).toBe("POST");
  expect(headers.get("content-type")).toBe("application/json");
  expect(headers.get("content-length")).toBe(String(Buffer.byteLength(text)));
  expect(headers.has("transfer-encoding")).toBe(false);
  const timestamp = headers.get("x-pingback-timestamp") ?? "";
  expect(timestamp).toMatch(/^\d{10}$/);
  expect(Number(timestamp)).toBeGreaterThanOrEqual(before);
  const signature = headers.get("x-pingback-signature") ?? "";
  expect(signature).toMatch(/^[0-9a-f]{64}$/);
  expect(signature).toBe(createHmac("sha256", SECRET).update(`${timestamp}.${text}`).digest("hex"));
});

test("requirements 11 to 13: the body is a fixed point of JSON, and has what SDKs decode", async () => {
  const { text } = await dispatched();
  expect(JSON.stringify(JSON.parse(text))).toBe(text);
  const body = JSON.parse(text) as Record<string, unknown>;
  expect(body).toEqual({
    function: "t",
    executionId: expect.any(String),
    attempt: 1,
    scheduledAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    payload: TRIGGERED.payload,
  });
});

/** What becomes of an execution whose handler answers like this. */
async function outcomeOf(answer: { status: number; body: string }) {
  await using receiver = startReceiver(() => answer);
  await using server = await start(receiver.url);
  await register(server);
  const { executionId } = (await (await post(server, "/api/v1/trigger", { task: "t" })).json()) as {
    executionId: string;
  };
  await receiver.next();
  await server.api("/clock/advance", { by: "1ms" });
  const headers = { authorization: `Bearer ${VIRTUAL_KEY}` };
  const shown = await fetch(`${server.url}/api/v1/executions/${executionId}`, { headers });
  return (await shown.json()) as Record<string, unknown>;
}

test("requirement 14: 200 that says error, or has a status code of 400 and more, is a failure", async () => {
  const said = { status: "error", error: "x", statusCode: 500 };
  expect(await outcomeOf({ status: 200, body: JSON.stringify(said) })).toMatchObject({
    ...{ status: "failed", httpStatus: 200, errorMessage: "HTTP 200: x" },
  });
  expect(await outcomeOf({ status: 200, body: '{"statusCode":401}' })).toMatchObject({ status: "failed" });
});

test("requirement 15: answers that are no JSON are taken by their status", async () => {
  expect(await outcomeOf({ status: 200, body: "<html>fine</html>" })).toMatchObject({
    ...{ status: "success", logs: [] },
  });
  expect(await outcomeOf({ status: 500, body: "<html>Oops</html>" })).toMatchObject({
    ...{ status: "failed", errorMessage: "HTTP 500" },
  });
  expect(await outcomeOf({ status: 200, body: "" })).toMatchObject({ status: "success" });
});

test("an answer of two megabytes is read to its limit and stored to 10,240 bytes", async () => {
  const body = JSON.stringify({ status: "success", result: "y".repeat(2_000_000), tasks: [{ name: "t" }] });
  const shown = await outcomeOf({ status: 200, body });
  expect(shown).toMatchObject({ status: "success", hasChildren: false, logs: [] });
  expect(String(shown.responseBody)).toHaveLength(10_240);
});

test("requirement 16: options with any subset of keys, unknown ones beside them", async () => {
  await using receiver = startReceiver();
  await using server = await start(receiver.url);
  for (const options of [{}, { concurrency: 1 }, { retries: 3, colour: "red" }, { timeout: "2h" }]) {
    expect((await register(server, options)).status).toBe(201);
  }
});

test("requirement 17: a delay is an integer, a float or a text, a payload anything or nothing", async () => {
  await using receiver = startReceiver();
  await using server = await start(receiver.url);
  await register(server);
  const bodies = [
    ...[{ delay: 60 }, { delay: 60.5 }, { delay: "1m" }, { delay: null }],
    ...[{ payload: null }, { payload: [] }, { payload: "x" }, { payload: 0 }, {}],
  ];
  for (const body of bodies) {
    expect((await post(server, "/api/v1/trigger", { task: "t", ...body })).status).toBe(201);
  }
});
