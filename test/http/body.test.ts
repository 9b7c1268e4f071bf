import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { AppError } from "../../src/domain/errors.ts";
import { BodyReader, type BodyResult } from "../../src/http/body.ts";
import type { Door } from "../../src/http/door.ts";
import { createHttpServer } from "../../src/http/server.ts";
import { SILENT_LOG } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";

const TIMEOUT_MS = 10_000;

/** A server whose only door reads bodies, and one client connection to it. */
async function withReader(
  run: (parts: {
    clock: FakeClock;
    socket: Socket;
    entered: Promise<void>;
    result: Promise<BodyResult>;
  }) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const bodies = new BodyReader({ clock, timeoutMs: TIMEOUT_MS });
  const entered = Promise.withResolvers<void>();
  const read = Promise.withResolvers<BodyResult>();
  const door: Door = {
    name: "reader",
    claims: { main: ["/read"] },
    async handle(request) {
      const reading = bodies.read(request, 100);
      entered.resolve();
      const result = await reading;
      read.resolve(result);
      if (result === "too_slow") throw new AppError("request_timeout", "too slow");
      return new Response("read");
    },
  };
  const server = createHttpServer({
    listeners: [{ hostname: "127.0.0.1", port: 0, role: "main" }],
    doors: [door],
    trustedProxies: [],
    readTimeoutMs: TIMEOUT_MS,
    clock,
    log: SILENT_LOG,
    nextId: () => "0",
  });
  const socket = connect(server.start()[0]?.port ?? 0, "127.0.0.1");
  await run({ clock, socket, entered: entered.promise, result: read.promise });
  socket.destroy();
  const stopped = server.stop(0);
  clock.advance(0);
  await stopped;
}

function head(framing: string): string {
  return `POST /read HTTP/1.1\r\nHost: localhost\r\n${framing}\r\n\r\n`;
}

/** Everything that arrives until the other end closes. */
function readToEnd(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.on("close", () => resolve(text));
  });
}

describe("a client on a real socket", () => {
  test.each([
    ["with a declared length", "Content-Length: 10", "abc", "de"],
    ["that sends chunks", "Transfer-Encoding: chunked", "3\r\nabc\r\n", "2\r\nde\r\n"],
  ])("%s and drips is given up when its time is over", async (_name, framing, first, second) => {
    await withReader(async ({ clock, socket, entered, result }) => {
      const answer = readToEnd(socket);
      socket.write(head(framing) + first);
      await entered;
      clock.advance(TIMEOUT_MS - 1);
      socket.write(second);
      clock.advance(1);
      expect(await result).toBe("too_slow");
      expect(await answer).toStartWith("HTTP/1.1 408");
      expect(clock.nextTimerAt()).toBeNull();
    });
  });

  test.each([
    ["with a declared length", "Content-Length: 10", "abc"],
    ["that sends chunks", "Transfer-Encoding: chunked", "3\r\nabc\r\n"],
  ])("%s and goes away is noticed", async (_name, framing, first) => {
    await withReader(async ({ socket, entered, result }) => {
      socket.write(head(framing) + first);
      await entered;
      socket.destroy();
      expect(await result).toBe("broken");
    });
  });
});

describe("reading in process", () => {
  const read = (init: RequestInit, bytesMax = 4) =>
    new BodyReader({ clock: new FakeClock(), timeoutMs: TIMEOUT_MS }).read(
      new Request("http://localhost/", { method: "POST", ...init }),
      bytesMax,
    );

  test("no body is an empty one", async () => {
    expect(await read({})).toEqual(new Uint8Array(0));
  });

  test("several chunks are put together", async () => {
    const body = new ReadableStream({
      start(controller) {
        for (const part of ["ab", "", "cd"]) controller.enqueue(Buffer.from(part));
        controller.close();
      },
    });
    expect(Buffer.from((await read({ body })) as Uint8Array).toString()).toBe("abcd");
  });

  test("a stream that fails is broken", async () => {
    const body = new ReadableStream({ start: (controller) => controller.error(new Error("gone")) });
    expect(await read({ body })).toBe("broken");
  });

  test("a declared length that is a lie does not lift the limit", async () => {
    expect(await read({ body: "12345", headers: { "content-length": "4" } })).toBe("too_large");
  });
});
