/**
 * Reference section 14: conformance checks 52 to 67 as one side of the wire shows them, and what can go
 * wrong.
 */
import { describe, expect, test } from "bun:test";
import { KEYS } from "../../support/test-app.ts";
import { startListening } from "./listener.ts";
import { PATH, SETTINGS, SIGNING_KEY, settingsOf, signatureOf } from "./postern.ts";

const FIXED = { minRetries: 1, delaySecs: 5, strategy: "fixed" } as const;

describe("tickets", () => {
  test("are for a minute, and their characters need no escaping", async () => {
    await using listening = await startListening();
    const { status, data } = await listening.ticket();
    expect(status).toBe(200);
    expect(data.ticket).toMatch(/^tkt_[A-Za-z0-9_-]{32}$/);
    expect([data.url, data.expiresAt]).toEqual(["ws://api.example/v1/ws", "2026-01-01T00:01:00Z"]);
  });

  test("check 67: a used, expired or made-up ticket is a refused handshake, not 4001", async () => {
    await using listening = await startListening();
    const { data } = await listening.ticket();
    const first = listening.open(data.ticket);
    await first.next("connected");
    const late = (await listening.ticket()).data.ticket;
    listening.posthook.app.clock.advance(60_000);
    for (const ticket of [data.ticket, late, "tkt_made-up", ""]) {
      const headers = {
        ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      };
      const url = `http://127.0.0.1:${listening.port}/v1/ws?ticket=${ticket}`;
      const refused = await fetch(url, { headers });
      expect([ticket, refused.status]).toEqual([ticket, 401]);
      expect(typeof ((await refused.json()) as { error: unknown }).error).toBe("string");
    }
  });

  test("check 62: a bad key gets none, and a project without WebSockets is a 403", async () => {
    await using listening = await startListening();
    expect((await listening.ticket("wrong")).status).toBe(401);
    expect((await listening.ticket(KEYS.read)).status).toBe(403);
    await using closed = await startListening({ hasWebsocket: false });
    expect((await closed.ticket()).status).toBe(403);
  });
});

test("check 52: the first frame tells connection, project and time, all as text", async () => {
  await using listening = await startListening();
  const { data } = await listening.ticket();
  const frame = await listening.open(data.ticket).next("connected");
  expect(frame).toEqual({
    type: "connected",
    connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    projectId: "default",
    projectName: "Demo shop",
    serverTime: "2026-01-01T00:00:00Z",
  });
});

test("check 53: a due hook goes to the listener in place of HTTP, and its ack completes it", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  const data = '{"n":9007199254740993}';
  const body = `{"path":"${PATH}","postAt":"2026-01-01T00:00:00Z","data":${data}}`;
  const { data: hook } = await listening.posthook.call("/v1/hooks", { method: "POST", body });
  const frame = await listener.next("hook");
  expect(frame).toEqual({
    type: "hook",
    id: hook.id,
    path: PATH,
    data: JSON.parse(data),
    postAt: "2026-01-01T00:00:00Z",
    postedAt: "2026-01-01T00:00:00Z",
    createdAt: "2026-01-01T00:00:00Z",
    updatedAt: "2026-01-01T00:00:00Z",
    timestamp: 1_767_225_600,
    attempt: 1,
    maxAttempts: 3,
    ackUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:8420\/cb\/[A-Za-z0-9_-]+$/),
    nackUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:8420\/cb\/[A-Za-z0-9_-]+$/),
  });
  expect(await listening.posthook.statusOf(hook.id)).toBe("pending");
  listener.say({ type: "ack", hookId: hook.id });
  await listening.until(hook.id, "completed");
  expect((await listening.posthook.get(hook.id)).data.attempts).toBe(1);
  expect(listening.posthook.sent).toEqual([]);
});

test("check 54: a nack is a failed attempt with its text, and the next one is the second", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  const id = await listening.send({ retryOverride: FIXED });
  await listener.next("hook");
  listener.say({ type: "nack", hookId: id, error: "no stock left" });
  await listening.until(id, "retry");
  expect((await listening.posthook.get(id)).data.failureError).toBe("no stock left");
  listening.posthook.app.clock.advance(5_000);
  const second = await listener.next("hook");
  expect([second.attempt, second.maxAttempts]).toEqual([2, 2]);
  listener.say({ type: "nack", hookId: id });
  await listening.until(id, "failed");
  expect((await listening.posthook.get(id)).data.failureError).toBe("the listener reported failure");
});

test("check 55: silence for 10 s is told to the client and is a failed attempt", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  const id = await listening.send();
  await listener.next("hook");
  listening.posthook.app.clock.advance(9_999);
  expect(await listening.posthook.statusOf(id)).toBe("pending");
  listening.posthook.app.clock.advance(1);
  expect(await listener.next("ack_timeout")).toEqual({ type: "ack_timeout", hookId: id, attempt: 1 });
  await listening.until(id, "retry");
  listener.say({ type: "ack", hookId: id });
  listener.say({ type: "pong" });
  expect((await listening.posthook.get(id)).data.failureError).toBe("no acknowledgement within 10 s");
});

describe("check 56: accept", () => {
  test("waits for the callback, which completes the hook", async () => {
    await using listening = await startListening();
    const listener = await listening.listen();
    const id = await listening.send();
    const { ackUrl } = await listener.next("hook");
    listener.say({ type: "accept", hookId: id, timeout: 60 });
    const promised = await listener.next("async_ack");
    expect([promised.hookId, promised.deadline]).toEqual([id, "2026-01-01T00:01:00Z"]);
    await listening.posthook.app.settle();
    expect(await listening.posthook.statusOf(id)).toBe("pending");
    const response = await listening.posthook.app.request(new URL(String(ackUrl)).pathname, {
      method: "POST",
    });
    expect([response.status, await response.json()]).toEqual([200, { data: { status: "completed" } }]);
    expect(await listening.posthook.statusOf(id)).toBe("completed");
  });

  test("without a callback is a failed attempt when its time is over", async () => {
    await using listening = await startListening();
    const listener = await listening.listen();
    const id = await listening.send();
    await listener.next("hook");
    listener.say({ type: "accept", hookId: id, timeout: 60 });
    await listener.next("async_ack");
    await listening.posthook.app.settle();
    await listening.posthook.advance(60_000);
    await listening.until(id, "retry");
  });

  test.each([
    [0, "00:05:00Z"],
    [-5, "00:05:00Z"],
    [3, "00:00:10Z"],
    [20_000, "03:00:00Z"],
    ["soon", "00:05:00Z"],
  ])("of %p s lasts until %s", async (timeout, deadline) => {
    await using listening = await startListening();
    const listener = await listening.listen();
    const id = await listening.send();
    await listener.next("hook");
    listener.say({ type: "accept", hookId: id, timeout });
    expect((await listener.next("async_ack")).deadline).toBe(`2026-01-01T${deadline}`);
  });

  test("may be followed by an ack or a nack over the socket", async () => {
    await using listening = await startListening();
    const listener = await listening.listen();
    for (const [type, status] of [["ack", "completed"] as const, ["nack", "retry"] as const]) {
      const id = await listening.send();
      await listener.next("hook");
      listener.say({ type: "accept", hookId: id, timeout: 60 });
      await listener.next("async_ack");
      await listening.posthook.app.settle();
      listener.say({ type, hookId: id });
      await listening.until(id, status);
    }
  });
});

test("check 57: after 25 s without another frame the client is pinged, and not before", async () => {
  await using listening = await startListening();
  const { clock } = listening.posthook.app;
  const listener = await listening.listen();
  clock.advance(20_000);
  const id = await listening.send();
  await listener.next("hook");
  listener.say({ type: "ack", hookId: id });
  await listening.until(id, "completed");
  clock.advance(20_000);
  expect(listener.frames.map(({ type }) => type)).toEqual(["connected", "hook"]);
  clock.advance(5_000);
  expect(await listener.next("ping")).toEqual({ type: "ping", timestamp: "2026-01-01T00:00:45Z" });
  listener.say({ type: "pong" });
  clock.advance(180_000);
  await listening.posthook.app.settle();
  expect(listener.socket.readyState).toBe(WebSocket.OPEN);
});

test("check 58: what one refuses at capacity is offered to another listener next", async () => {
  await using listening = await startListening();
  const [first, second] = [await listening.listen(), await listening.listen()];
  const id = await listening.send({ retryOverride: { ...FIXED, minRetries: 3 } });
  const [taker, other] = await listening.whoGot(first, second);
  await taker.next("hook");
  taker.say({ type: "nack", hookId: id, error: "At capacity" });
  await listening.until(id, "retry");
  listening.posthook.app.clock.advance(5_000);
  expect((await other.next("hook")).attempt).toBe(2);
  other.say({ type: "ack", hookId: id });
  await listening.until(id, "completed");
});

test("several listeners share the hooks of their project", async () => {
  await using listening = await startListening();
  const listeners = [await listening.listen(), await listening.listen(), await listening.listen()];
  const ids = await Promise.all(Array.from({ length: 9 }, () => listening.send()));
  for (const listener of listeners) {
    for (let count = 0; count < 3; count += 1) {
      const { id } = await listener.next("hook");
      listener.say({ type: "ack", hookId: id });
    }
  }
  for (const id of ids) await listening.until(id, "completed");
});

describe("check 60: a stop", () => {
  test("tells clients, waits for what they have, and closes with 1001", async () => {
    await using listening = await startListening();
    const [busy, idle] = [await listening.listen(), await listening.listen()];
    const id = await listening.send();
    const [taker, other] = await listening.whoGot(busy, idle);
    await taker.next("hook");
    const stopping = listening.posthook.app.server.stop(10_000);
    await listening.posthook.app.stopDialects();
    expect((await other.next("closing")).reason).toBe("shutdown");
    expect(await other.closed).toBe(1_001);
    expect((await taker.next("closing")).type).toBe("closing");
    taker.say({ type: "ack", hookId: id });
    expect(await taker.closed).toBe(1_001);
    await stopping;
    const { app } = listening.posthook;
    await app.settle();
    const lookup = { project: "default", profile: "posthook", id: id.replaceAll("-", "") };
    expect((await app.store.getDated(lookup))?.state).toBe("succeeded");
  });
});

describe("check 61: whoever may no longer listen is closed for good", () => {
  test("with 4001 when the key is revoked", async () => {
    await using listening = await startListening();
    const listener = await listening.listen();
    const { app } = listening.posthook;
    const { apiKeys } = await app.store.loadDefinitions();
    const key = apiKeys.find(({ scope, project }) => scope === "admin" && project === "default");
    await app.store.retireApiKey(key?.id ?? "", app.clock.now());
    app.engine.directory.replaceAll(await app.store.loadDefinitions());
    app.clock.advance(5_000);
    expect(await listener.closed).toBe(4_001);
  });

  test("with 4003 when the project switches WebSockets off, at once", async () => {
    await using listening = await startListening();
    const listener = await listening.listen();
    await listening.posthook.app.reconcileDialects(settingsOf({ hasWebsocket: false }));
    expect(await listener.closed).toBe(4_003);
  });
});

test("check 63: without a listener, and after the last one is gone, hooks go out over HTTP", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  listener.socket.close();
  await listener.closed;
  await listening.posthook.app.settle();
  const id = await listening.send();
  await listening.until(id, "completed");
  expect(listening.posthook.sent).toHaveLength(1);
});

test("check 64: a forwarding connection gets the request as it would be sent, signed", async () => {
  await using listening = await startListening({ authorization: "Bearer x" });
  const [plain, forwarding] = [await listening.listen(), await listening.listen({ query: "&forward=true" })];
  await Promise.all([listening.send({ data: { a: "Zürich" } }), listening.send({ data: { a: "Zürich" } })]);
  expect((await plain.next("hook")).forwardRequest).toBeUndefined();
  const frame = await forwarding.next("hook");
  const request = frame.forwardRequest as Readonly<Record<string, string>>;
  const { body = "", posthookTimestamp = "" } = request;
  expect(request).toEqual({
    body: expect.stringContaining(`{"id":"${frame.id}","path":"${PATH}"`),
    signature: new Bun.CryptoHasher("sha256", SIGNING_KEY).update(body).digest("hex"),
    authorization: "Bearer x",
    posthookId: String(frame.id),
    posthookTimestamp: "1767225600",
    posthookSignature: signatureOf(SIGNING_KEY, posthookTimestamp, body),
  });
});

describe("a connection that is lost", () => {
  test("check 65: the ack that comes over the next one counts", async () => {
    await using listening = await startListening();
    const first = await listening.listen();
    const id = await listening.send();
    await first.next("hook");
    first.socket.terminate();
    await listening.posthook.app.settle();
    const second = await listening.listen();
    listening.posthook.app.clock.advance(9_000);
    second.say({ type: "ack", hookId: id });
    await listening.until(id, "completed");
    expect((await listening.posthook.get(id)).data.attempts).toBe(1);
  });

  test("for good: the attempt fails when its window ends, and the retry goes out over HTTP", async () => {
    await using listening = await startListening();
    const listener = await listening.listen();
    const id = await listening.send({ retryOverride: FIXED });
    await listener.next("hook");
    listener.socket.terminate();
    await listener.closed;
    await listening.posthook.app.settle();
    expect(await listening.posthook.statusOf(id)).toBe("pending");
    listening.posthook.app.clock.advance(10_000);
    await listening.until(id, "retry");
    listening.posthook.app.clock.advance(5_000);
    await listening.until(id, "completed");
    expect(listening.posthook.sent).toHaveLength(1);
  });
});

test("an ack after attempt 1 timed out is credited to attempt 2 when that is out", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  const id = await listening.send({ retryOverride: FIXED });
  await listener.next("hook");
  listening.posthook.app.clock.advance(10_000);
  await listener.next("ack_timeout");
  await listening.until(id, "retry");
  listening.posthook.app.clock.advance(5_000);
  await listener.next("hook");
  listener.say({ type: "ack", hookId: id });
  await listening.until(id, "completed");
  expect((await listening.posthook.get(id)).data.attempts).toBe(2);
});

test("check 66: data of every kind reaches the listener as it was", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  for (const data of [null, "text", 1.5, [1, [2]], true, { type: "ping" }, "\u2028"]) {
    const id = await listening.send({ data });
    const frame = await listener.next("hook");
    expect([frame.id, frame.data]).toEqual([id, data]);
    listener.say({ type: "ack", hookId: id });
    await listening.until(id, "completed");
  }
});

test("frames that mean nothing are passed over, and the connection lives", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  const id = await listening.send();
  await listener.next("hook");
  const unknown = "3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e11";
  const frames = [
    "",
    "{",
    "null",
    "[]",
    '"ack"',
    "7",
    { type: "ack" },
    { type: "ack", hookId: 7 },
    { hookId: id },
  ];
  for (const frame of [...frames, { type: "dance", hookId: id }, { type: "ack", hookId: unknown }]) {
    listener.say(frame);
  }
  listener.socket.send(new Uint8Array([1, 2, 3]));
  listener.say({ type: "ack", hookId: "not an id" });
  listener.say({ type: "ack", hookId: id });
  await listening.until(id, "completed");
  expect(listener.socket.readyState).toBe(WebSocket.OPEN);
});

test("a listener never sees another project's hooks, and cannot acknowledge them", async () => {
  await using listening = await startListening();
  const mine = await listening.listen();
  const theirs = await listening.listen({ key: KEYS.other });
  const id = await listening.send();
  await mine.next("hook");
  theirs.say({ type: "ack", hookId: id });
  theirs.say({ type: "nack", hookId: id, error: "gotcha" });
  mine.say({ type: "accept", hookId: id, timeout: 60 });
  await mine.next("async_ack");
  theirs.say({ type: "ack", hookId: id });
  const own = await listening.posthook.call("/v1/hooks", {
    method: "POST",
    key: KEYS.other,
    body: { path: "/own", postAt: "2026-01-01T00:00:00Z" },
  });
  expect((await theirs.next("hook")).id).toBe(own.data.id);
  theirs.say({ type: "ack", hookId: own.data.id });
  await listening.posthook.app.settle();
  expect(await listening.posthook.statusOf(id)).toBe("pending");
  expect(theirs.frames.map(({ type }) => type)).toEqual(["connected", "hook"]);
});

test("a listener that answers nothing gets 64 hooks; the others wait without an attempt", async () => {
  await using listening = await startListening({ concurrency: 200 });
  const listener = await listening.listen();
  const ids: string[] = [];
  for (let count = 0; count < 80; count += 1) ids.push(await listening.send());
  for (let count = 0; count < 64; count += 1) await listener.next("hook");
  for (let rest = 0; rest < 4; rest += 1) await listening.posthook.advance(250);
  const metrics = await (await listening.posthook.app.request("/metrics", { key: KEYS.read })).text();
  expect(metrics).toContain("postern_listeners 1\n");
  expect(metrics).toContain("postern_listener_unanswered 64\n");
  expect(listener.hasUnread("hook")).toBe(false);
  const { data } = await listening.posthook.list("?limit=1000");
  expect(data.every(({ status, attempts }) => status === "pending" && attempts === 0)).toBe(true);
  for (const { id } of listener.frames.filter(({ type }) => type === "hook"))
    listener.say({ type: "ack", hookId: id });
  for (const id of ids.slice(0, 64)) await listening.until(id, "completed");
  await listening.posthook.advance(250);
  for (let count = 64; count < 80; count += 1) await listener.next("hook");
});

test("without a domain a hook goes to whoever is connected when it is due", async () => {
  await using listening = await startListening({
    domain: null,
    retry: { ...SETTINGS.retry, delayMs: 5_000 },
  });
  const id = await listening.send();
  await listening.until(id, "retry");
  const listener = await listening.listen();
  listening.posthook.app.clock.advance(5_000);
  await listener.next("hook");
  listener.say({ type: "ack", hookId: id });
  await listening.until(id, "completed");
});
