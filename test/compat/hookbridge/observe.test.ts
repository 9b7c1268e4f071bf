/** Checks 8, 19, 20 and 49 to 52 of the HookBridge reference: keys, logs, metrics, and the API's own rate. */
import { describe, expect, test } from "bun:test";
import { sendResponse } from "../../support/test-app.ts";
import { type Bridge, expectOk, type Json, startBridge } from "./support.ts";

describe("API keys", () => {
  test("check 19: a test key says so, works at once, and stops at once", async () => {
    await using bridge = await startBridge();
    const made = expectOk(await bridge.call("POST", "/v1/api-keys", { mode: "test", label: "ci" }), 201).data;
    expect(made.key).toContain("_test_");
    expect(made.prefix).toBe(made.key.slice(0, 11));
    const headers = { authorization: `Bearer ${made.key}` };
    const use = async () => (await bridge.app.request("/v1/logs", { headers })).status;
    expect(await use()).toBe(200);
    const listed = expectOk(await bridge.call("GET", "/v1/api-keys")).data;
    expect(listed.find(({ key_id }) => key_id === made.key_id)).toMatchObject({
      ...{ label: "ci", prefix: made.prefix, last_used_at: made.created_at },
    });
    expectOk(await bridge.call("DELETE", `/v1/api-keys/${made.key_id}`));
    expect(await use()).toBe(401);
    const rest = expectOk(await bridge.call("GET", "/v1/api-keys")).data;
    expect(rest.map(({ key_id }) => key_id)).not.toContain(made.key_id);
    expect((await bridge.call("DELETE", "/v1/api-keys/key_nonexistent_12345")).status).toBe(404);
  });

  test("check 20: a key without a label has the member, and a declared key stays", async () => {
    await using bridge = await startBridge();
    const made = expectOk(await bridge.call("POST", "/v1/api-keys", {}), 201).data;
    expect(made.key).toStartWith("hb_live_");
    expect(made.label).toBeNull();
    const listed = expectOk(await bridge.call("GET", "/v1/api-keys")).data;
    for (const key of listed) expect(Object.keys(key)).toContain("label");
    const declared = listed.find(({ key_id }) => key_id !== made.key_id);
    const refused = await bridge.call("DELETE", `/v1/api-keys/${declared?.key_id}`);
    expect([refused.status, refused.error.code]).toEqual([409, "DECLARED_IN_CONFIG"]);
  });

  test("a key that may only read cannot send or change", async () => {
    await using bridge = await startBridge();
    const headers = { authorization: "Bearer key-read", "content-type": "application/json" };
    expect((await bridge.app.request("/v1/endpoints", { headers })).status).toBe(200);
    const refused = await bridge.app.request("/v1/endpoints", { method: "POST", headers, body: "{}" });
    expect(refused.status).toBe(403);
  });
});

describe("Rate of the API", () => {
  test("check 8: beyond the limit 429 comes with whole seconds, until the minute is over", async () => {
    await using bridge = await startBridge({ settings: { requestsPerMinute: 3 } });
    for (let count = 0; count < 3; count += 1) expectOk(await bridge.call("GET", "/v1/logs"));
    const refused = await bridge.call("GET", "/v1/logs");
    expect([refused.status, refused.error.code]).toEqual([429, "BURST_LIMIT_EXCEEDED"]);
    expect(refused.headers.get("retry-after")).toMatch(/^[0-9]+$/);
    bridge.app.clock.advance(60_000);
    expectOk(await bridge.call("GET", "/v1/logs"));
  });
});

async function filled(bridge: Bridge): Promise<Json> {
  const endpoint = await bridge.endpoint();
  bridge.app.sendResults.push(sendResponse(404), sendResponse(503));
  for (let count = 0; count < 12; count += 1) await bridge.send(endpoint.id);
  return endpoint;
}

describe("Logs", () => {
  test("check 49: twelve messages come in pages of five, five and two, none twice", async () => {
    await using bridge = await startBridge();
    const endpoint = await filled(bridge);
    const ids: string[] = [];
    const more: unknown[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page = expectOk(await bridge.call("GET", `/v1/logs?limit=5${cursor && `&cursor=${cursor}`}`));
      ids.push(...page.data.map(({ message_id }) => message_id));
      more.push([page.data.length, page.meta.has_more]);
      for (const entry of page.data) expect(entry.endpoint).toBe(endpoint.url);
      // What comes meanwhile shifts nothing.
      await bridge.send(endpoint.id);
      cursor = page.meta.next_cursor;
    }
    expect(more).toEqual([
      [5, true],
      [5, true],
      [2, false],
    ]);
    expect(new Set(ids).size).toBe(12);
    expect(ids).toEqual([...ids].sort().reverse());
  });

  test("check 50: times without an offset, with a space for the plus, and dates are read", async () => {
    await using bridge = await startBridge();
    await filled(bridge);
    const count = async (query: string) =>
      expectOk(await bridge.call("GET", `/v1/logs?${query}`)).data.length;
    expect(await count("start_time=2025-01-01T00:00:00")).toBe(12);
    expect(await count("start_time=2025-01-01T00:00:00.123456")).toBe(12);
    expect(await count("start_time=2026-01-01T02:00:00+02:00")).toBe(12);
    expect(await count("start_time=2026-01-01T02:00:00%2B02:00")).toBe(12);
    expect(await count("start_time=2025-12-31")).toBe(12);
    expect(await count("end_time=2026-01-01T00:00:00Z")).toBe(0);
    expect(await count("start_time=2026-01-01T00:00:00Z&end_time=2026-01-01T00:00:01Z")).toBe(12);
    expect((await bridge.call("GET", "/v1/logs?start_time=yesterday")).status).toBe(400);
  });

  test("a status filters, and an unknown one, a bad cursor and a bad limit are refused", async () => {
    await using bridge = await startBridge();
    const { id } = await filled(bridge);
    const count = async (query: string) =>
      expectOk(await bridge.call("GET", `/v1/logs?${query}`)).data.length;
    expect(await count("status=failed_permanent")).toBe(1);
    expect(await count("status=pending_retry")).toBe(1);
    expect(await count(`status=succeeded&endpoint_id=${id}`)).toBe(10);
    expect(await count("status=paused")).toBe(0);
    for (const query of ["status=lost", "cursor=%21", "limit=0", "limit=501", "limit=x"]) {
      expect((await bridge.call("GET", `/v1/logs?${query}`)).error.code).toBe("INVALID_REQUEST");
    }
  });

  test("the log of another project is empty", async () => {
    await using bridge = await startBridge();
    await filled(bridge);
    const response = await bridge.app.request("/v1/logs", { key: "key-other" });
    expect(((await response.json()) as { data: unknown[] }).data).toEqual([]);
  });
});

describe("Metrics", () => {
  test("check 51: every window echoes, the empty one is a day, and nothing yet is zero", async () => {
    await using bridge = await startBridge();
    for (const window of ["1h", "24h", "7d", "30d", ""]) {
      const { data } = expectOk(await bridge.call("GET", `/v1/metrics?window=${window}`));
      expect(data).toMatchObject({
        window: window === "" ? "24h" : window,
        success_rate: 0,
        total_messages: 0,
      });
      for (const name of ["succeeded", "failed", "retries", "avg_latency_ms"]) expect(data[name]).toBe(0);
    }
    expect((await bridge.call("GET", "/v1/metrics?window=2h")).status).toBe(400);
  });

  test("metrics count what was sent, over all endpoints and for one", async () => {
    await using bridge = await startBridge();
    const { id } = await filled(bridge);
    await bridge.send((await bridge.endpoint()).id);
    await bridge.advance(30 * 60_000);
    const all = expectOk(await bridge.call("GET", "/v1/metrics?window=24h")).data;
    expect(all).toMatchObject({ total_messages: 13, succeeded: 12, failed: 1, retries: 1 });
    expect(all.success_rate).toBeCloseTo(12 / 13);
    const one = expectOk(await bridge.call("GET", `/v1/metrics?window=24h&endpoint_id=${id}`)).data;
    expect(one).toMatchObject({ total_messages: 12, succeeded: 11, failed: 1 });
  });

  test("check 52: a day has 96 buckets whose sums are the metrics", async () => {
    await using bridge = await startBridge();
    await filled(bridge);
    await bridge.advance(30 * 60_000);
    const { buckets } = expectOk(await bridge.call("GET", "/v1/metrics/timeseries?window=24h")).data;
    const metrics = expectOk(await bridge.call("GET", "/v1/metrics?window=24h")).data;
    expect(buckets).toHaveLength(96);
    const sum = (name: string) => buckets.reduce((total, bucket) => total + Number(bucket[name]), 0);
    expect(sum("total")).toBe(Number(metrics.total_messages));
    expect(sum("succeeded")).toBe(Number(metrics.succeeded));
    expect(sum("failed")).toBe(Number(metrics.failed));
    expect(sum("retrying")).toBe(Number(metrics.retries));
    const times = buckets.map(({ timestamp }) => Date.parse(String(timestamp)));
    expect(times.every((at, index) => at % 900_000 === 0 && at - (times[0] ?? 0) === index * 900_000)).toBe(
      true,
    );
  });

  test.each([
    ["1h", 60],
    ["7d", 168],
    ["30d", 120],
  ])("a series of %s has %d buckets", async (window, count) => {
    await using bridge = await startBridge();
    const { buckets } = expectOk(await bridge.call("GET", `/v1/metrics/timeseries?window=${window}`)).data;
    expect(buckets).toHaveLength(count);
  });
});

describe("Account", () => {
  test("projects are listed, made, read and deleted, and keep their name", async () => {
    await using bridge = await startBridge();
    const made = expectOk(await bridge.call("POST", "/v1/projects", { name: "stage" }), 201).data;
    expect(made).toMatchObject({ id: "proj_stage", name: "stage", status: "active", rate_limit_default: 0 });
    const listed = expectOk(await bridge.call("GET", "/v1/projects")).data;
    expect(listed.map(({ id }) => id)).toEqual(["proj_default", "proj_stage"]);
    expectOk(await bridge.call("PUT", "/v1/projects/proj_stage", { rate_limit_default: 5 }));
    expect((await bridge.call("PATCH", "/v1/projects/proj_stage", { name: "other" })).status).toBe(400);
    expectOk(await bridge.call("DELETE", "/v1/projects/proj_stage"));
    expect((await bridge.call("GET", "/v1/projects/proj_stage")).status).toBe(404);
    expect((await bridge.call("DELETE", "/v1/projects/proj_default")).status).toBe(409);
  });

  test("actors are looked up by key, and asking for nobody is refused", async () => {
    await using bridge = await startBridge();
    const { key_id } = expectOk(await bridge.call("POST", "/v1/api-keys", { label: "ci" }), 201).data;
    const { data } = expectOk(await bridge.call("GET", `/v1/actors/lookup?api_key_id=${key_id},key_no`));
    expect(data).toMatchObject({ users: {}, api_keys: { [key_id]: { label: "ci" } } });
    expect((await bridge.call("GET", "/v1/actors/lookup")).status).toBe(400);
  });

  test("billing answers what parses, and sells nothing", async () => {
    await using bridge = await startBridge();
    const { data } = expectOk(await bridge.call("GET", "/v1/billing/subscription"));
    expect(data).toMatchObject({ plan: "self-hosted", cancel_at_period_end: false });
    const usage = expectOk(await bridge.call("GET", "/v1/billing/usage-history?limit=5&offset=0"));
    expect(usage.meta).toMatchObject({ total: 0, limit: 5, offset: 0, has_more: false });
    expectOk(await bridge.call("GET", "/v1/billing/invoices"));
    expect((await bridge.call("POST", "/v1/billing/checkout", { plan: "pro" })).status).toBe(403);
  });

  test("the subscription's usage counts the messages of the project", async () => {
    await using bridge = await startBridge();
    const used = async () =>
      expectOk(await bridge.call("GET", "/v1/billing/subscription")).data.usage as { messages_used: number };
    expect((await used()).messages_used).toBe(0);
    const { id } = await bridge.endpoint();
    await bridge.send(id);
    await bridge.send(id);
    const inbound = { url: "https://internal.example/hooks" };
    const made = expectOk(await bridge.call("POST", "/v1/inbound-endpoints", inbound), 201).data;
    await bridge.app.request(new URL(made.ingest_url).pathname, { method: "POST", body: "{}" });
    await bridge.settled();
    expect((await used()).messages_used).toBe(3);
  });
});
