/** Checks 63 to 67 of the HookBridge reference as their clients would see them: sockets, polling, exports. */
import { describe, expect, test } from "bun:test";
import { EXPORTS_MAX } from "../../../src/dialects/hookbridge/export-routes.ts";
import { KEYS } from "../../support/test-app.ts";
import { type Bridge, expectOk, type Json, startBridge } from "./support.ts";

async function cliEndpoint(bridge: Bridge): Promise<Json> {
  const body = { mode: "cli", name: "CLI Endpoint" };
  return expectOk(await bridge.call("POST", "/v1/inbound-endpoints", body), 201).data;
}

async function post(
  bridge: Bridge,
  { ingest_url }: Json,
  body: string,
  headers: Record<string, string> = {},
) {
  const path = new URL(ingest_url).pathname;
  const answer = await bridge.app.request(path, { method: "POST", body, headers });
  const { data } = (await answer.json()) as { data: Json };
  return data.message_id;
}

/** A client on a real socket that keeps the frames it gets. */
class Client implements Disposable {
  readonly socket: WebSocket;
  readonly frames: string[] = [];
  readonly #waiting: (() => void)[] = [];

  constructor(url: string, key: string = KEYS.admin) {
    // Bun's WebSocket takes headers, as the CLI's dialer does.
    this.socket = new WebSocket(url, { headers: { authorization: `Bearer ${key}` } } as never);
    this.socket.addEventListener("message", ({ data }) => {
      this.frames.push(String(data));
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  /** At once: an open socket would hold up the end of the test. */
  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  async opened(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.socket.addEventListener("open", () => resolve(true));
    this.socket.addEventListener("error", () => resolve(false));
    return promise;
  }

  async frame(index: number): Promise<string> {
    while (this.frames.length <= index) {
      await new Promise<void>((resolve) => this.#waiting.push(() => resolve()));
    }
    return this.frames[index] as string;
  }

  answer(message_id: unknown, status_code: number): void {
    this.socket.send(JSON.stringify({ type: "delivery_result", message_id, status_code, latency_ms: 12 }));
  }
}

async function startListening(): Promise<{ bridge: Bridge; url: string }> {
  const bridge = await startBridge({ listeners: [{ hostname: "127.0.0.1", port: 0, role: "main" }] });
  const [listener] = bridge.app.server.start();
  return { bridge, url: `ws://127.0.0.1:${listener?.port}/v1/listen?endpoint_id=` };
}

/** Waits until a message has the status; nothing else tells a client so either. */
async function becomes(bridge: Bridge, id: string, status: string): Promise<Json> {
  for (let turn = 0; turn < 500; turn += 1) {
    const { data } = expectOk(await bridge.call("GET", `/v1/inbound-messages/${id}`));
    if (data.status === status) return data;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`never became ${status}`);
}

describe("WebSocket", () => {
  test("check 63: bytes, headers and type arrive, and the local status ends the message", async () => {
    const { bridge, url } = await startListening();
    await using _ = bridge;
    const made = await cliEndpoint(bridge);
    expect(made).toMatchObject({ mode: "cli", url: "", active: true });
    using client = new Client(url + made.id);
    expect(await client.opened()).toBe(true);
    const odd = '{"a" : 1.0,\n "b":12345678901234567890}';
    const id = await post(bridge, made, odd, { "content-type": "application/json", "x-own": "kept" });
    const text = await client.frame(0);
    expect(text).toContain(`"body":${odd}}`);
    const frame = JSON.parse(text) as Json;
    expect(frame).toMatchObject({ type: "webhook", message_id: id, content_type: "application/json" });
    expect(frame.headers).toMatchObject({ "x-own": "kept" });
    expect(frame.size_bytes).toBe(Buffer.byteLength(odd));
    client.answer(id, 201);
    expect(await becomes(bridge, id, "succeeded")).toMatchObject({ response_status: 201, attempt_count: 1 });
    const newline = await post(bridge, made, "{}\n");
    const second = JSON.parse(await client.frame(1)) as Json;
    expect(second.body_encoding).toBe("base64");
    expect(Buffer.from(String(second.body), "base64").toString()).toBe("{}\n");
    client.answer(newline, 500);
    expect(await becomes(bridge, newline, "failed_permanent")).toMatchObject({ last_error: "HTTP 500" });
  });

  test("check 64: what came while nobody listened comes once, oldest first, and not again", async () => {
    const { bridge, url } = await startListening();
    await using _ = bridge;
    const made = await cliEndpoint(bridge);
    const ids = [await post(bridge, made, "1"), await post(bridge, made, "2")];
    expect(expectOk(await bridge.call("GET", `/v1/inbound-messages/${ids[0]}`)).data.status).toBe("queued");
    using first = new Client(url + made.id);
    await first.opened();
    const got = [JSON.parse(await first.frame(0)) as Json, JSON.parse(await first.frame(1)) as Json];
    expect(got.map(({ message_id }) => message_id)).toEqual(ids);
    first.answer(ids[0], 200);
    await becomes(bridge, ids[0] as string, "succeeded");
    first.socket.close();
    using second = new Client(url + made.id);
    await second.opened();
    const third = await post(bridge, made, "3");
    expect((JSON.parse(await second.frame(0)) as Json).message_id).toBe(third);
    // Nobody told how the second one went: it counts as handed over.
    bridge.app.clock.advance(60_000);
    await becomes(bridge, ids[1] as string, "succeeded");
  });

  test("so many clients listen on one endpoint, and no more", async () => {
    const { bridge, url } = await startListening();
    await using _ = bridge;
    const made = await cliEndpoint(bridge);
    const clients = Array.from({ length: 32 }, () => new Client(url + made.id));
    expect((await Promise.all(clients.map((client) => client.opened()))).every(Boolean)).toBe(true);
    using more = new Client(url + made.id);
    expect(await more.opened()).toBe(false);
    for (const client of clients) client.socket.terminate();
  });

  test("a client of another endpoint cannot say how a message went", async () => {
    const { bridge, url } = await startListening();
    await using _ = bridge;
    const [made, other] = [await cliEndpoint(bridge), await cliEndpoint(bridge)];
    using client = new Client(url + made.id);
    using stranger = new Client(url + other.id);
    await Promise.all([client.opened(), stranger.opened()]);
    const id = await post(bridge, made, "1");
    await client.frame(0);
    stranger.answer(id, 500);
    // Heard in its turn: once the stranger has this message, its word on the other one has been read.
    await post(bridge, other, "2");
    await stranger.frame(0);
    client.answer(id, 201);
    expect(await becomes(bridge, id, "succeeded")).toMatchObject({ response_status: 201 });
  });

  test("a replayed message comes again", async () => {
    const { bridge, url } = await startListening();
    await using _ = bridge;
    const made = await cliEndpoint(bridge);
    using client = new Client(url + made.id);
    await client.opened();
    const id = await post(bridge, made, "1");
    await client.frame(0);
    client.answer(id, 500);
    await becomes(bridge, id, "failed_permanent");
    expectOk(await bridge.call("POST", `/v1/inbound-messages/${id}/replay`));
    expect(JSON.parse(await client.frame(1))).toMatchObject({ message_id: id });
  });

  test("all who listen get it, and the first result counts; pings come in between", async () => {
    const { bridge, url } = await startListening();
    await using _ = bridge;
    const made = await cliEndpoint(bridge);
    using one = new Client(url + made.id);
    using two = new Client(url + made.id);
    const clients = [one, two];
    for (const client of clients) await client.opened();
    const id = await post(bridge, made, "{}");
    for (const client of clients) await client.frame(0);
    one.answer(id, 204);
    expect(await becomes(bridge, id, "succeeded")).toMatchObject({ response_status: 204 });
    two.answer(id, 500);
    bridge.app.clock.advance(30_000);
    expect(await two.frame(1)).toBe('{"type":"ping"}');
    expect(await becomes(bridge, id, "succeeded")).toMatchObject({ attempt_count: 1 });
  });

  test("an unknown endpoint, another mode and a wrong key are refused before the handshake", async () => {
    const { bridge, url } = await startListening();
    await using _ = bridge;
    const forward = { url: "https://internal.example/hooks" };
    const { id } = expectOk(await bridge.call("POST", "/v1/inbound-endpoints", forward), 201).data;
    const made = await cliEndpoint(bridge);
    expect(await new Client(url + id).opened()).toBe(false);
    expect(await new Client(`${url}01935abc-def0-7123-4567-890abcdef012`).opened()).toBe(false);
    expect(await new Client(url + made.id, "wrong").opened()).toBe(false);
    const status = (search: string, key?: string) =>
      fetch(`${url.replace("ws", "http")}${search}`, {
        headers: {
          ...{ upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13" },
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        },
      }).then((answer) => answer.status);
    expect(await status(id, KEYS.admin)).toBe(400);
    expect(await status("01935abc-def0-7123-4567-890abcdef012", KEYS.admin)).toBe(404);
    expect(await status(made.id)).toBe(401);
  });
});

describe("Polling", () => {
  const listen = (bridge: Bridge, { id }: Json, query = "") =>
    bridge.call("GET", `/v1/inbound-endpoints/${id}/listen${query}`);

  test("check 65: messages come once, oldest first, and a cursor takes those before it as done", async () => {
    await using bridge = await startBridge();
    const made = await cliEndpoint(bridge);
    const empty = expectOk(await listen(bridge, made));
    expect([empty.data.length, empty.meta.next_cursor]).toEqual([0, null]);
    const ids = [await post(bridge, made, '{"n":1.0}'), await post(bridge, made, " 2")];
    const answer = expectOk(await listen(bridge, made));
    expect(answer.data.map(({ message_id }) => message_id)).toEqual(ids);
    expect(answer.text).toContain('"body":{"n":1.0}');
    expect(answer.data[1]).toMatchObject({
      body: Buffer.from(" 2").toString("base64"),
      body_encoding: "base64",
    });
    expect(answer.meta.next_cursor).toBe(ids[1] as string);
    expect(expectOk(await listen(bridge, made)).data).toHaveLength(0);
    expectOk(await listen(bridge, made, `?after=${ids[1]}`));
    for (const id of ids) await becomes(bridge, id, "succeeded");
  });

  test("check 66: an endpoint that forwards cannot be listened to", async () => {
    await using bridge = await startBridge();
    const forward = { url: "https://internal.example/hooks" };
    const made = expectOk(await bridge.call("POST", "/v1/inbound-endpoints", forward), 201).data;
    expect((await listen(bridge, made)).status).toBe(400);
    const cli = await cliEndpoint(bridge);
    expect((await listen(bridge, cli, "?after=nonsense")).status).toBe(400);
    expect((await bridge.call("GET", `/v1/listen?endpoint_id=${cli.id}`)).status).toBe(400);
  });
});

describe("Exports", () => {
  test("check 67: an export completes, and its link gives CSV without a key", async () => {
    await using bridge = await startBridge();
    const endpoint = await bridge.endpoint();
    const ids = [await bridge.send(endpoint.id), await bridge.send(endpoint.id)];
    const range = { start_time: "2025-01-01T00:00:00Z", end_time: "2027-01-01T00:00:00Z" };
    const made = expectOk(await bridge.call("POST", "/v1/exports", range), 201).data;
    expect(made).toMatchObject({ status: "pending", row_count: null, direction: "outbound" });
    const early = await bridge.call("GET", `/v1/exports/${made.id}/download`);
    expect([early.status, early.error.code]).toEqual([400, "EXPORT_NOT_READY"]);
    await bridge.settled();
    const done = expectOk(await bridge.call("GET", `/v1/exports/${made.id}`)).data;
    expect(done).toMatchObject({ status: "completed", row_count: 2 });
    const moved = await bridge.call("GET", `/v1/exports/${made.id}/download`);
    expect(moved.status).toBe(302);
    const location = moved.headers.get("location") ?? "";
    expect(location).toStartWith("http://api.example/");
    const path = new URL(location).pathname;
    const file = await bridge.app.request(path);
    const text = await file.text();
    expect(file.headers.get("content-type")).toStartWith("text/csv");
    expect(Buffer.byteLength(text)).toBe(Number(done.file_size_bytes));
    const lines = text.trimEnd().split("\r\n");
    expect(lines[0]).toStartWith("message_id,endpoint,status,");
    expect(lines.slice(1).map((line) => line.split(",")[0])).toEqual(ids);
    expect(lines[1]).toContain(`${endpoint.url},succeeded,1,`);
    expect((await bridge.app.request(path.replace(/.\.csv$/, "_.csv"))).status).toBe(401);
    bridge.app.clock.advance(3_600_001);
    expect((await bridge.app.request(path)).status).toBe(410);
    bridge.app.clock.advance(7 * 86_400_000);
    expect((await bridge.call("GET", `/v1/exports/${made.id}/download`)).error.code).toBe("EXPORT_EXPIRED");
    expect(expectOk(await bridge.call("GET", "/v1/exports")).data).toMatchObject([{ status: "expired" }]);
    expectOk(await bridge.call("DELETE", `/v1/exports/${made.id}`));
    expect((await bridge.call("GET", `/v1/exports/${made.id}`)).status).toBe(404);
  });

  test("an export of more than one page is whole, in order, and can be of one status only", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const send = { endpoint_id: id, payload: {} };
    await Promise.all(Array.from({ length: 600 }, () => bridge.call("POST", "/v1/webhooks/send", send)));
    await bridge.settled();
    const range = { start_time: "2025-01-01", end_time: "2027-01-01", endpoint_id: id };
    const all = expectOk(await bridge.call("POST", "/v1/exports", range), 201).data;
    const none = expectOk(await bridge.call("POST", "/v1/exports", { ...range, status: "paused" }), 201).data;
    await bridge.settled();
    expect(expectOk(await bridge.call("GET", `/v1/exports/${all.id}`)).data.row_count).toBe(600);
    expect(expectOk(await bridge.call("GET", `/v1/exports/${none.id}`)).data.row_count).toBe(0);
    const moved = await bridge.call("GET", `/v1/exports/${all.id}/download`);
    const file = await bridge.app.request(new URL(moved.headers.get("location") ?? "").pathname);
    const ids = (await file.text())
      .trimEnd()
      .split("\r\n")
      .slice(1)
      .map((line) => line.split(",")[0]);
    expect(new Set(ids).size).toBe(600);
  });

  test("a project keeps so many exports, and then has to delete one", async () => {
    await using bridge = await startBridge();
    const range = { start_time: "2026-01-01", end_time: "2026-01-02" };
    let made = "";
    for (let count = 0; count < EXPORTS_MAX; count += 1) {
      made = expectOk(await bridge.call("POST", "/v1/exports", range), 201).data.id;
    }
    expect((await bridge.call("POST", "/v1/exports", range)).status).toBe(409);
    expectOk(await bridge.call("DELETE", `/v1/exports/${made}`));
    expectOk(await bridge.call("POST", "/v1/exports", range), 201);
  });

  test("a range that ends before it begins is refused", async () => {
    await using bridge = await startBridge();
    const range = { start_time: "2026-01-02", end_time: "2026-01-01" };
    expect((await bridge.call("POST", "/v1/exports", range)).status).toBe(400);
  });
});
