/** What single endpoints and projects may say about the way out: certificates, proxies, private addresses. */

import { describe, expect, test } from "bun:test";
import { createServer, type TLSSocket } from "node:tls";
import type { ClientTls } from "../../src/domain/endpoint.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createEgress, type LookedUpAddress, type Lookup } from "../../src/runtime/egress.ts";
import { createSender, type SendRequest } from "../../src/runtime/sender.ts";
import { startReceiver } from "../support/receiver.ts";
import { CLIENT_CERTIFICATE, TEST_CERTIFICATE } from "../support/tls-certificate.ts";

const clock = new SystemClock();
const HOST = "receiver.test";
const CA = TEST_CERTIFICATE.cert;
const SHOWN: ClientTls = { ...CLIENT_CERTIFICATE, ca: CA };

function senderWith(
  answers: readonly LookedUpAddress[] = [{ address: "127.0.0.1", family: 4 }],
  proxy?: string,
) {
  const lookup: Lookup = async () => answers;
  const egress = createEgress({ allowPrivate: [], lookup, clock });
  return createSender({ clock, egress, proxy: proxy ?? null });
}

function requestTo(url: string, change: Partial<SendRequest> = {}): SendRequest {
  const body = Buffer.from("{}");
  const limits = { timeoutMs: 5_000, captureBytesMax: 1_024 };
  return { method: "POST", url, headers: new Headers(), body, isTrusted: true, ...limits, ...change };
}

/** A TLS server that talks to nobody without the client certificate, and remembers whom it talked to. */
async function startStrictReceiver() {
  const names: (string | undefined)[] = [];
  const tls = { key: TEST_CERTIFICATE.key, cert: CA, ca: [CLIENT_CERTIFICATE.cert] };
  const server = createServer(
    { ...tls, requestCert: true, rejectUnauthorized: true },
    (socket: TLSSocket) => {
      socket.on("error", () => {});
      socket.on("data", () => {
        const { CN } = socket.getPeerCertificate().subject;
        names.push(Array.isArray(CN) ? CN[0] : CN);
        socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      });
    },
  );
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `https://${HOST}:${address.port}/in`,
    names,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("A client certificate", () => {
  test("opens a receiver that asks for one", async () => {
    const receiver = await startStrictReceiver();
    const sender = senderWith();
    for (const _ of [1, 2]) {
      expect(await sender.send(requestTo(receiver.url, { tls: SHOWN }))).toMatchObject({ status: 204 });
    }
    expect(receiver.names).toEqual(["postern-client", "postern-client"]);
  });

  test("is not there for the next endpoint at the same address", async () => {
    const receiver = await startStrictReceiver();
    const sender = senderWith();
    await sender.send(requestTo(receiver.url, { tls: SHOWN }));
    const withoutAny = { ...SHOWN, cert: TEST_CERTIFICATE.cert, key: TEST_CERTIFICATE.key };
    expect(await sender.send(requestTo(receiver.url))).toMatchObject({ kind: "error", reason: "tls" });
    expect(await sender.send(requestTo(receiver.url, { tls: withoutAny }))).toMatchObject({ kind: "error" });
    expect(receiver.names).toEqual(["postern-client"]);
  });

  test("replaced by another one is no longer shown", async () => {
    const receiver = await startStrictReceiver();
    const sender = senderWith();
    await sender.send(requestTo(receiver.url, { tls: { ...SHOWN, ...TEST_CERTIFICATE } }));
    expect(await sender.send(requestTo(receiver.url, { tls: { ...SHOWN } }))).toMatchObject({ status: 204 });
    expect(receiver.names).toEqual(["postern-client"]);
  });

  test("does not make an unknown authority trusted", async () => {
    const receiver = await startStrictReceiver();
    const result = await senderWith().send(requestTo(receiver.url, { tls: { ...SHOWN, ca: null } }));
    expect(result).toMatchObject({ kind: "error", reason: "tls" });
    expect(receiver.names).toEqual([]);
  });
});

describe("A proxy of one endpoint", () => {
  const FAR = [{ address: "203.0.113.9", family: 4 }] as const;

  test("is used instead of the general one, with a password in its URL", async () => {
    await using general = startReceiver(() => 500);
    await using own = startReceiver(() => 204);
    const sender = senderWith(FAR, general.url);
    const proxy = own.url.replace("//", "//user:secret@");
    expect(await sender.send(requestTo("http://far.test/in", { proxy }))).toMatchObject({ status: 204 });
    expect(own.requests[0]?.headers.get("proxy-authorization")).toBe(`Basic ${btoa("user:secret")}`);
    expect(general.requests).toEqual([]);
  });

  test("that is empty means none", async () => {
    await using general = startReceiver(() => 500);
    const request = requestTo("http://far.test:9/in", { proxy: "", timeoutMs: 50 });
    await senderWith(FAR, general.url).send(request);
    expect(general.requests).toEqual([]);
  });
});

describe("Private addresses", () => {
  const PRIVATE = [{ address: "127.0.0.1", family: 4 }] as const;

  test("are reached where the endpoint's or the project's list says so, and nowhere else", async () => {
    await using receiver = startReceiver();
    const url = `http://inside.test:${receiver.port}/`;
    const sender = senderWith(PRIVATE);
    const ask = async (change: Partial<SendRequest>) =>
      (await sender.send(requestTo(url, { isTrusted: false, ...change }))).kind;
    expect(await ask({})).toBe("error");
    expect(await ask({ allowPrivate: ["10.0.0.0/8"] })).toBe("error");
    expect(await ask({ allowPrivate: ["127.0.0.0/8"] })).toBe("response");
    expect(await ask({ allowPrivate: ["inside.test"] })).toBe("response");
    expect(await ask({ allowPrivate: null })).toBe("error");
    expect(receiver.requests).toHaveLength(2);
  });

  test("an empty list closes what the general rule opens", async () => {
    const egress = createEgress({ allowPrivate: ["127.0.0.0/8"], clock });
    const url = new URL("http://127.0.0.1:1/");
    expect((await egress.resolve(url, false)).ok).toBe(true);
    expect((await egress.resolve(url, false, [])).ok).toBe(false);
  });
});

describe("A name whose answer changes between the check and the connection", () => {
  /** Not of anybody here. */
  const PUBLIC = "93.184.215.14";

  /** The first answer is public and dead, every later one is the receiver on this machine. */
  function rebinding(): { lookup: Lookup; asked: () => number } {
    let asked = 0;
    const lookup: Lookup = async () => {
      asked += 1;
      return [{ address: asked === 1 ? PUBLIC : "127.0.0.1", family: 4 }];
    };
    return { lookup, asked: () => asked };
  }

  test("is connected to where it was checked, so the private receiver sees nothing", async () => {
    await using receiver = startReceiver();
    const { lookup, asked } = rebinding();
    const sender = createSender({ clock, egress: createEgress({ allowPrivate: [], lookup, clock }) });
    const url = `http://rebind.test:${receiver.port}/`;
    const first = await sender.send(requestTo(url, { isTrusted: false, timeoutMs: 50 }));
    expect(first).toMatchObject({ address: PUBLIC });
    expect([asked(), receiver.requests.length]).toEqual([1, 0]);
  });

  test("is blocked at the next attempt, when the private answer is what is checked", async () => {
    await using receiver = startReceiver();
    const { lookup } = rebinding();
    await lookup("rebind.test");
    const sender = createSender({ clock, egress: createEgress({ allowPrivate: [], lookup, clock }) });
    const result = await sender.send(requestTo(`http://rebind.test:${receiver.port}/`, { isTrusted: false }));
    expect(result).toMatchObject({ kind: "error", reason: "blocked" });
    expect(receiver.requests).toEqual([]);
  });

  test("cannot be rebound by a redirect either", async () => {
    await using inside = startReceiver();
    await using outside = startReceiver(() => ({ status: 302, headers: { location: inside.url } }));
    const url = `http://outside.test:${outside.port}/`;
    const result = await senderWith().send(
      requestTo(url, { isTrusted: false, allowPrivate: ["outside.test"] }),
    );
    expect(result).toMatchObject({ kind: "response", status: 302 });
    expect(inside.requests).toEqual([]);
  });
});
