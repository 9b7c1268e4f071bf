import { describe, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createEgress, type Lookup } from "../../src/runtime/egress.ts";
import { createSender, type SendRequest } from "../../src/runtime/sender.ts";
import { startReceiver } from "../support/receiver.ts";
import { TEST_CERTIFICATE } from "../support/tls-certificate.ts";

const clock = new SystemClock();
/** From TEST-NET-3 (RFC 5737): nobody is there, so only a proxy can make a request to it succeed. */
const FAR = "203.0.113.9";

/**
 * A proxy that writes down the first line of every connection and leads CONNECT to `port` of this machine.
 */
async function startProxy(port: number) {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (data) => {
      const line = data.toString("latin1").split("\r\n")[0] ?? "";
      lines.push(line);
      if (!line.startsWith("CONNECT ")) {
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy");
        return;
      }
      const inner = connect(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        socket.pipe(inner).pipe(socket);
      });
      sockets.add(inner);
      inner.on("error", () => {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    lines,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function senderThrough(proxy: string) {
  const lookup: Lookup = async () => [{ address: FAR, family: 4 }];
  const egress = createEgress({ allowPrivate: [], lookup, clock });
  return createSender({ clock, egress, proxy, ca: [TEST_CERTIFICATE.cert] });
}

function requestTo(url: string): SendRequest {
  return {
    method: "POST",
    url,
    headers: new Headers(),
    body: new TextEncoder().encode("{}"),
    timeoutMs: 5_000,
    captureBytesMax: 1_024,
    isTrusted: true,
  };
}

describe("a configured proxy", () => {
  test("connects to the checked address, and the certificate is still that of the name", async () => {
    await using receiver = startReceiver(() => 204, { tls: TEST_CERTIFICATE });
    await using proxy = await startProxy(receiver.port);
    const result = await senderThrough(proxy.url).send(requestTo("https://receiver.test/in"));
    expect(result).toMatchObject({ kind: "response", status: 204, address: FAR });
    expect(proxy.lines).toEqual([`CONNECT ${FAR}:443 HTTP/1.1`]);
    expect(receiver.requests[0]?.headers.get("host")).toBe("receiver.test");
  });

  test("cannot stand in for a receiver whose certificate is for another name", async () => {
    await using receiver = startReceiver(() => 204, { tls: TEST_CERTIFICATE });
    await using proxy = await startProxy(receiver.port);
    const result = await senderThrough(proxy.url).send(requestTo("https://other.test/in"));
    expect(result).toMatchObject({ kind: "error", reason: "tls" });
    expect(receiver.requests).toEqual([]);
  });

  test("gets a plain request with the checked address in it", async () => {
    await using proxy = await startProxy(0);
    const result = await senderThrough(proxy.url).send(requestTo("http://receiver.test/in?x=1"));
    expect(result).toMatchObject({ kind: "response", status: 200, address: FAR });
    expect(proxy.lines[0]).toStartWith(`POST http://${FAR}/in?x=1`);
  });

  test("is not used for this machine", async () => {
    await using receiver = startReceiver();
    await using proxy = await startProxy(0);
    expect(await senderThrough(proxy.url).send(requestTo(receiver.url))).toMatchObject({ status: 200 });
    expect(proxy.lines).toEqual([]);
  });
});
