/** Checks 6, 7 and 62 of the HookBridge reference: what every answer has, odd base URLs, the CLI's login. */
import { expect, test } from "bun:test";
import { FAILURES_PER_MINUTE_MAX, FailedKeys } from "../../../src/dialects/hookbridge/failed-keys.ts";
import { expectOk, startBridge } from "./support.ts";

/** Every call without a parameter; the others pass the same check wherever these tests make them. */
const READS = [
  "endpoints",
  "logs",
  "metrics",
  "metrics/timeseries",
  "dlq/messages",
  "api-keys",
  "projects",
  "exports",
  "billing/subscription",
  "billing/usage-history",
  "billing/invoices",
  "inbound-endpoints",
  "inbound-logs",
  "inbound-metrics",
  "inbound-metrics/timeseries",
  "inbound-rejections",
  "pull-endpoints",
  "pull-logs",
  "pull-metrics",
  "pull-metrics/timeseries",
];

test.each(READS)("check 6: GET /v1/%s answers JSON with a request id", async (path) => {
  await using bridge = await startBridge();
  const { headers, meta } = expectOk(await bridge.call("GET", `/v1/${path}`));
  expect(headers.get("content-type")).toStartWith("application/json");
  expect(meta.request_id).toBe(headers.get("x-request-id") as string);
});

test.each([
  "//v1/logs",
  "/v1/logs/",
  "///v1/logs",
])("check 7: %s is the same path as /v1/logs", async (path) => {
  await using bridge = await startBridge();
  expectOk(await bridge.call("GET", path));
});

test("check 62: the CLI's login finds a list behind a valid key, and 401 behind any other", async () => {
  await using bridge = await startBridge();
  expect(Array.isArray(expectOk(await bridge.call("GET", "/v1/api-keys")).data)).toBe(true);
  const headers = { authorization: "Bearer hb_live_nonsense" };
  expect((await bridge.app.request("/v1/api-keys", { headers })).status).toBe(401);
});

test("too many failed authentications are RATE_LIMITED for a while; valid keys never are", async () => {
  await using bridge = await startBridge();
  const headers = { authorization: "Bearer hb_live_nonsense" };
  const fail = () => bridge.app.request("/v1/logs", { headers });
  const codes: unknown[] = [];
  for (let count = 0; count < 61; count += 1) {
    codes.push(((await (await fail()).json()) as { error: { code: string } }).error.code);
  }
  expect(codes).toEqual([...Array.from({ length: 60 }, () => "UNAUTHORIZED"), "RATE_LIMITED"]);
  const refused = await fail();
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toMatch(/^([1-9]|[1-5][0-9]|60)$/);
  expectOk(await bridge.call("GET", "/v1/logs"));
});

test("failed authentications are counted per address and minute, of a bounded number of addresses", () => {
  const failed = new FailedKeys();
  for (let count = 0; count < FAILURES_PER_MINUTE_MAX; count += 1) {
    expect(failed.add("192.0.2.1", 60_000)).toBeNull();
  }
  expect(failed.add("192.0.2.1", 80_000)).toBe(40_000);
  expect(failed.add("192.0.2.2", 80_000)).toBeNull();
  expect(failed.add("192.0.2.1", 120_000)).toBeNull();
  for (let count = 0; count < 10_000; count += 1) failed.add(`address-${count}`, 120_000);
  expect(failed.size).toBe(4_096);
});

test("a receiver-only listener serves ingest and nothing of the API", async () => {
  await using bridge = await startBridge();
  const inbound = { url: "https://internal.example/hooks" };
  const made = expectOk(await bridge.call("POST", "/v1/inbound-endpoints", inbound), 201).data;
  const path = new URL(made.ingest_url).pathname;
  const posted = await bridge.app.request(path, { method: "POST", body: "{}", role: "ingest" });
  expect(posted.status).toBe(202);
  expect((await bridge.app.request("/v1/logs", { role: "ingest", key: "key-admin" })).status).toBe(404);
});

test("a client with X-API-Key alone is told 404 where nothing is, as its own protocol has it", async () => {
  await using bridge = await startBridge();
  const response = await bridge.app.request("/v1/unknown", { headers: { "x-api-key": "key-admin" } });
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({ error: "not found" });
});
