/** Checks 21 to 33 of the HookBridge reference: sending, idempotency and what receivers get. */
import { describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { expectOk, startBridge } from "./support.ts";

const hmac = (secret: string, timestamp: string, body: Uint8Array) =>
  `sha256=${createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex")}`;

describe("Send", () => {
  test("check 21: the answer says queued and carries a message id of 36 characters", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const body = { endpoint_id: id, payload: { a: 1 } };
    const { data } = expectOk(await bridge.call("POST", "/v1/webhooks/send", body), 202);
    expect(data.status).toBe("queued");
    expect(data.message_id).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("check 22: an odd endpoint id that begins right is not found, any other is refused", async () => {
    await using bridge = await startBridge();
    const send = (endpoint_id: string) =>
      bridge.call("POST", "/v1/webhooks/send", { endpoint_id, payload: {} });
    const odd = await send("ep_nonexistent_12345");
    expect([odd.status, odd.error.code]).toEqual([404, "ENDPOINT_NOT_FOUND"]);
    expect((await send("nonsense")).status).toBe(400);
  });

  test("checks 23 and 24: one key and payload, in any order of its members, is one message", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const send = (payload: string) =>
      bridge.raw(
        "POST",
        "/v1/webhooks/send",
        `{"endpoint_id":"${id}","idempotency_key":"k","payload":${payload}}`,
      );
    const first = expectOk(await send('{"a":1,"b":{"c":2,"d":3}}'), 202);
    await bridge.settled();
    const second = expectOk(await send('{"b": {"d":3, "c":2}, "a":1}'), 202);
    expect(second.data.message_id).toBe(first.data.message_id);
    expect(second.data.status).toBe("succeeded");
    expect(bridge.sent).toHaveLength(1);
  });

  test("check 25: one key with another payload is a mismatch, and makes no message", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    await bridge.send(id, { idempotency_key: "k", payload: { n: 1 } });
    const answer = await bridge.call("POST", "/v1/webhooks/send", {
      ...{ endpoint_id: id, idempotency_key: "k", payload: { n: 2 } },
    });
    expect([answer.status, answer.error.code]).toEqual([409, "IDEMPOTENCY_MISMATCH"]);
    expect(expectOk(await bridge.call("GET", "/v1/logs")).data).toHaveLength(1);
  });

  test("check 25: integers beyond 2^53 that read alike are different payloads", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const send = (digits: string) =>
      bridge.raw(
        "POST",
        "/v1/webhooks/send",
        `{"endpoint_id":"${id}","idempotency_key":"k","payload":${digits}}`,
      );
    expectOk(await send("9007199254740993"), 202);
    expect((await send("9007199254740992")).status).toBe(409);
  });

  test("check 26: a key is an endpoint's own, and twenty requests at once make one message", async () => {
    await using bridge = await startBridge();
    const [one, two] = [await bridge.endpoint(), await bridge.endpoint()];
    const ids = [
      await bridge.send(one.id, { idempotency_key: "k" }),
      await bridge.send(two.id, { idempotency_key: "k" }),
    ];
    expect(new Set(ids).size).toBe(2);
    const burst = await Promise.all(
      Array.from({ length: 20 }, () =>
        bridge.call("POST", "/v1/webhooks/send", {
          endpoint_id: one.id,
          payload: {},
          idempotency_key: "twenty",
        }),
      ),
    );
    expect(new Set(burst.map(({ data }) => data.message_id)).size).toBe(1);
    await bridge.settled();
    expect(bridge.sent).toHaveLength(3);
  });

  test("check 27: the payload's bytes travel as they were written", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const payload = '{"a":1.0, "b":12345678901234567890,"ü":"\\u00fc"}';
    const body = `{"endpoint_id":"${id}","payload": ${payload} ,"headers":{}}`;
    const { data } = expectOk(await bridge.raw("POST", "/v1/webhooks/send", body), 202);
    await bridge.settled();
    expect(Buffer.from(bridge.sent[0]?.body ?? []).toString()).toBe(payload);
    const message = await bridge.message(data.message_id);
    expect(message.size_bytes).toBe(Buffer.byteLength(payload));
    expect(message.payload_sha256).toBe(createHash("sha256").update(payload).digest("hex"));
  });

  test("check 28: PHP's empty payload and headers, both lists, are accepted", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    await bridge.send(id, { payload: [], headers: [] });
    expect(Buffer.from(bridge.sent[0]?.body ?? []).toString()).toBe("[]");
  });

  test("check 29: forbidden headers, too many of them, and too large a payload are refused", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const codeOf = async (change: object) =>
      (await bridge.call("POST", "/v1/webhooks/send", { endpoint_id: id, payload: {}, ...change })).error
        ?.code;
    for (const name of [
      "Host",
      "authorization",
      "Content-Length",
      "X-Webhook-Id",
      "Proxy-Foo",
      "Content-Type",
    ]) {
      expect(await codeOf({ headers: { [name]: "x" } })).toBe("INVALID_HEADERS");
    }
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`X-${index}`, "v"]));
    expect(await codeOf({ headers: many })).toBe("INVALID_HEADERS");
    expect(await codeOf({ headers: { "X-Large": "v".repeat(8_192) } })).toBe("INVALID_HEADERS");
    // Two quotes belong to the payload.
    expect(await codeOf({ payload: "x".repeat(1_048_576 - 1) })).toBe("PAYLOAD_TOO_LARGE");
    expect(await codeOf({ payload: "x".repeat(1_048_576 - 2) })).toBeUndefined();
    expect((await bridge.raw("POST", "/v1/webhooks/send", "x".repeat(2_000_000))).error.code).toBe(
      "PAYLOAD_TOO_LARGE",
    );
  });

  test("a request without a payload makes nothing", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    expect((await bridge.call("POST", "/v1/webhooks/send", { endpoint_id: id })).status).toBe(400);
    expect((await bridge.raw("POST", "/v1/webhooks/send", "[]")).status).toBe(400);
    expect(expectOk(await bridge.call("GET", "/v1/logs")).data).toHaveLength(0);
  });
});

describe("Delivery", () => {
  test("check 30: the vector of section 11.2 reproduces", () => {
    const body = Buffer.from('{"event":"demo.ping","n":1}');
    expect(hmac("whsec_selfhost_test_key_one", "1767225600", body)).toBe(
      "sha256=ea4be8fa1051ad5d24924088f73c832275f57a97361508eb51859fba940c59f4",
    );
  });

  test("checks 30 and 32: the signature verifies, id and time are those of the message", async () => {
    await using bridge = await startBridge();
    const endpoint = await bridge.endpoint();
    const id = await bridge.send(endpoint.id);
    const { headers, body } = bridge.sent[0] ?? { headers: new Headers(), body: null };
    const timestamp = headers.get("x-webhook-timestamp") ?? "";
    expect(headers.get("x-webhook-id")).toBe(id);
    expect(timestamp).toBe(String(bridge.app.clock.now() / 1_000));
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("x-webhook-signature")).toBe(
      hmac(endpoint.signing_secret, timestamp, body ?? new Uint8Array(0)),
    );
  });

  test("check 31: two active keys sign both, and one after the other is deleted", async () => {
    await using bridge = await startBridge();
    const endpoint = await bridge.endpoint();
    const keys = `/v1/endpoints/${endpoint.id}/signing-keys`;
    const added = expectOk(await bridge.call("POST", keys), 201).data;
    await bridge.send(endpoint.id);
    const [first] = bridge.sent;
    const timestamp = first?.headers.get("x-webhook-timestamp") ?? "";
    const body = first?.body ?? new Uint8Array(0);
    const [old, fresh] = [endpoint.signing_secret, added.signing_secret].map((secret) =>
      hmac(secret, timestamp, body),
    );
    expect(first?.headers.get("x-webhook-signature")).toBe(`${old},${fresh}`);
    expectOk(await bridge.call("DELETE", `${keys}/${endpoint.signing_key_id}`));
    await bridge.send(endpoint.id);
    expect(bridge.sent[1]?.headers.get("x-webhook-signature")).toBe(fresh as string);
  });

  test("check 33: the message's headers win over the endpoint's", async () => {
    await using bridge = await startBridge();
    const endpoint = await bridge.endpoint({ headers: { A: "1", B: "1" } });
    await bridge.send(endpoint.id, { headers: { a: "2" } });
    expect(bridge.sent[0]?.headers.get("A")).toBe("2");
    expect(bridge.sent[0]?.headers.get("B")).toBe("1");
  });

  test("hmac_enabled false leaves the signature out, and nothing else", async () => {
    await using bridge = await startBridge();
    const endpoint = await bridge.endpoint({ hmac_enabled: false });
    const id = await bridge.send(endpoint.id);
    expect(bridge.sent[0]?.headers.has("x-webhook-signature")).toBe(false);
    expect(bridge.sent[0]?.headers.get("x-webhook-id")).toBe(id);
  });
});
