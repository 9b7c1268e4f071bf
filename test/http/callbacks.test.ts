import { describe, expect, test } from "bun:test";
import { NATIVE_PROFILE } from "../../src/domain/native-profile.ts";
import type { Dialect } from "../../src/http/dialect.ts";
import { sendResponse, startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";
import { CLIENT_CERTIFICATE, TEST_CERTIFICATE } from "../support/tls-certificate.ts";

const ACK = { deadlineMs: 300_000, deadlineMaxMs: 3_600_000 };
const RETRY = { kind: "ladder", delaysMs: [1_000], jitter: 0 } as const;
const PROMISE = sendResponse(202, "", { "postern-ack-deadline": "60" });

async function start(change: TestAppOptions = {}): Promise<TestApp> {
  const app = await startTestApp({ endpoints: [{ name: "app", ack: ACK, retry: RETRY }], ...change });
  app.sendResults.push(PROMISE);
  return app;
}

/** The paths that the latest attempt was told to report to. */
function pathsOf(app: TestApp): { ack: string; nack: string } {
  const headers = app.sent.at(-1)?.headers;
  const pathOf = (name: string) => new URL(headers?.get(name) ?? "http://none/").pathname;
  return { ack: pathOf("Postern-Ack-URL"), nack: pathOf("Postern-Nack-URL") };
}

async function settled(app: TestApp): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  await app.flush();
}

async function accept(app: TestApp): Promise<void> {
  await app.ingest("orders");
  await settled(app);
}

async function report(app: TestApp, path: string, body?: string) {
  const response = await app.request(path, { method: "POST", ...(body === undefined ? {} : { body }) });
  await settled(app);
  const json = (await response.json()) as { state?: string; report?: string; error?: { code: string } };
  return { status: response.status, json, code: json.error?.code };
}

async function delivery(app: TestApp) {
  const { json } = await app.api("/deliveries");
  const { json: detail } = await app.api(`/deliveries/${json.data[0]?.id}`);
  return detail as unknown as { state: string; lastError: string | null; attempts: { outcome: string }[] };
}

describe("A receiver that promises a report", () => {
  test("leaves the delivery waiting, and its ack succeeds it", async () => {
    await using app = await start();
    await accept(app);
    expect((await delivery(app)).state).toBe("awaiting");
    const { ack } = pathsOf(app);
    expect(await report(app, ack)).toMatchObject({
      status: 200,
      json: { report: "ack", state: "succeeded" },
    });
    expect(await delivery(app)).toMatchObject({ state: "succeeded", attempts: [{ outcome: "succeeded" }] });
  });

  test("may say that it failed, and why; then it gets another attempt", async () => {
    await using app = await start();
    await accept(app);
    const answer = await report(app, pathsOf(app).nack, '{"error":"card declined"}');
    expect(answer).toMatchObject({ status: 200, json: { report: "nack", state: "retrying" } });
    expect(await delivery(app)).toMatchObject({ state: "retrying", lastError: "card declined" });
    app.clock.advance(1_000);
    await settled(app);
    expect(app.sent).toHaveLength(2);
    expect((await delivery(app)).state).toBe("succeeded");
  });

  test("that never reports has failed at the deadline", async () => {
    await using app = await start();
    await accept(app);
    const { ack } = pathsOf(app);
    app.clock.advance(60_000);
    await settled(app);
    expect(await delivery(app)).toMatchObject({
      state: "retrying",
      lastError: "no acknowledgement before the deadline",
    });
    expect(await report(app, ack)).toMatchObject({ status: 410, code: "expired" });
  });

  test("is found on the ingest listener too, and needs no key", async () => {
    await using app = await start();
    await accept(app);
    const response = await app.request(pathsOf(app).ack, { method: "POST", role: "ingest" });
    expect(response.status).toBe(200);
  });

  test("may report twice, but not both ways", async () => {
    await using app = await start();
    await accept(app);
    const { ack, nack } = pathsOf(app);
    expect((await report(app, ack)).status).toBe(200);
    expect(await report(app, ack)).toMatchObject({ status: 200, json: { state: "succeeded" } });
    expect(await report(app, nack)).toMatchObject({ status: 409, code: "already_resolved" });
    expect((await delivery(app)).state).toBe("succeeded");
  });

  test("cannot report on an attempt after which a later one has begun", async () => {
    await using app = await start();
    await accept(app);
    const { ack, nack } = pathsOf(app);
    await report(app, nack);
    app.sendResults.push(PROMISE);
    app.clock.advance(1_000);
    await settled(app);
    expect(await report(app, ack)).toMatchObject({ status: 409, code: "superseded" });
    expect((await delivery(app)).state).toBe("awaiting");
    expect((await report(app, pathsOf(app).ack)).status).toBe(200);
  });

  test("is told when the delivery is gone", async () => {
    await using app = await start();
    await accept(app);
    const { ack } = pathsOf(app);
    await report(app, ack);
    app.clock.advance(2e9);
    for (const kind of ["delivered", "delivered"] as const) {
      await app.store.purge({ kind, before: app.clock.now(), limit: 100 });
    }
    expect(await report(app, ack)).toMatchObject({ status: 404, code: "not_found" });
  });

  test("may send a reason of any length", async () => {
    await using app = await start();
    await accept(app);
    expect((await report(app, pathsOf(app).nack, "x".repeat(70_000))).status).toBe(200);
    expect(await delivery(app)).toMatchObject({ lastError: "the receiver reported failure" });
  });
});

describe("The deadline of a promise", () => {
  test.each([
    ["stands in the header", "", { "postern-ack-deadline": "30" }, 30_000],
    ["stands in the body when there is no header", '{"ok":true,"ackDeadline":45}', {}, 45_000],
    ["may be a text there", '{"ackDeadline":"45"}', {}, 45_000],
    ["is rounded up to seconds", '{"ackDeadline":0.5}', {}, 1_000],
    ["is the header's when there are both", '{"ackDeadline":45}', { "postern-ack-deadline": "30" }, 30_000],
    ["is the usual one when it is no number", '{"ackDeadline":true}', {}, 300_000],
    ["is never beyond the longest one", '{"ackDeadline":86400}', {}, 3_600_000],
  ] as const)("%s", async (_, body, headers, ms) => {
    await using app = await start();
    app.sendResults.splice(0, 1, sendResponse(202, body, headers));
    await accept(app);
    app.clock.advance(ms - 1);
    await settled(app);
    expect((await delivery(app)).state).toBe("awaiting");
    app.clock.advance(1);
    await settled(app);
    expect((await delivery(app)).state).toBe("retrying");
  });

  test.each([
    ['{"ackDeadline":null}'],
    ['{"ackDeadline":false}'],
    ['{"ackDeadline":4'],
    ['["ackDeadline"]'],
    ["null"],
    ['"ackDeadline"'],
  ])("is not asked for with %s", async (body) => {
    await using app = await start();
    app.sendResults.splice(0, 1, sendResponse(202, body));
    await accept(app);
    expect((await delivery(app)).state).toBe("succeeded");
  });
});

describe("A link to a report", () => {
  test.each(["GET", "HEAD", "PUT"])("does nothing when it is followed with %s", async (method) => {
    await using app = await start();
    await accept(app);
    const response = await app.request(pathsOf(app).ack, { method });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
    expect((await delivery(app)).state).toBe("awaiting");
  });

  test.each(["", "x", "A".repeat(60)])("that we did not make is refused: %p", async (token) => {
    await using app = await start();
    expect(await report(app, `/cb/${token}`)).toMatchObject({ status: 401, code: "invalid_token" });
  });
});

describe("Without the option or the header", () => {
  test("a 202 is a success like any other", async () => {
    await using app = await start();
    app.sendResults.splice(0, 1, sendResponse(202));
    await accept(app);
    expect((await delivery(app)).state).toBe("succeeded");
  });

  test("an endpoint that does not take reports offers no URL and no wait", async () => {
    await using app = await start({ endpoints: [{ name: "app" }] });
    await accept(app);
    expect(app.sent[0]?.headers.has("postern-ack-url")).toBe(false);
    expect((await delivery(app)).state).toBe("succeeded");
  });

  test("a producer cannot slip in URLs of its own", async () => {
    await using app = await start({ endpoints: [{ name: "app" }] });
    const headers = { "postern-ack-url": "http://evil.example/", "postern-nack-url": "http://evil.example/" };
    await app.request("/in/orders", { method: "POST", body: "{}", headers });
    await settled(app);
    expect([...(app.sent[0]?.headers.keys() ?? [])].filter((name) => name.startsWith("postern"))).toEqual([]);
  });
});

test("A product answers reports on its deliveries in its own words", async () => {
  const dialect: Dialect = {
    name: "pigeon",
    profiles: [
      {
        ...NATIVE_PROFILE,
        name: "pigeon",
        reportAnswer: ({ kind, isAck, state }) => ({ status: 207, body: { kind, isAck, state } }),
      },
    ],
    open: () => ({ doors: [] }),
  };
  const endpoints = [{ name: "app", ack: ACK, profile: "pigeon" }];
  await using app = await start({ dialects: [dialect], endpoints });
  await accept(app);
  const response = await app.request(pathsOf(app).ack, { method: "POST" });
  expect([response.status, await response.json()]).toEqual([
    207,
    { kind: "applied", isAck: true, state: "succeeded" },
  ]);
});

test("One delivery may name who is told of its end, by the name of an endpoint that exists", async () => {
  await using app = await startTestApp({ endpoints: [{ name: "app" }, { name: "audit" }] });
  const create = (resultTo: string) =>
    app.api("/deliveries", {
      method: "POST",
      body: JSON.stringify({ endpoint: "app", json: { n: 1 }, resultTo }),
    });
  expect((await create("nobody")).status).toBe(400);
  expect(app.sent).toEqual([]);
  const { status, json } = await create("audit");
  await settled(app);
  expect(status).toBe(200);
  const [, note] = app.sent;
  expect(JSON.parse(Buffer.from(note?.body ?? []).toString())).toMatchObject({
    type: "delivery.succeeded",
    deliveryId: json.id,
    endpoint: "app",
  });
});

test("An endpoint of the API may have a certificate and somebody to tell, if they exist", async () => {
  await using app = await startTestApp({ endpoints: [{ name: "audit" }] });
  const create = (words: object) => {
    const body = JSON.stringify({ name: "bank", url: "https://bank.example/in", ...words });
    return app.api("/endpoints", { method: "POST", body });
  };
  expect((await create({ resultTo: "nobody" })).status).toBe(400);
  expect((await create({ resultTo: "bank" })).status).toBe(400);
  expect((await create({ tls: { ...CLIENT_CERTIFICATE, key: TEST_CERTIFICATE.key } })).status).toBe(400);
  const { status, json } = await create({ resultTo: "audit", tls: CLIENT_CERTIFICATE });
  expect([status, json]).toEqual([
    200,
    expect.objectContaining({
      hasClientCertificate: true,
      resultTo: "audit",
      proxy: null,
      allowPrivate: null,
    }),
  ]);
  expect(JSON.stringify(json)).not.toContain("PRIVATE KEY");
  expect(app.engine.directory.endpointNamed("default", "bank")?.tls).toEqual({
    ...CLIENT_CERTIFICATE,
    ca: null,
  });
});
