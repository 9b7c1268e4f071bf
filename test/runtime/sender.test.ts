import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { version } from "../../package.json" with { type: "json" };
import { SystemClock } from "../../src/runtime/clock.ts";
import { createEgress, type Lookup } from "../../src/runtime/egress.ts";
import { createSender, type SendRequest, type SendResult } from "../../src/runtime/sender.ts";
import { answerBytes, FAULTS, refusingUrl, startRawReceiver, startReceiver } from "../support/receiver.ts";
import { TEST_CERTIFICATE } from "../support/tls-certificate.ts";

const clock = new SystemClock();

/** Containers often have no IPv6; the others must still pass there. */
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === "::1"));
const LOOPBACKS = hasIPv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];

/** A sender whose names resolve as the table says; without a table no name resolves. */
function senderFor(
  options: { names?: Record<string, string[]>; allowPrivate?: string[]; ca?: string[] } = {},
) {
  const lookup: Lookup = async (hostname) => {
    const found = options.names?.[hostname];
    if (!found) throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    return found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  };
  const egress = createEgress({ allowPrivate: options.allowPrivate ?? [], lookup, clock });
  return createSender({ clock, egress, ...(options.ca ? { ca: options.ca } : {}) });
}

function requestTo(url: string, overrides: Partial<SendRequest> = {}): SendRequest {
  return {
    method: "POST",
    url,
    headers: new Headers({ "content-type": "application/json" }),
    body: new TextEncoder().encode('{"n":1}'),
    timeoutMs: 10_000,
    captureBytesMax: 1_024,
    isTrusted: true,
    ...overrides,
  };
}

const sender = senderFor();

/** What a test compares: the failure and its text, or the status and the captured text. */
function summary(result: SendResult): [string, string] | [number, string] {
  if (result.kind === "error") return [result.reason, result.text];
  return [result.status, new TextDecoder().decode(result.body)];
}

async function send(url: string, overrides: Partial<SendRequest> = {}) {
  return summary(await sender.send(requestTo(url, overrides)));
}

describe("a well-behaved receiver", () => {
  test("gets method, path, headers and body as given, and its answer comes back whole", async () => {
    await using receiver = startReceiver(() => ({
      status: 201,
      headers: { "x-answer": "yes" },
      body: "made",
    }));
    const body = new Uint8Array([0, 255, 10, 13, 128]);
    const headers = new Headers({ "content-type": "application/octet-stream", "Webhook-Id": "msg_1" });
    const result = await sender.send(
      requestTo(`${receiver.url}/a%20b?x=1#top`, { method: "PUT", headers, body }),
    );

    const request = await receiver.next();
    expect([request.method, request.path]).toEqual(["PUT", "/a%20b?x=1"]);
    expect(request.body).toEqual(body);
    expect(request.headers.get("webhook-id")).toBe("msg_1");
    expect(request.headers.get("content-type")).toBe("application/octet-stream");
    expect(request.headers.get("host")).toBe(`127.0.0.1:${receiver.port}`);
    expect(result).toMatchObject({
      kind: "response",
      status: 201,
      isBodyTruncated: false,
      address: "127.0.0.1",
    });
    if (result.kind !== "response") throw new Error("no response");
    expect(result.headers.get("x-answer")).toBe("yes");
    expect(result.body).toEqual(new TextEncoder().encode("made"));
    expect(Number.isInteger(result.durationMs)).toBe(true);
  });

  test("sees our user agent unless the request has one, and no invitation to compress", async () => {
    await using receiver = startReceiver();
    await send(receiver.url);
    await send(receiver.url, { headers: new Headers({ "user-agent": "Other/1" }) });
    const [own, given] = await receiver.waitFor(2);
    expect(own!.headers.get("user-agent")).toBe(`Postern/${version}`);
    expect(given!.headers.get("user-agent")).toBe("Other/1");
    expect(own!.headers.has("accept-encoding")).toBe(false);
  });

  test("cannot be given another Host than the one in the URL", async () => {
    await using receiver = startReceiver();
    await send(receiver.url, { headers: new Headers({ host: "elsewhere.test" }) });
    expect((await receiver.next()).headers.get("host")).toBe(`127.0.0.1:${receiver.port}`);
  });

  test("may set cookies, which are not sent back", async () => {
    await using receiver = startReceiver(() => ({ headers: { "set-cookie": "a=b; Path=/" } }));
    await send(receiver.url);
    await send(receiver.url);
    expect((await receiver.waitFor(2))[1]!.headers.has("cookie")).toBe(false);
  });

  test("serves many attempts over one connection", async () => {
    await using receiver = startReceiver((request) => ({ body: `answer ${request.order}` }));
    for (let count = 0; count < 20; count++) await send(receiver.url);
    expect(receiver.requests).toHaveLength(20);
    expect(receiver.connectionCount).toBe(1);
  });

  test("may compress its answer, which stays as it was on the wire", async () => {
    const packed = Bun.gzipSync(Buffer.alloc(100_000, "a"));
    await using receiver = startReceiver(() => ({ headers: { "content-encoding": "gzip" }, body: packed }));
    const result = await sender.send(requestTo(receiver.url));
    expect(result).toMatchObject({ kind: "response", body: new Uint8Array(packed), isBodyTruncated: false });
  });

  test.each([200, 204, 304, 404, 429, 500, 503, 599])("may answer %i", async (status) => {
    await using receiver = startReceiver(() => status);
    expect(await send(receiver.url)).toEqual([status, ""]);
  });

  test.each(["GET", "HEAD", "DELETE", "OPTIONS"])("is asked with %s and no body", async (method) => {
    await using receiver = startReceiver(() => ({ body: "hi" }));
    expect(await send(receiver.url, { method, body: null })).toEqual([200, method === "HEAD" ? "" : "hi"]);
    expect((await receiver.next()).method).toBe(method);
  });

  test.each([301, 302, 303, 307, 308])("that answers %i is not followed", async (status) => {
    await using target = startReceiver();
    await using receiver = startReceiver(() => ({ status, headers: { location: `${target.url}/stolen` } }));
    expect(await send(receiver.url)).toEqual([status, ""]);
    expect(target.requests).toEqual([]);
  });

  test.each(LOOPBACKS)("on %s only is reached as localhost", async (hostname) => {
    await using receiver = startReceiver(() => 200, { hostname });
    expect(await send(`http://localhost:${receiver.port}/`)).toEqual([200, ""]);
    expect((await receiver.next()).headers.get("host")).toBe(`localhost:${receiver.port}`);
  });
});

describe("capturing the answer", () => {
  test.each([
    [4, "abcd", false],
    [5, "abcd", false],
    [3, "abc", true],
    [0, "", true],
  ])("with a limit of %i bytes keeps %j of four", async (captureBytesMax, kept, isBodyTruncated) => {
    await using receiver = startReceiver(() => ({ body: "abcd" }));
    const result = await sender.send(requestTo(receiver.url, { captureBytesMax }));
    expect(result).toMatchObject({ kind: "response", body: new TextEncoder().encode(kept), isBodyTruncated });
  });

  test.each([
    [
      "chunked",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
      "abcde",
    ],
    ["HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end"],
    ["204 without a length", "HTTP/1.1 204 No Content\r\n\r\n", ""],
    [
      "100 Continue first",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "ok",
    ],
  ])("reads an answer that is %s", async (_, bytes, text) => {
    await using receiver = await startRawReceiver(answerBytes(bytes));
    expect((await send(receiver.url))[1]).toBe(text);
  });

  test("does not believe a length beside a chunked body", async () => {
    const chunks = "a\r\n0123456789\r\n".repeat(10);
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    await using receiver = await startRawReceiver(answerBytes(`${head}${chunks}0\r\n\r\n`));
    const result = await sender.send(requestTo(receiver.url, { captureBytesMax: 5 }));
    expect(result).toMatchObject({ body: new TextEncoder().encode("01234"), isBodyTruncated: true });
  });

  test("takes the first bytes of 1 GiB and hangs up on the rest", async () => {
    const rssBefore = process.memoryUsage.rss();
    let sentBytes = 0;
    await using receiver = await startRawReceiver((socket) => {
      FAULTS.oneGibibyte(socket);
      socket.once("close", () => {
        sentBytes = socket.bytesWritten;
      });
    });
    const result = await sender.send(requestTo(receiver.url, { captureBytesMax: 10_240 }));
    expect(result).toMatchObject({ kind: "response", status: 200, isBodyTruncated: true });
    if (result.kind === "response") expect(result.body.buffer.byteLength).toBe(10_240);
    await receiver.closed();
    const mebibyte = 1024 * 1024;
    expect(sentBytes).toBeLessThan(256 * mebibyte);
    expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(200 * mebibyte);
  });
});

describe("a receiver that fails", () => {
  test("by refusing is a connect failure", async () => {
    expect(await send(await refusingUrl())).toEqual(["connect", "connection refused"]);
  });

  test.each([
    ["resets before headers", FAULTS.resetBeforeHeaders, "reset", "connection closed before the answer"],
    ["resets in the body", FAULTS.resetMidBody, "reset", "connection closed in the middle of the answer"],
    ["answers garbage", FAULTS.garbage, "protocol", "not a valid HTTP answer: Malformed_HTTP_Response"],
    ["closes without a word", answerBytes(""), "reset", "connection closed before the answer"],
    [
      "sends a header without a colon",
      answerBytes("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"),
      "protocol",
      "not a valid HTTP answer: Malformed_HTTP_Response",
    ],
    [
      "sends a length that is not a number",
      answerBytes("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx"),
      "protocol",
      "not a valid HTTP answer: InvalidContentLength",
    ],
    [
      "sends a chunk size that is not a number",
      answerBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx"),
      "protocol",
      "not a valid HTTP answer: InvalidHTTPResponse",
    ],
    [
      "ends a chunked body early",
      answerBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
      "reset",
      "connection closed in the middle of the answer",
    ],
    [
      "switches protocols unasked",
      answerBytes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
      "protocol",
      "answered 101 to a request that did not ask for an upgrade",
    ],
  ] as const)("because it %s is named so", async (_, onSocket, reason, text) => {
    await using receiver = await startRawReceiver(onSocket);
    expect(await send(receiver.url)).toEqual([reason, text]);
    expect(receiver.connectionCount).toBe(1);
  });

  test.each([
    ["never answers", FAULTS.hang],
    ["stops in the middle of the body", FAULTS.hangMidBody],
    ["drips bytes", FAULTS.drip],
  ] as const)("because it %s is cut at the timeout, and its connection closed", async (_, onSocket) => {
    await using receiver = await startRawReceiver(onSocket);
    const result = await sender.send(requestTo(receiver.url, { timeoutMs: 40, captureBytesMax: 2_000_000 }));
    expect(result).toMatchObject({ reason: "timeout", text: "timed out after 40 ms", address: "127.0.0.1" });
    await receiver.closed();
  });

  test("does not spoil the next attempt", async () => {
    await using receiver = startReceiver();
    const { promise, resolve } = Promise.withResolvers<number>();
    receiver.answerWith(() => promise);
    expect((await send(receiver.url, { timeoutMs: 30 }))[0]).toBe("timeout");
    receiver.answerWith(() => 202);
    expect(await send(receiver.url)).toEqual([202, ""]);
    resolve(200);
  });
});

describe("requests that cannot be made", () => {
  test.each([
    ["not a url", {}, "protocol", "the target is not a valid URL"],
    ["file:///etc/passwd", {}, "blocked", "file: URLs are not called, only http: and https:"],
    ["data:text/plain,hi", {}, "blocked", "data: URLs are not called, only http: and https:"],
    ["s3://bucket/key", {}, "blocked", "s3: URLs are not called, only http: and https:"],
    ["http://127.0.0.1:1/", { method: "CONNECT" }, "protocol", "method CONNECT cannot be sent"],
    ["http://127.0.0.1:1/", { method: "PURGE" }, "protocol", "method PURGE cannot be sent"],
    ["http://127.0.0.1:1/", { method: "GET" }, "protocol", "a GET request cannot carry a body"],
  ])("%s with %j fails without a connection", async (url, overrides, reason, text) => {
    expect(await send(url, overrides)).toEqual([reason, text]);
  });
});

describe("aborting", () => {
  test("ends an attempt that waits for its answer, and closes the connection", async () => {
    const arrived = Promise.withResolvers<void>();
    await using receiver = await startRawReceiver((socket) => {
      void once(socket, "data").then(() => arrived.resolve());
    });
    const own = senderFor({});
    const sending = own.send(requestTo(receiver.url));
    await arrived.promise;
    own.abortAll();
    expect(summary(await sending)).toEqual(["aborted", "aborted"]);
    await receiver.closed();
  });

  test("ends an attempt whose lookup hangs, and so does the timeout", async () => {
    const egress = createEgress({ allowPrivate: [], lookup: () => new Promise(() => {}), clock });
    const stuck = createSender({ clock, egress });
    const timedOut = await stuck.send(requestTo("http://a.test/", { timeoutMs: 20 }));
    expect(summary(timedOut)).toEqual(["timeout", "timed out after 20 ms"]);
    const sending = stuck.send(requestTo("http://a.test/"));
    stuck.abortAll();
    expect(summary(await sending)).toEqual(["aborted", "aborted"]);
  });
});

describe("names and addresses", () => {
  test("a name that does not resolve is a dns failure", async () => {
    expect(await send("http://missing.test/")).toEqual(["dns", "cannot resolve missing.test (ENOTFOUND)"]);
  });

  test("a name goes to its checked address, with the name as Host", async () => {
    await using receiver = startReceiver();
    const named = senderFor({ names: { "app.test": ["127.0.0.1"] } });
    const url = `http://user:secret@app.test:${receiver.port}/in?x=1`;
    expect(await named.send(requestTo(url))).toMatchObject({ status: 200, address: "127.0.0.1" });
    const request = await receiver.next();
    expect(request.headers.get("host")).toBe(`app.test:${receiver.port}`);
    expect(request.headers.get("authorization")).toBe(`Basic ${btoa("user:secret")}`);
    expect(request.path).toBe("/in?x=1");
  });

  test.each([
    ["a private address", "http://127.0.0.1"],
    ["localhost", "http://localhost"],
    ["a name with a private address", "http://inside.test"],
    ["a name with one private address among public ones", "http://mixed.test"],
  ])("an untrusted target that is %s is blocked before any connection", async (_, origin) => {
    await using receiver = await startRawReceiver(FAULTS.hang);
    const careful = senderFor({
      names: { "inside.test": ["127.0.0.1"], "mixed.test": ["8.8.8.8", "127.0.0.1"] },
    });
    const result = await careful.send(requestTo(`${origin}:${receiver.port}/`, { isTrusted: false }));
    expect(result).toMatchObject({ kind: "error", reason: "blocked", address: null });
    expect(receiver.connectionCount).toBe(0);
  });

  test("an untrusted target that a rule allows is called", async () => {
    await using receiver = startReceiver();
    const ruled = senderFor({ names: { "app.test": ["127.0.0.1"] }, allowPrivate: ["127.0.0.0/8"] });
    const result = await ruled.send(requestTo(`http://app.test:${receiver.port}/`, { isTrusted: false }));
    expect(summary(result)).toEqual([200, ""]);
  });

  test("an answer that changes after the check changes nothing, because nothing asks again", async () => {
    await using checked = startReceiver();
    const names = [["127.0.0.1"], ["127.0.0.2"]];
    let lookupCount = 0;
    const lookup: Lookup = async () => names[lookupCount++]!.map((address) => ({ address, family: 4 }));
    const egress = createEgress({ allowPrivate: ["127.0.0.1"], lookup, clock });
    const rebound = createSender({ clock, egress });
    const request = requestTo(`http://rebind.test:${checked.port}/`, { isTrusted: false });
    expect(await rebound.send(request)).toMatchObject({ status: 200, address: "127.0.0.1" });
    expect(lookupCount).toBe(1);
  });

  test("a name with several addresses falls back to the next and remembers which was dead", async () => {
    await using receiver = startReceiver();
    const names = { "dual.test": ["127.0.0.2", "127.0.0.1"] };
    const dual = senderFor({ names });
    const request = requestTo(`http://dual.test:${receiver.port}/`);
    expect(await dual.send(request)).toMatchObject({ status: 200, address: "127.0.0.1" });
    expect(await dual.send(request)).toMatchObject({ status: 200, address: "127.0.0.1" });
    await receiver.stop();
    expect(await dual.send(request)).toMatchObject({ reason: "connect", text: "connection refused" });
  });

  test("an address that let the timeout pass is tried last by the next attempt", async () => {
    await using healthy = startReceiver();
    await using hanging = Bun.listen({ hostname: "127.0.0.2", port: healthy.port, socket: { data() {} } });
    const dual = senderFor({ names: { "dual.test": ["127.0.0.2", "127.0.0.1"] } });
    const url = `http://dual.test:${healthy.port}/`;
    expect(await dual.send(requestTo(url, { timeoutMs: 40 }))).toMatchObject({
      reason: "timeout",
      address: "127.0.0.2",
    });
    expect(await dual.send(requestTo(url))).toMatchObject({ status: 200, address: "127.0.0.1" });
    expect(hanging.port).toBe(healthy.port);
  });
});

describe("TLS", () => {
  const names = { "receiver.test": ["127.0.0.1"], "other.test": ["127.0.0.1"] };
  const trusting = senderFor({ names, ca: [TEST_CERTIFICATE.cert] });

  test("the certificate is checked against the name although the address is dialled", async () => {
    await using receiver = startReceiver(() => 200, { tls: TEST_CERTIFICATE });
    const request = requestTo(`https://receiver.test:${receiver.port}/`);
    for (let count = 0; count < 3; count++)
      expect(await trusting.send(request)).toMatchObject({ status: 200 });
    expect(receiver.connectionCount).toBe(1);
    expect(receiver.requests[0]!.headers.get("host")).toBe(`receiver.test:${receiver.port}`);
  });

  test("a name that the certificate does not cover is refused, also when a connection is open", async () => {
    await using receiver = startReceiver(() => 200, { tls: TEST_CERTIFICATE });
    await trusting.send(requestTo(`https://receiver.test:${receiver.port}/`));
    for (const host of ["other.test", "127.0.0.1"]) {
      const result = await trusting.send(requestTo(`https://${host}:${receiver.port}/`));
      expect(summary(result)).toEqual(["tls", "certificate is for another host"]);
    }
    expect(receiver.requests).toHaveLength(1);
  });

  test("a certificate of an unknown authority is refused", async () => {
    await using receiver = startReceiver(() => 200, { tls: TEST_CERTIFICATE });
    const result = await senderFor({ names }).send(requestTo(`https://receiver.test:${receiver.port}/`));
    expect(summary(result)).toEqual(["tls", "certificate is self-signed"]);
    expect(receiver.requests).toEqual([]);
  });

  test("a receiver that speaks plain HTTP is a tls failure", async () => {
    await using receiver = startReceiver();
    const result = await sender.send(requestTo(`https://127.0.0.1:${receiver.port}/`));
    expect(summary(result)).toEqual(["tls", "TLS handshake failed"]);
  });
});

test("a proxy in the environment is not used", async () => {
  await using receiver = startReceiver();
  const saved = process.env.HTTP_PROXY;
  process.env.HTTP_PROXY = await refusingUrl();
  try {
    expect(await send(receiver.url)).toEqual([200, ""]);
  } finally {
    if (saved === undefined) delete process.env.HTTP_PROXY;
    else process.env.HTTP_PROXY = saved;
  }
});
