/** WebSockets and TLS on real ports: what a door may rely on. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import type { Door, Socket, SocketHandler } from "../../src/http/door.ts";
import { createHttpServer, type HttpServer, type ListenerOptions } from "../../src/http/server.ts";
import { SILENT_LOG } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { LOCAL_CA, LOCALHOST, LOCALHOST_RENEWED } from "../support/localhost-certificate.ts";

const MAIN: ListenerOptions = { hostname: "127.0.0.1", port: 0, role: "main" };

/** Says back what it hears, and notes how connections end. */
class Echo implements SocketHandler {
  readonly closed: number[] = [];
  socket: Socket | null = null;

  open(socket: Socket): void {
    this.socket = socket;
    socket.send("hello");
  }

  message(text: string): void {
    if (text === "fail") throw new Error("a mistake");
    this.socket?.send(`echo ${text}`);
  }

  close(code: number): void {
    this.closed.push(code);
  }
}

function doorOf(upgrade: Door["upgrade"]): Door {
  return {
    name: "echo",
    claims: { main: ["/echo", "/plain"] },
    handle: () => new Response("over HTTP"),
    ...(upgrade === undefined ? {} : { upgrade }),
  };
}

interface Serving extends AsyncDisposable {
  readonly server: HttpServer;
  readonly clock: FakeClock;
  readonly port: number;
  readonly url: string;
}

function serve(door: Door, listener: ListenerOptions = MAIN): Serving {
  const clock = new FakeClock();
  const server = createHttpServer({
    listeners: [listener],
    doors: [door],
    trustedProxies: [],
    readTimeoutMs: 10_000,
    clock,
    log: SILENT_LOG,
    nextId: () => "1",
  });
  const [listening] = server.start();
  if (!listening) throw new Error("nothing listens");
  const { port, url } = listening;
  return { server, clock, port, url, [Symbol.asyncDispose]: () => stopNow(server, clock) };
}

async function stopNow(server: HttpServer, clock: FakeClock): Promise<void> {
  const stopped = server.stop(1);
  clock.advance(1);
  await stopped;
}

/** Resolves with the next frames of a connection, in order. */
function frames(socket: WebSocket, count: number): Promise<string[]> {
  const got: string[] = [];
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      got.push(String(data));
      if (got.length === count) resolve(got);
    });
  });
}

function closing(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
}

describe("a WebSocket", () => {
  test("reaches the door's handler, and the handler it", async () => {
    const echo = new Echo();
    await using serving = serve(doorOf(() => echo));
    const socket = new WebSocket(`ws://127.0.0.1:${serving.port}/echo?ticket=1`);
    socket.addEventListener("open", () => socket.send("you"), { once: true });
    expect(await frames(socket, 2)).toEqual(["hello", "echo you"]);
    expect(serving.server.socketCount).toBe(1);
    const closed = closing(socket);
    echo.socket?.close(4_001, "no longer welcome");
    expect(await closed).toBe(4_001);
    expect(echo.closed).toEqual([4_001]);
  });

  test("may be decided on later, and be refused over HTTP", async () => {
    const refuse = async () => {
      await Promise.resolve();
      return new Response("expired", { status: 403 });
    };
    await using serving = serve(doorOf(refuse));
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const response = await fetch(`${serving.url}/echo`, { headers });
    expect([response.status, await response.text()]).toEqual([403, "expired"]);
    expect(response.headers.get("x-request-id")).toBe("req_1");
  });

  test("at a door without any is an ordinary request, and so is a plain request at one with", async () => {
    await using plain = serve(doorOf(undefined));
    const asked = await fetch(`${plain.url}/plain`, { headers: { upgrade: "websocket" } });
    expect(await asked.text()).toBe("over HTTP");
    await using upgrading = serve(doorOf(() => new Echo()));
    expect(await (await fetch(`${upgrading.url}/echo`)).text()).toBe("over HTTP");
  });

  test("that is no handshake is told to upgrade", async () => {
    await using serving = serve(doorOf(() => new Echo()));
    const response = await fetch(`${serving.url}/echo`, { headers: { upgrade: "websocket" } });
    expect(response.status).toBe(426);
  });

  test("ends with 1011 when the door makes a mistake, and the server goes on", async () => {
    const echo = new Echo();
    await using serving = serve(doorOf(() => echo));
    const socket = new WebSocket(`ws://127.0.0.1:${serving.port}/echo`);
    socket.addEventListener("open", () => socket.send("fail"), { once: true });
    expect(await closing(socket)).toBe(1_011);
    expect((await fetch(`${serving.url}/echo`)).status).toBe(200);
  });

  test("takes nothing more for a client that does not read", async () => {
    const echo = new Echo();
    await using serving = serve(doorOf(() => echo));
    const stuck = await Bun.connect({
      hostname: "127.0.0.1",
      port: serving.port,
      socket: {
        open(tcp) {
          tcp.write(
            "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
          );
        },
        data(tcp) {
          tcp.pause();
        },
      },
    });
    while (echo.socket === null) await new Promise(setImmediate);
    const text = "x".repeat(65_536);
    let taken = 0;
    while (echo.socket.send(text)) taken += 1;
    // What the system buffers comes on top of our own bound.
    expect(taken).toBeLessThan(400);
    expect(echo.socket.bufferedBytes).toBeLessThan(1_300_000);
    stuck.terminate();
  });
});

describe("a listener with TLS", () => {
  const subjectOf = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca: LOCAL_CA }, () => {
        const { CN } = socket.getPeerCertificate().subject;
        socket.destroy();
        resolve(String(CN));
      });
      socket.on("error", reject);
    });

  function pairIn(folder: string) {
    const paths = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    const write = ({ cert, key }: { cert: string; key: string }) => {
      writeFileSync(paths.cert, cert);
      writeFileSync(paths.key, key);
    };
    return { paths, write };
  }

  test("takes up new files by itself, keeps open connections, and keeps the pair that works", async () => {
    const folder = mkdtempSync(join(tmpdir(), "postern-tls-"));
    const { paths, write } = pairIn(folder);
    write(LOCALHOST);
    const echo = new Echo();
    await using serving = serve(
      doorOf(() => echo),
      { ...MAIN, tls: paths },
    );
    expect(serving.url).toStartWith("https://127.0.0.1:");
    expect(await subjectOf(serving.port)).toBe("localhost one");
    const socket = new WebSocket(`wss://localhost:${serving.port}/echo`, { tls: { ca: LOCAL_CA } });
    expect(await frames(socket, 1)).toEqual(["hello"]);
    write({ cert: LOCALHOST_RENEWED.cert, key: LOCALHOST.key });
    serving.clock.advance(2_000);
    expect(await subjectOf(serving.port)).toBe("localhost one");
    write(LOCALHOST_RENEWED);
    serving.clock.advance(2_000);
    expect(await subjectOf(serving.port)).toBe("localhost two");
    const answer = frames(socket, 1);
    socket.send("still here");
    expect(await answer).toEqual(["echo still here"]);
    socket.close();
    rmSync(folder, { recursive: true });
  });

  test("that has no usable files does not start", () => {
    const paths = { cert: "/nowhere/cert.pem", key: "/nowhere/key.pem" };
    expect(() => serve(doorOf(undefined), { ...MAIN, tls: paths })).toThrow(/ENOENT.*cert\.pem/);
  });
});
