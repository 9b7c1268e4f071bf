/** Checks 53 to 60 of the HookBridge reference: inbound endpoints, what they take and what they refuse. */
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { sendResponse } from "../../support/test-app.ts";
import { type Bridge, expectOk, type Json, startBridge } from "./support.ts";

const TARGET = "https://internal.example/hooks";

async function inbound(bridge: Bridge, change: object = {}): Promise<Json> {
  return expectOk(await bridge.call("POST", "/v1/inbound-endpoints", { url: TARGET, ...change }), 201).data;
}

interface Posting {
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly peer?: string;
  readonly search?: string;
}

/** What a provider sends, without any key, to the path of an ingest URL. */
async function post(bridge: Bridge, { ingest_url }: Pick<Json, "ingest_url">, posting: Posting = {}) {
  const { body = "{}", headers = {}, method = "POST", peer = "198.51.100.7", search = "" } = posting;
  const path = new URL(ingest_url).pathname + search;
  const hasBody = method !== "GET";
  const response = await bridge.app.request(path, { method, headers, peer, ...(hasBody ? { body } : {}) });
  await bridge.settled();
  const text = await response.text();
  const json = (text === "" ? {} : JSON.parse(text)) as { data: Json; error: Json; meta: Json };
  return { status: response.status, headers: response.headers, ...json };
}

async function reasons(bridge: Bridge, id: string) {
  await bridge.app.flush();
  const path = `/v1/inbound-rejections?inbound_endpoint_id=${id}`;
  return expectOk(await bridge.call("GET", path)).data.map(({ reason_code }) => reason_code);
}

describe("Ingest", () => {
  test("check 53: the ingest URL ends with id and secret, and bytes and type arrive unchanged", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    expect(made.ingest_url).toEndWith(`/v1/webhooks/receive/${made.id}/${made.secret_token}`);
    expect(made).toMatchObject({ name: "", url: TARGET, mode: "forward", active: true, paused: false });
    const body = '{ "a": 1.0,\n"b":12345678901234567890 }\n';
    const headers = { "content-type": "application/json; charset=utf-8", "x-custom": "kept" };
    const answer = await post(bridge, made, { body, headers });
    expect(answer.status).toBe(202);
    expect(answer.data.message_id).toMatch(/^[0-9a-f-]{36}$/);
    const [sent] = bridge.sent;
    expect([sent?.url, Buffer.from(sent?.body ?? []).toString()]).toEqual([TARGET, body]);
    expect(sent?.headers.get("content-type")).toBe(headers["content-type"]);
    expect(sent?.headers.get("x-custom")).toBe("kept");
    expect(sent?.headers.get("x-webhook-id")).toBe(answer.data.message_id);
    expect(sent?.headers.has("x-webhook-signature")).toBe(false);
  });

  test("check 54: the answer has the status that was asked for", async () => {
    await using bridge = await startBridge();
    expect((await post(bridge, await inbound(bridge, { ingest_response_code: 200 }))).status).toBe(200);
    expect((await post(bridge, await inbound(bridge, { ingest_response_code: 204 }))).status).toBe(204);
    expect(
      (await bridge.call("POST", "/v1/inbound-endpoints", { url: TARGET, ingest_response_code: 302 })).status,
    ).toBe(400);
  });

  test("check 55: each refusal has its reason, nothing is forwarded, and headers are masked", async () => {
    await using bridge = await startBridge();
    const now = bridge.app.clock.now() / 1_000;
    const guarded = await inbound(bridge, {
      ...{ verify_static_token: true, token_header_name: "X-Token", token_value: "right" },
      ...{ verify_hmac: true, hmac_header_name: "X-Sig", hmac_secret: "s3" },
      ...{ timestamp_header_name: "X-Time", timestamp_ttl_seconds: 60 },
      ...{ verify_ip_allowlist: true, allowed_cidrs: ["198.51.100.0/24"] },
    });
    const signed = (at: number, secret = "s3") => ({
      ...{ "X-Token": "right", "X-Time": String(at) },
      "X-Sig": createHmac("sha256", secret).update(`${at}.{}`).digest("hex"),
    });
    const wrongSecret = {
      ingest_url: guarded.ingest_url.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
    };
    const statusOf = async (posting: Posting, at: Pick<Json, "ingest_url"> = guarded) =>
      (await post(bridge, at, posting)).status;
    expect(await statusOf({ headers: { ...signed(now), "X-Token": "wrong" } })).toBe(401);
    expect(await statusOf({ headers: signed(now, "other") })).toBe(401);
    expect(await statusOf({ headers: signed(now - 61) })).toBe(401);
    expect(await statusOf({ headers: signed(now), peer: "203.0.113.9" })).toBe(403);
    expect(await statusOf({ headers: signed(now) }, wrongSecret)).toBe(404);
    expect(await statusOf({ method: "GET" })).toBe(405);
    expect(await statusOf({ body: "x".repeat(1_048_577), headers: signed(now) })).toBe(413);
    expect(bridge.sent).toHaveLength(0);
    expect((await reasons(bridge, guarded.id)).reverse()).toEqual([
      ...["static_token_failed", "hmac_failed", "hmac_failed", "ip_not_allowed"],
      ...["invalid_secret", "invalid_method", "payload_too_large"],
    ]);
    const listed = expectOk(await bridge.call("GET", "/v1/inbound-rejections?limit=500"));
    const shown = listed.data.find(({ reason_code }) => reason_code === "hmac_failed");
    expect(JSON.parse(shown?.headers_redacted as string)).toMatchObject({ "x-sig": "***" });
    expect(shown).toMatchObject({ inbound_endpoint_id: guarded.id, source_ip: "198.51.100.7" });
    expect(listed.text).not.toContain(guarded.secret_token);
    expect(await statusOf({ headers: signed(now) })).toBe(202);
  });

  test.each([
    ["hex", (mac: Buffer) => mac.toString("hex").toUpperCase()],
    ["prefixed hex", (mac: Buffer) => `sha256=${mac.toString("hex")}`],
    ["base64", (mac: Buffer) => mac.toString("base64")],
    ["a list", (mac: Buffer) => `v0=${"0".repeat(64)},v1=${mac.toString("hex")}`],
  ])("a signature over the body in %s passes", async (_name, encode) => {
    await using bridge = await startBridge();
    const made = await inbound(bridge, { verify_hmac: true, hmac_header_name: "X-Sig", hmac_secret: "s" });
    const mac = createHmac("sha256", "s").update("{}").digest();
    expect((await post(bridge, made, { headers: { "X-Sig": encode(mac) } })).status).toBe(202);
    expect((await post(bridge, made, { headers: { "X-Sig": encode(mac) }, body: "[]" })).status).toBe(401);
  });

  test("a list with its own time, as Stripe sends it, passes", async () => {
    await using bridge = await startBridge();
    const names = { hmac_header_name: "Stripe-Signature", timestamp_header_name: "Stripe-Signature" };
    const made = await inbound(bridge, { verify_hmac: true, hmac_secret: "s", ...names });
    const at = bridge.app.clock.now() / 1_000;
    const signature = (time: number) =>
      `t=${time},v1=${createHmac("sha256", "s").update(`${time}.{}`).digest("hex")}`;
    const send = async (value: string) =>
      (await post(bridge, made, { headers: { "Stripe-Signature": value } })).status;
    expect(await send(signature(at))).toBe(202);
    expect(await send(signature(at - 301))).toBe(401);
    expect(await send(signature(at).replace(/^t=\d+,/, ""))).toBe(401);
  });

  test("a token in the query passes, is not forwarded, and is kept nowhere", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge, {
      ...{ verify_static_token: true, token_query_param: "token", token_value: "let me in" },
    });
    expect((await post(bridge, made, { search: "?token=let%20me%20in" })).status).toBe(202);
    expect((await post(bridge, made, { search: "?token=no" })).status).toBe(401);
    expect(bridge.sent).toHaveLength(1);
  });

  test("check 56: the same idempotency header is the same message, forwarded once", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge, { idempotency_header_names: ["X-Idempotency-Key", "X-Second"] });
    const send = async (headers: Record<string, string>) =>
      (await post(bridge, made, { headers })).data.message_id;
    const first = await send({ "X-Idempotency-Key": "k" });
    expect(await send({ "X-Idempotency-Key": "k" })).toBe(first);
    expect(await send({ "X-Second": "k" })).not.toBe(first);
    expect(await send({ "X-Idempotency-Key": "k", "X-Second": "k" })).not.toBe(first);
    expect(await send({})).not.toBe(await send({}));
    expect(bridge.sent).toHaveLength(5);
    const message = expectOk(await bridge.call("GET", `/v1/inbound-messages/${first}`)).data;
    expect(message.idempotency_key).toBe("k");
  });

  test("check 57: a paused endpoint answers 503 with Retry-After, and 202 after it resumes", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    expectOk(await bridge.call("POST", `/v1/inbound-endpoints/${made.id}/pause`));
    const refused = await post(bridge, made);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toMatch(/^[0-9]+$/);
    expectOk(await bridge.call("POST", `/v1/inbound-endpoints/${made.id}/resume`));
    expect((await post(bridge, made)).status).toBe(202);
    expect(await reasons(bridge, made.id)).toEqual([]);
    expectOk(await bridge.call("PATCH", `/v1/inbound-endpoints/${made.id}`, { active: false }));
    expect((await post(bridge, made)).status).toBe(503);
  });

  test("check 58: forwarded requests are signed, and with two keys twice", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge, { signing_enabled: true });
    const sign = (secret: string, timestamp: string) =>
      `sha256=${createHmac("sha256", secret).update(`${timestamp}.{}`).digest("hex")}`;
    await post(bridge, made);
    const time = bridge.sent[0]?.headers.get("x-webhook-timestamp") ?? "";
    expect(bridge.sent[0]?.headers.get("x-webhook-signature")).toBe(sign(made.signing_secret, time));
    const keys = `/v1/inbound-endpoints/${made.id}/signing-keys`;
    const added = expectOk(await bridge.call("POST", keys), 201).data;
    await post(bridge, made);
    expect(bridge.sent[1]?.headers.get("x-webhook-signature")).toBe(
      `${sign(made.signing_secret, time)},${sign(added.signing_secret, time)}`,
    );
    expect(expectOk(await bridge.call("GET", keys)).data).toHaveLength(2);
  });

  test("the native ingest path does not lead around the secret", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    const name = `hookbridge-${made.id.replaceAll("-", "")}`;
    expect((await bridge.app.request(`/in/${name}`, { method: "POST", body: "{}" })).status).toBe(404);
  });
});

describe("Inbound endpoints", () => {
  test("a read shows what is checked, and never a secret", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge, {
      ...{ name: "Stripe", description: "payments", verify_hmac: true, hmac_header_name: "X-Sig" },
      ...{ hmac_secret: "very-secret", verify_static_token: true, token_header_name: "X-T" },
      token_value: "also-secret",
    });
    const { data, text } = expectOk(await bridge.call("GET", `/v1/inbound-endpoints/${made.id}`));
    expect(data).toMatchObject({
      ...{ name: "Stripe", description: "payments", verify_hmac: true, verify_static_token: true },
      ...{ verify_ip_allowlist: false, allowed_cidrs: [], ingest_response_code: 202, signing_enabled: false },
      ...{ hmac_header_name: "X-Sig", token_header_name: "X-T", idempotency_header_names: [] },
    });
    expect(text).not.toContain("very-secret");
    expect(text).not.toContain("also-secret");
    const list = expectOk(await bridge.call("GET", "/v1/inbound-endpoints")).data;
    expect(list[0]).toMatchObject({ id: made.id, mode: "forward", ingest_url: made.ingest_url });
  });

  test("an update changes what it names and keeps the rest, secrets included", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge, { verify_hmac: true, hmac_header_name: "X-Sig", hmac_secret: "s" });
    const path = `/v1/inbound-endpoints/${made.id}`;
    const url = "https://elsewhere.example/hooks";
    const { data } = expectOk(await bridge.call("PATCH", path, { url, name: "new" }));
    expect(data).toMatchObject({ id: made.id, updated: true });
    const mac = createHmac("sha256", "s").update("{}").digest("hex");
    expect((await post(bridge, made, { headers: { "X-Sig": mac } })).status).toBe(202);
    expect(bridge.sent[0]?.url).toBe(url);
    expectOk(await bridge.call("PATCH", path, { verify_hmac: false }));
    expect((await post(bridge, made)).status).toBe(202);
  });

  test("a check without what it needs is refused, and makes nothing", async () => {
    await using bridge = await startBridge();
    for (const change of [
      { verify_hmac: true },
      { verify_static_token: true, token_value: "x" },
      { verify_ip_allowlist: true },
      { verify_ip_allowlist: true, allowed_cidrs: ["nonsense"] },
      { mode: "pull" },
      { idempotency_header_names: ["a b"] },
    ]) {
      const answer = await bridge.call("POST", "/v1/inbound-endpoints", { url: TARGET, ...change });
      expect(answer.error.code).toBe("INVALID_REQUEST");
    }
    expect((await bridge.call("POST", "/v1/inbound-endpoints", {})).status).toBe(400);
    expect(expectOk(await bridge.call("GET", "/v1/inbound-endpoints")).data).toHaveLength(0);
    expect(expectOk(await bridge.call("GET", "/v1/endpoints")).data).toHaveLength(0);
  });

  test("check 60: a deleted endpoint refuses, and what it took still goes out", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    bridge.app.sendResults.push(sendResponse(503));
    await post(bridge, made);
    const { data } = expectOk(await bridge.call("DELETE", `/v1/inbound-endpoints/${made.id}`));
    expect(data).toMatchObject({ id: made.id, deleted: true });
    expect((await post(bridge, made)).status).toBe(410);
    expect(await reasons(bridge, made.id)).toEqual(["endpoint_deleted"]);
    await bridge.advance(30 * 60_000);
    expect(bridge.sent).toHaveLength(2);
  });
});

describe("Inbound messages", () => {
  test("the average delivery time is that of everything that arrived in the window", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    bridge.app.sendResults.push(sendResponse(200), sendResponse(503), sendResponse(404));
    for (let count = 0; count < 3; count += 1) await post(bridge, made);
    await bridge.advance(30 * 60_000);
    const read = async (window: string) =>
      expectOk(await bridge.call("GET", `/v1/inbound-metrics?window=${window}`)).data;
    expect(await read("24h")).toMatchObject({ succeeded: 2, failed: 1, avg_delivery_time_ms: 900_000 });
    await bridge.advance(2 * 60 * 60_000);
    expect(await read("1h")).toMatchObject({ succeeded: 0, avg_delivery_time_ms: 0 });
  });

  test("a message shows how it went, in its log and on its own", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    bridge.app.sendResults.push(sendResponse(503));
    const { data } = await post(bridge, made, {
      body: "[1]",
      headers: { "content-type": "application/json" },
    });
    const path = `/v1/inbound-messages/${data.message_id}`;
    const waiting = expectOk(await bridge.call("GET", path)).data;
    expect(waiting).toMatchObject({
      ...{ id: data.message_id, inbound_endpoint_id: made.id, status: "pending_retry", attempt_count: 1 },
      ...{ size_bytes: 3, content_type: "application/json", response_status: 503, last_error: "HTTP 503" },
    });
    await bridge.advance(30 * 60_000);
    const [entry] = expectOk(
      await bridge.call("GET", `/v1/inbound-logs?inbound_endpoint_id=${made.id}`),
    ).data;
    expect(entry).toMatchObject({ message_id: data.message_id, endpoint: TARGET, status: "succeeded" });
    expect(entry?.total_delivery_ms).toBe(30 * 60_000);
    expect(expectOk(await bridge.call("GET", `${path}/attempts`)).data).toHaveLength(2);
    const metrics = expectOk(await bridge.call("GET", "/v1/inbound-metrics?window=24h")).data;
    expect(metrics).toMatchObject({
      total_messages: 1,
      succeeded: 1,
      retries: 1,
      avg_delivery_time_ms: 1_800_000,
    });
    const series = expectOk(await bridge.call("GET", "/v1/inbound-metrics/timeseries?window=1h")).data
      .buckets;
    expect(series.reduce((sum, { total }) => sum + total, 0)).toBe(1);
    // What was taken in is no sent message.
    expect(expectOk(await bridge.call("GET", "/v1/logs")).data).toHaveLength(0);
    expect(expectOk(await bridge.call("GET", "/v1/metrics")).data.total_messages).toBe(0);
  });

  test("check 59: one answer to a replay suits PHP and Go", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    bridge.app.sendResults.push(sendResponse(404));
    const id = (await post(bridge, made)).data.message_id;
    const { data, body } = expectOk(await bridge.call("POST", `/v1/inbound-messages/${id}/replay`));
    expect(data).toMatchObject({ message_id: id, status: "queued", replayed: 1, failed: 0, stuck: 0 });
    expect(data.results).toHaveLength(1);
    expect(typeof body.message).toBe("string");
    await bridge.settled();
    expect(bridge.sent.map(({ headers }) => headers.get("x-webhook-id"))).toEqual([id, id]);
  });

  test("many are replayed and deleted by filter or by id", async () => {
    await using bridge = await startBridge();
    const made = await inbound(bridge);
    bridge.app.sendResults.push(sendResponse(404), sendResponse(404));
    const ids = [(await post(bridge, made)).data.message_id, (await post(bridge, made)).data.message_id];
    const all = `status=failed_permanent&inbound_endpoint_id=${made.id}`;
    const replayed = expectOk(await bridge.call("POST", `/v1/inbound-messages/replay-all?${all}`)).data;
    expect(replayed).toMatchObject({ replayed: 2 });
    await bridge.settled();
    const batch = { message_ids: ids };
    expect(
      expectOk(await bridge.call("POST", "/v1/inbound-messages/replay-batch", batch)).data.replayed,
    ).toBe(2);
    await bridge.settled();
    const gone = expectOk(await bridge.call("DELETE", `/v1/inbound-messages/${ids[0]}`)).data;
    expect(gone).toMatchObject({ message_id: ids[0] as string, already_deleted: false });
    const query = `inbound_endpoint_id=${made.id}&received_after=2020-01-01`;
    const rest = expectOk(await bridge.call("POST", `/v1/inbound-messages/delete-all?${query}`)).data;
    expect(rest).toMatchObject({ deleted: 1, deleted_message_ids: [ids[1] as string] });
    const batched = expectOk(await bridge.call("POST", "/v1/inbound-messages/delete-batch", batch)).data;
    expect(batched).toMatchObject({ deleted_count: 0, already_deleted_count: 2 });
  });
});
