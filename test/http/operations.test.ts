import { describe, expect, test } from "bun:test";
import { requestTable } from "../support/request-table.ts";
import { KEYS, sendResponse, startTestApp } from "../support/test-app.ts";

const OPTIONS = { endpoints: [{ name: "app" }], sources: [{ name: "orders", to: ["app"] }] } as const;

describe("health", () => {
  requestTable(OPTIONS, [
    { name: "/healthz answers without a key", path: "/healthz", status: 200, json: { status: "ok" } },
    {
      name: "/readyz shows its checks",
      path: "/readyz",
      status: 200,
      json: { status: "ready", checks: { store: { ok: true, reason: null }, durability: "fsync" } },
    },
    {
      name: "other methods are refused",
      method: "POST",
      path: "/readyz",
      status: 405,
      code: "method_not_allowed",
      answerHeaders: { allow: "GET, HEAD" },
    },
  ]);

  const failing = { ...OPTIONS, health: () => ({ isHealthy: false, reason: "the disk is full" }) };
  requestTable(failing, [
    {
      name: "a store that cannot be written makes it unready, and says why",
      path: "/readyz",
      status: 503,
      json: { status: "unready", checks: { store: { ok: false, reason: "the disk is full" } } },
      answerHeaders: { "retry-after": "1" },
    },
    { name: "but it is alive", path: "/healthz", status: 200 },
  ]);
});

describe("metrics", () => {
  requestTable(OPTIONS, [
    { name: "need a key on the main listener", path: "/metrics", status: 401, code: "unauthorized" },
    { name: "need one that may read", path: "/metrics", key: KEYS.ingest, status: 403, code: "forbidden" },
    {
      name: "come as Prometheus text",
      path: "/metrics",
      key: KEYS.read,
      status: 200,
      answerHeaders: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    },
    { name: "need none on their own listener", path: "/metrics", role: "metrics", status: 200 },
    { name: "are only read", method: "POST", path: "/metrics", role: "metrics", status: 405 },
  ]);

  test("count what happened", async () => {
    await using app = await startTestApp(OPTIONS);
    app.sendResults.push(sendResponse(503));
    const ended = app.probe.next("attempt.settled");
    await app.ingest("orders");
    await ended;
    await app.request("/in/orders", { method: "PUT" });
    await app.request("/in/nobody", { method: "POST" });
    const text = await (await app.request("/metrics", { role: "metrics" })).text();
    const lines = text.split("\n");
    for (const line of [
      'postern_build_info{version="1.2.3",commit="abc1234"} 1',
      'postern_durability_info{durability="fsync"} 1',
      'postern_events_accepted_total{source="orders"} 1',
      'postern_requests_rejected_total{source="orders",reason="invalid_method"} 1',
      "postern_unknown_source_requests_total 1",
      'postern_attempts_total{project="default",endpoint="app",outcome="failed"} 1',
      'postern_attempts_total{project="default",endpoint="app",outcome="succeeded"} 0',
      'postern_attempt_duration_seconds_bucket{project="default",endpoint="app",le="+Inf"} 1',
      'postern_attempt_duration_seconds_count{project="default",endpoint="app"} 1',
      "postern_attempts_in_flight 0",
      "postern_attempt_slots 64",
      "postern_store_healthy 1",
    ]) {
      expect(lines).toContain(line);
    }
  });

  test("are well formed: every family declared once, no series twice, buckets that only grow", async () => {
    await using app = await startTestApp(OPTIONS);
    const ended = app.probe.next("attempt.settled");
    await app.ingest("orders");
    await ended;
    const text = await (await app.request("/metrics", { role: "metrics" })).text();
    expect(text).toEndWith("\n");
    const types = text.match(/^# TYPE \w+/gm) ?? [];
    expect(new Set(types).size).toBe(types.length);
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const series = samples.map((line) => line.slice(0, line.lastIndexOf(" ")));
    expect(new Set(series).size).toBe(series.length);
    for (const line of samples)
      expect(line).toMatch(/^postern_\w+(\{(\w+="[^"]*",?)+\})? -?\d+(\.\d+)?(e[+-]\d+)?$/);
    const buckets = samples
      .filter((line) => line.includes("_bucket"))
      .map((line) => Number(line.split(" ").at(-1)));
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
  });

  test("many endpoints do not make many series", async () => {
    await using app = await startTestApp(OPTIONS);
    const { metrics } = app.engine;
    for (let index = 0; index < 1_000; index += 1) {
      metrics.countAccepted(`source-${index}`, false);
      metrics.countRejected(`source-${index}`, "paused");
    }
    const text = await (await app.request("/metrics", { role: "metrics" })).text();
    const accepted = text.match(/^postern_events_accepted_total.*$/gm) ?? [];
    expect(accepted).toHaveLength(201);
    expect(accepted.at(-1)).toBe('postern_events_accepted_total{source="(other)"} 800');
    expect(text).toContain('postern_requests_rejected_total{source="(other)",reason="paused"} 800');
  });
});

describe("the echo", () => {
  const headers = { "webhook-id": "evt_1", "content-type": "text/plain" };
  requestTable({ ...OPTIONS, hasEcho: true, trustedProxies: ["127.0.0.1/32"] }, [
    {
      name: "answers this machine with what it got",
      method: "POST",
      path: "/_/echo",
      headers,
      body: "hello",
      status: 200,
      json: { received: { method: "POST", bodyBytes: 5, headers } },
    },
    { name: "answers over IPv6 too", path: "/_/echo", peer: "::1", status: 200 },
    {
      name: "is not there for other machines",
      path: "/_/echo",
      peer: "192.0.2.1",
      status: 404,
      code: "not_found",
    },
    {
      name: "is not there for what a proxy on this machine passes on",
      path: "/_/echo",
      headers: { "x-forwarded-for": "127.0.0.1" },
      status: 404,
    },
    { name: "is not there on ingest listeners", path: "/_/echo", role: "ingest", status: 404 },
  ]);
  requestTable(OPTIONS, [
    { name: "is not there unless asked for", path: "/_/echo", status: 404, code: "not_found" },
  ]);
});
