import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { Door } from "../../src/http/door.ts";
import { createHttpServer, type ListenerOptions, ServerStartError } from "../../src/http/server.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { SILENT_LOG } from "../../src/runtime/log.ts";
import { requestTable } from "../support/request-table.ts";
import { KEYS, startTestApp, type TestApp } from "../support/test-app.ts";

const MAIN: ListenerOptions = { hostname: "127.0.0.1", port: 0, role: "main" };
const ANY_REQUEST_ID = /^req_[0-9a-f]{32}$/;

/**
 * Writes raw bytes and resolves with everything that came back when the other end closed, or `until` was
 * seen.
 */
function exchange(port: number, text: string, until?: string): Promise<{ text: string; isClosed: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let received = "";
    const end = (isClosed: boolean) => {
      socket.destroy();
      resolve({ text: received, isClosed });
    };
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (until !== undefined && received.includes(until)) end(false);
    });
    socket.on("close", () => end(true));
    socket.on("error", reject);
  });
}

function portOf(app: TestApp): number {
  const [listening] = app.server.start();
  if (!listening) throw new Error("no listener");
  return listening.port;
}

describe("every answer", () => {
  requestTable({}, [
    {
      name: "an unknown path is told so in the native envelope",
      path: "/nowhere",
      status: 404,
      code: "not_found",
    },
    { name: "so is the root", path: "/", status: 404, code: "not_found" },
    { name: "double slashes at the front are collapsed", path: "http://localhost//healthz", status: 200 },
    { name: "many slashes too, with a query behind", path: "http://localhost////healthz?x", status: 200 },
    { name: "a host of one character is served", path: "http://a/_/api/events", key: KEYS.read, status: 200 },
    {
      name: "a host of two characters is served",
      path: "http://db/_/api/events",
      key: KEYS.read,
      status: 200,
    },
    {
      name: "the API is served behind double slashes",
      path: "http://localhost//_/api/events",
      key: KEYS.read,
      status: 200,
    },
    {
      name: "a sane request id is kept",
      path: "/healthz",
      headers: { "x-request-id": "Trace-1.2_3" },
      status: 200,
      answerHeaders: { "x-request-id": "Trace-1.2_3" },
    },
    {
      name: "ingest listeners serve no API",
      path: "/_/api/events",
      role: "ingest",
      key: KEYS.read,
      status: 404,
    },
    { name: "ingest listeners serve /healthz", path: "/healthz", role: "ingest", status: 200 },
    { name: "ingest listeners do not serve /readyz", path: "/readyz", role: "ingest", status: 404 },
    { name: "ingest listeners do not serve /metrics", path: "/metrics", role: "ingest", status: 404 },
    { name: "metrics listeners serve nothing else", path: "/healthz", role: "metrics", status: 404 },
  ]);

  test.each(["", "bad id", "x".repeat(129), "a\u00e9"])("a request id like %p is replaced", async (given) => {
    await using app = await startTestApp();
    const response = await app.request("/healthz", { headers: { "x-request-id": given } });
    expect(response.headers.get("x-request-id")).toMatch(ANY_REQUEST_ID);
  });
});

describe("doors", () => {
  const echoPath: Door = {
    name: "product",
    claims: { main: ["/v1/**"] },
    handle: async (request, { path, search, role }) =>
      Response.json({ url: request.url, path, search, role, body: await request.text() }),
  };

  test("a door gets the request with a URL that any router understands, and its body", async () => {
    await using app = await startTestApp({ doors: [echoPath] });
    const response = await app.request("http://a//v1/things?x=1", { method: "POST", body: "hello" });
    expect(await response.json()).toEqual({
      url: "http://localhost/v1/things?x=1",
      path: "/v1/things",
      search: "?x=1",
      role: "main",
      body: "hello",
    });
  });

  test("two doors that claim the same path stop the start", () => {
    expect(startTestApp({ doors: [{ ...echoPath, claims: { main: ["/in/orders"] } }] })).rejects.toThrow(
      'the doors "ingest" (/in/*) and "product" (/in/orders) claim the same paths',
    );
  });

  test("what a door throws becomes the native envelope", async () => {
    const broken: Door = {
      ...echoPath,
      handle: () => {
        throw new Error("no");
      },
    };
    await using app = await startTestApp({ doors: [broken] });
    const response = await app.request("/v1/x");
    expect(await response.json()).toMatchObject({ error: { code: "internal_error", details: null } });
  });
});

describe("real sockets", () => {
  test("requests without a usable Host are served", async () => {
    await using app = await startTestApp({ listeners: [MAIN] });
    const port = portOf(app);
    const key = `X-API-Key: ${KEYS.read}\r\n`;
    for (const host of ["", "Host: db\r\n", "Host: a b{}\r\n"]) {
      const version = host === "" ? "1.0" : "1.1";
      const answer = await exchange(
        port,
        `GET //_/api/events HTTP/${version}\r\n${host}${key}Connection: close\r\n\r\n`,
      );
      expect(answer.text).toStartWith("HTTP/1.1 200 OK");
    }
  });

  test("a request line with a whole URL is served", async () => {
    await using app = await startTestApp({ listeners: [MAIN] });
    const answer = await exchange(
      portOf(app),
      "GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    expect(answer.text).toEndWith('{"status":"ok"}');
  });

  test("a declared length over the limit is refused before the body is there", async () => {
    await using app = await startTestApp({ listeners: [MAIN] });
    const head = "POST /in/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n";
    const answer = await exchange(portOf(app), `${head}abc`, "body_too_large");
    expect(answer.text).toStartWith("HTTP/1.1 413");
    expect(answer.text.toLowerCase()).toContain("x-request-id: req_");
  });

  test("a chunked body over the limit is refused", async () => {
    await using app = await startTestApp({ listeners: [MAIN] });
    const chunk = `4000\r\n${"a".repeat(0x4000)}\r\n`;
    const head = "POST /in/orders HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    const answer = await exchange(portOf(app), head + chunk.repeat(5), "body_too_large");
    expect(answer.text).toStartWith("HTTP/1.1 413");
  });

  test("a chunked body is stored whole", async () => {
    await using app = await startTestApp({ listeners: [MAIN] });
    const head = "POST /in/orders HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    await exchange(portOf(app), `${head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, "durability");
    const { json: page } = await app.api("/events");
    const { json } = await app.api(`/events/${page.data[0]?.id}`);
    expect(json).toMatchObject({ body: "abcde", remoteAddress: "127.0.0.1" });
  });

  test("HEAD is answered without a body", async () => {
    await using app = await startTestApp({ listeners: [MAIN] });
    const answer = await exchange(
      portOf(app),
      "HEAD /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    expect(answer.text).toStartWith("HTTP/1.1 200");
    expect(answer.text).toEndWith("\r\n\r\n");
  });

  test("each listener serves its own role", async () => {
    const listeners: ListenerOptions[] = [MAIN, { ...MAIN, role: "ingest" }, { ...MAIN, role: "metrics" }];
    await using app = await startTestApp({ listeners });
    const statuses: number[][] = [];
    for (const { url } of app.server.start()) {
      const paths = ["/healthz", "/readyz", "/metrics", "/_/api/status"];
      statuses.push(await Promise.all(paths.map(async (path) => (await fetch(url + path)).status)));
    }
    expect(statuses).toEqual([
      [200, 200, 401, 401],
      [200, 404, 404, 404],
      [404, 404, 200, 404],
    ]);
  });
});

describe("start and stop", () => {
  function serverOf(listeners: readonly ListenerOptions[], doors: readonly Door[] = []) {
    return createHttpServer({
      listeners,
      doors,
      trustedProxies: [],
      readTimeoutMs: 10_000,
      clock: new SystemClock(),
      log: SILENT_LOG,
      nextId: () => "0",
    });
  }

  test("a port in use is an error that names the address, and no other listener stays open", async () => {
    const first = serverOf([MAIN]);
    const port = first.start()[0]?.port ?? 0;
    const second = serverOf([MAIN, { ...MAIN, port }]);
    let error: unknown;
    try {
      second.start();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ServerStartError);
    expect(error).toMatchObject({ address: `127.0.0.1:${port}`, role: "main", code: "EADDRINUSE" });
    expect(String(error)).toContain("the port is in use");
    await first.stop(0);
  });

  test("a stop lets the request in flight end and refuses what comes after", async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const slow: Door = {
      name: "slow",
      claims: { main: ["/slow"] },
      handle: async () => {
        enter();
        await gate;
        return new Response("done");
      },
    };
    const server = serverOf([MAIN], [slow]);
    const url = server.start()[0]?.url ?? "";
    const answer = fetch(`${url}/slow`);
    await entered;
    const stopped = server.stop(60_000);
    expect(server.stop(60_000)).toBe(stopped);
    const late = await server.handle(new Request("http://localhost/slow"));
    expect(late.status).toBe(503);
    expect(await late.json()).toMatchObject({ error: { code: "shutting_down" } });
    expect(late.headers.get("retry-after")).toBe("1");
    await expect(fetch(`${url}/slow`)).rejects.toThrow();
    open();
    expect(await (await answer).text()).toBe("done");
    await stopped;
  });

  test("a stop cuts off what does not end within its limit", async () => {
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const stuck: Door = {
      name: "stuck",
      claims: { main: ["/stuck"] },
      handle: () => {
        enter();
        return new Promise(() => {});
      },
    };
    const server = serverOf([MAIN], [stuck]);
    const url = server.start()[0]?.url ?? "";
    const answer = fetch(`${url}/stuck`).then(
      () => "answered",
      () => "cut off",
    );
    await entered;
    await server.stop(0);
    expect(await answer).toBe("cut off");
  });
});
