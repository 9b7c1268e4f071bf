/** Checks 2 to 5 and 10 to 18 of the HookBridge reference: errors, endpoints and their signing keys. */
import { describe, expect, test } from "bun:test";
import { expectOk, startBridge } from "./support.ts";

describe("Errors", () => {
  test("check 1: an invalid key is UNAUTHORIZED with a request id", async () => {
    await using bridge = await startBridge();
    const headers = { authorization: "Bearer hb_test_invalid_key_12345" };
    const response = await bridge.app.request("/v1/logs", { headers });
    const body = (await response.json()) as { error: { code: string }; meta: { request_id: string } };
    expect([response.status, body.error.code]).toEqual([401, "UNAUTHORIZED"]);
    expect(body.meta.request_id).not.toBe("");
  });

  test("check 2: an unknown route has the error envelope", async () => {
    await using bridge = await startBridge();
    const answer = await bridge.call("GET", "/v1/nope");
    expect([answer.status, answer.error.code]).toEqual([404, "NOT_FOUND"]);
    expect(await bridge.call("GET", "//v1/logs")).toMatchObject({ status: 200 });
  });

  test("check 3: a method that a path does not take has the error envelope", async () => {
    await using bridge = await startBridge();
    const answer = await bridge.call("PUT", "/v1/logs", {});
    expect(answer.status).toBe(405);
    expect(typeof answer.error.message).toBe("string");
  });

  test("check 4: a body that is no JSON is INVALID_REQUEST", async () => {
    await using bridge = await startBridge();
    const answer = await bridge.raw("POST", "/v1/webhooks/send", "{bad");
    expect([answer.status, answer.error.code]).toEqual([400, "INVALID_REQUEST"]);
  });

  test("check 5: no body with a JSON content type is no parse error", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const answer = expectOk(await bridge.call("POST", `/v1/endpoints/${id}/pause`));
    expect(answer.data).toMatchObject({ id, paused: true });
  });

  test("a crash is INTERNAL_ERROR in the same envelope, and says nothing of its cause", async () => {
    await using bridge = await startBridge();
    bridge.app.store.listHistory = () => Promise.reject(new Error("the secret cause"));
    const answer = await bridge.call("GET", "/v1/logs");
    expect([answer.status, answer.error.code]).toEqual([500, "INTERNAL_ERROR"]);
    expect(answer.text).not.toContain("secret cause");
  });
});

describe("Endpoints", () => {
  test("check 10: creation shows the secret, the key's id and its hint", async () => {
    await using bridge = await startBridge();
    const data = await bridge.endpoint({ description: "orders" });
    expect(data.id).toMatch(/^ep_[a-f0-9]{32}$/);
    expect(data.signing_secret).toStartWith("whsec_");
    expect(data.signing_key_id).toMatch(/^sk_[a-f0-9]{32}$/);
    expect(data.key_hint).toBe(data.signing_secret.slice(-4));
    expect(data.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("check 11: a read shows the same endpoint without its secret", async () => {
    await using bridge = await startBridge();
    const { id, url } = await bridge.endpoint({ headers: { "X-Team": "a" }, rate_limit_rps: 5 });
    const { data, text } = expectOk(await bridge.call("GET", `/v1/endpoints/${id}`));
    expect(data).toMatchObject({ id, url, paused: false, rate_limit_rps: 5, burst: 5 });
    expect(data.headers).toEqual({ "X-Team": "a" });
    expect(text).not.toContain("signing_secret");
  });

  test("check 12: one answer to an update suits Go (updated) and PHP (the object)", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const { data } = expectOk(await bridge.call("PATCH", `/v1/endpoints/${id}`, { description: "new" }));
    expect(data).toMatchObject({ id, updated: true, description: "new", paused: false });
    expect(typeof data.updated_at).toBe("string");
  });

  test("check 13: PHP's empty update, a list, changes nothing", async () => {
    await using bridge = await startBridge();
    const { id, url } = await bridge.endpoint({ description: "kept" });
    const { data } = expectOk(await bridge.raw("PATCH", `/v1/endpoints/${id}`, "[]"));
    expect(data).toMatchObject({ url, description: "kept" });
  });

  test("check 14: a deleted endpoint is neither found nor listed", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    expect(expectOk(await bridge.call("DELETE", `/v1/endpoints/${id}`)).data.deleted).toBe(true);
    const gone = await bridge.call("GET", `/v1/endpoints/${id}`);
    expect([gone.status, gone.error.code]).toEqual([404, "ENDPOINT_NOT_FOUND"]);
    expect(expectOk(await bridge.call("GET", "/v1/endpoints")).data).toHaveLength(0);
  });

  test("check 15: a URL belongs to one living endpoint, also when two ask at once", async () => {
    await using bridge = await startBridge();
    const url = "https://one.example/hooks";
    const [first, second] = await Promise.all([
      bridge.call("POST", "/v1/endpoints", { url }),
      bridge.call("POST", "/v1/endpoints", { url: "https://ONE.example/hooks" }),
    ]);
    expect([first?.status, second?.status].sort()).toEqual([201, 409]);
    const refused = first?.status === 409 ? first : second;
    expect(refused?.error.code).toBe("DUPLICATE_URL");
    const { id } = (first?.status === 201 ? first : second)?.data ?? {};
    await bridge.call("DELETE", `/v1/endpoints/${id}`);
    expectOk(await bridge.call("POST", "/v1/endpoints", { url }), 201);
  });

  test("check 16: http and private targets are refused unless the project allows them", async () => {
    await using bridge = await startBridge({ settings: { allowHttp: false } });
    const create = async (url: string) => (await bridge.call("POST", "/v1/endpoints", { url })).error?.code;
    expect(await create("http://example.com/x")).toBe("INVALID_ENDPOINT");
    expect(await create("https://127.0.0.1/x")).toBe("ENDPOINT_BLOCKED");
    expect(await create("https://[::1]:8443/x")).toBe("ENDPOINT_BLOCKED");
    expect(await create("https://localhost/x")).toBe("ENDPOINT_BLOCKED");
    expect(await create("https://10.1.2.3/x")).toBe("ENDPOINT_BLOCKED");
    expect(await create("https://x")).toBe("INVALID_ENDPOINT");
    expect(await create(`https://example.com/${"x".repeat(2_048)}`)).toBe("INVALID_ENDPOINT");
    expect(await create("https://example.com/x")).toBeUndefined();
  });

  test("a private target that no egress rule allows is refused where http is allowed, too", async () => {
    await using bridge = await startBridge();
    const { id, url } = await bridge.endpoint();
    const refusedTargets = ["http://10.1.2.3/x", "http://private.test/x", "http://169.254.169.254/latest"];
    for (const target of refusedTargets) {
      const created = await bridge.call("POST", "/v1/endpoints", { url: target });
      expect([created.status, created.error.code]).toEqual([400, "ENDPOINT_BLOCKED"]);
      const changed = await bridge.call("PATCH", `/v1/endpoints/${id}`, { url: target });
      expect([changed.status, changed.error.code]).toEqual([400, "ENDPOINT_BLOCKED"]);
      const inbound = await bridge.call("POST", "/v1/inbound-endpoints", { url: target });
      expect([inbound.status, inbound.error.code]).toEqual([400, "ENDPOINT_BLOCKED"]);
    }
    expect(expectOk(await bridge.call("GET", "/v1/endpoints")).data).toMatchObject([{ id, url }]);
    expectOk(await bridge.call("POST", "/v1/endpoints", { url: "http://127.0.0.1:3000/x" }), 201);
  });

  test("check 17: sixty endpoints come in two pages, none twice", async () => {
    await using bridge = await startBridge();
    for (let count = 0; count < 60; count += 1) await bridge.endpoint();
    const first = expectOk(await bridge.call("GET", "/v1/endpoints?limit=50"));
    expect(first.meta.has_more).toBe(true);
    const second = expectOk(
      await bridge.call("GET", `/v1/endpoints?limit=50&cursor=${first.meta.next_cursor}`),
    );
    expect([second.data.length, second.meta.has_more, second.meta.next_cursor]).toEqual([10, false, null]);
    expect(new Set([...first.data, ...second.data].map(({ id }) => id)).size).toBe(60);
  });

  test("check 18: a rotation adds a key, a third is refused, and the last one stays", async () => {
    await using bridge = await startBridge();
    const endpoint = await bridge.endpoint();
    const keys = `/v1/endpoints/${endpoint.id}/signing-keys`;
    const added = expectOk(await bridge.call("POST", keys), 201).data;
    expect(added.signing_secret).toStartWith("whsec_");
    expect(added.signing_secret).not.toBe(endpoint.signing_secret);
    expect(added.id).toStartWith("sk_");
    expect(added.key_hint).toBe(added.signing_secret.slice(-4));
    expect(expectOk(await bridge.call("GET", keys)).data.map(({ id }) => id)).toEqual([
      endpoint.signing_key_id,
      added.id,
    ]);
    const third = await bridge.call("POST", keys);
    expect([third.status, third.error.code]).toEqual([409, "SIGNING_KEY_LIMIT"]);
    expect(expectOk(await bridge.call("GET", keys)).data).toHaveLength(2);
    expectOk(await bridge.call("DELETE", `${keys}/${endpoint.signing_key_id}`));
    expect(expectOk(await bridge.call("GET", keys)).data).toHaveLength(1);
    const last = await bridge.call("DELETE", `${keys}/${added.id}`);
    expect([last.status, last.error.code]).toEqual([409, "LAST_SIGNING_KEY"]);
    expect(expectOk(await bridge.call("GET", keys)).data).toMatchObject([{ id: added.id }]);
  });

  test("the endpoints of another project are not there", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const answer = await bridge.call("GET", `/v1/endpoints/${id}`, undefined, {});
    expect(answer.status).toBe(200);
    const foreign = await bridge.app.request(`/v1/endpoints/${id}`, { key: "key-other" });
    expect(foreign.status).toBe(404);
  });
});
