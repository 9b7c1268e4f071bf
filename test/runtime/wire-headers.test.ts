/** What a receiver finds on the wire, read from a bare socket: no HTTP library has touched the spelling. */

import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { NATIVE_ENVELOPE } from "../../src/domain/native-envelope.ts";
import type { SignSpec } from "../../src/domain/signature/index.ts";
import type { EnvelopeInput } from "../../src/domain/strategy.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createEgress } from "../../src/runtime/egress.ts";
import { createSender } from "../../src/runtime/sender.ts";
import { NOW, newEndpoint, newId } from "../support/factory.ts";

const clock = new SystemClock();
const egress = createEgress({ allowPrivate: [], clock });
const sender = createSender({ clock, egress });
const secrets = [{ value: "s3cret" }];
const ackUrls = () => ({ ack: "http://postern.test/cb/a", nack: "http://postern.test/cb/n" });

/** Accepts one connection, answers 204 and resolves with the header lines. */
async function listenOnce() {
  const received = Promise.withResolvers<string[]>();
  const server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end === -1) return;
      received.resolve(text.slice(0, end).split("\r\n").slice(1));
      socket.end("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
      server.close();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `http://127.0.0.1:${address.port}/in`, received: received.promise };
}

interface Sent {
  readonly sign: readonly SignSpec[];
  readonly fixed?: Record<string, string>;
  readonly passed?: Record<string, string>;
}

async function linesOf({ sign, fixed = {}, passed = {} }: Sent): Promise<string[]> {
  const receiver = await listenOnce();
  const endpoint = { ...newEndpoint(), url: receiver.url, sign, headers: fixed } as EnvelopeInput["endpoint"];
  const delivery = {
    id: newId(),
    eventId: newId(),
    project: "default",
    createdAt: NOW,
    scheduledAt: NOW,
    spec: null,
  };
  const payload = { headers: passed, body: Buffer.from("{}") };
  const request = NATIVE_ENVELOPE({
    delivery,
    endpoint,
    payload,
    attempt: 1,
    now: NOW,
    wallNow: NOW,
    ackUrls,
  });
  await sender.send({ ...request, timeoutMs: 5_000, captureBytesMax: 10, isTrusted: true });
  return receiver.received;
}

const SPELLINGS: readonly [SignSpec, string[]][] = [
  [{ scheme: "standard", secrets }, ["webhook-id", "webhook-timestamp", "webhook-signature"]],
  [{ scheme: "hookbridge", secrets }, ["X-Webhook-Id", "X-Webhook-Timestamp", "X-Webhook-Signature"]],
  [
    { scheme: "posthook", secrets },
    ["Posthook-Id", "Posthook-Timestamp", "Posthook-Signature", "X-Ph-Signature"],
  ],
  [{ scheme: "pingback", secrets }, ["X-Pingback-Timestamp", "X-Pingback-Signature"]],
  [{ scheme: "pyfly", secrets }, ["X-Pyfly-Signature"]],
  [{ scheme: "github", secrets }, ["X-Hub-Signature-256"]],
  [{ scheme: "stripe", secrets }, ["Stripe-Signature"]],
  [{ scheme: "custom", header: "x-ACME-sIg", algorithm: "sha256", encoding: "hex", secrets }, ["x-ACME-sIg"]],
];

test.each(SPELLINGS)("%o keeps its spelling", async (spec, names) => {
  const lines = await linesOf({ sign: [spec] });
  for (const name of names) expect(lines.filter((line) => line.startsWith(`${name}: `))).toHaveLength(1);
});

test("a signature replaces the sender's own under another spelling, and keeps its spelling", async () => {
  const lines = await linesOf({
    sign: [{ scheme: "github", secrets }],
    passed: { "x-hub-signature-256": "sha256=theirs", "x-tenant": "theirs" },
    fixed: { "X-Tenant": "ours" },
  });
  const found = lines.filter((line) => /^x-(hub|tenant)/i.test(line)).sort();
  expect(found).toEqual([
    expect.stringMatching(/^X-Hub-Signature-256: sha256=[0-9a-f]{64}$/),
    "X-Tenant: ours",
  ]);
});

test("framing that a dialect or a definition sneaked in does not reach the wire", async () => {
  const receiver = await listenOnce();
  const names = ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "expect"];
  const headers = new Headers(names.map((name) => [name, "1"] as [string, string]));
  const request = { method: "POST", url: receiver.url, headers, body: Buffer.from("{}") };
  await sender.send({ ...request, timeoutMs: 5_000, captureBytesMax: 10, isTrusted: true });
  const lines = (await receiver.received).map((line) => line.toLowerCase());
  expect(lines).toContain("content-length: 2");
  expect(lines).toContain(`host: ${new URL(receiver.url).host}`);
  expect(lines.filter((line) => /^(transfer-encoding|te|upgrade|expect):/.test(line))).toEqual([]);
  expect(lines).toContain("connection: keep-alive");
});
