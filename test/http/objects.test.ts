import { describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { KEYS, startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const OPTIONS: TestAppOptions = { endpoints: [{ name: "app" }], subscriptions: [{ name: "declared" }] };
const URL_TEXT = "https://receiver.test/hook";

interface Answer {
  readonly id: string;
  readonly key: string;
  readonly data: readonly {
    readonly publicKey: string | null;
    readonly id: string;
    readonly value: string | null;
    readonly until: string | null;
  }[];
  readonly secrets: Answer["data"];
  readonly error?: { readonly code: string };
}

async function call(app: TestApp, line: string, body?: object, key: string = KEYS.admin) {
  const [method = "", path = ""] = line.split(" ");
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  const { status, json } = await app.api(path, { method, key, ...text });
  const answer = json as unknown as Answer;
  return { status, code: answer.error?.code, json: answer };
}

/** Makes an endpoint and returns the secret that was made for it. */
async function make(app: TestApp, name = "shop", body: object = {}): Promise<string> {
  const { status, json } = await call(app, "POST /endpoints", { name, url: URL_TEXT, ...body });
  expect(status).toBe(200);
  return json.secrets[0]?.value ?? "";
}

async function sendOne(app: TestApp, endpoint = "shop") {
  await call(app, "POST /deliveries", { endpoint, json: { n: 1 } });
  await app.settle();
  const sent = app.sent.at(-1);
  if (!sent) throw new Error("nothing was sent");
  return { ...sent, text: Buffer.from(sent.body ?? []).toString() };
}

describe("An endpoint", () => {
  test("is made with the defaults of the file, signs with a secret that is shown once", async () => {
    await using app = await startTestApp(OPTIONS);
    const secret = await make(app);
    const shown = await call(app, "GET /endpoints/shop");
    expect(shown.json).toMatchObject({
      ...{ name: "shop", door: "native", url: URL_TEXT, state: "active", sign: ["standard"] },
      ...{ concurrency: 16, rate: null, timeoutMs: 30_000, retry: { kind: "ladder" } },
    });
    expect(JSON.stringify(shown.json)).not.toContain(secret);
    const { headers, text, url } = await sendOne(app);
    expect(url).toBe(URL_TEXT);
    const signed = Object.fromEntries(headers.entries());
    // The clock of the application stands still, that of the library does not.
    expect(() => new Webhook(secret).verify(text, signed)).toThrow("timestamp");
    const at = new Date(Number(signed["webhook-timestamp"]) * 1_000);
    const id = signed["webhook-id"] ?? "";
    expect(new Webhook(secret).sign(id, at, text)).toBe(signed["webhook-signature"] ?? "");
  });

  test("takes everything that the file can say of one", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await call(app, "POST /endpoints", {
      ...{ name: "shop", url: URL_TEXT, headers: { "X-Tenant": "a" }, concurrency: 2, timeoutMs: 5_000 },
      sign: [{ scheme: "github", secrets: [{ value: "s", until: "2030-01-01T00:00:00Z" }] }],
      retry: { kind: "exponential", delayMs: 1_000, attemptsMax: 3 },
      rate: { perSecond: 2.5 },
      breaker: { failures: 3, rate: { ratio: 0.5, windowMs: 60_000, samplesMin: 20 } },
      ack: { deadlineMs: 1_000, deadlineMaxMs: 2_000 },
      pacing: { ordering: "key", poison: { kind: "skip", after: 2 }, slowStart: false },
    });
    expect(json).toMatchObject({
      headerNames: ["X-Tenant"],
      retry: { kind: "exponential", factor: 2, delayMaxMs: 3_600_000, attemptsMax: 3, jitter: 0.2 },
      rate: { perSecond: 2.5, burst: 3 },
      breaker: { failuresMax: 3, recoveryMs: 30_000, rate: { ratio: 0.5 } },
      pacing: {
        ...{ ordering: "key", poison: { kind: "skip", after: 2 }, keyRate: null, slowStart: false },
        ...{ drainPerSecond: null, disableAfterMs: "default" },
      },
      ack: { deadlineMs: 1_000 },
      secrets: [{ scheme: "github", value: "s", until: "2030-01-01T00:00:00.000Z" }],
    });
    const endpoint = app.engine.directory.endpointNamed("default", "shop");
    expect(endpoint?.pacing).toEqual({
      ordering: "key",
      poison: { kind: "skip", after: 2 },
      slowStart: false,
    });
  });

  test("is changed in what is given, and sends under the new definition", async () => {
    await using app = await startTestApp(OPTIONS);
    await make(app, "shop", { breaker: { recoveryMs: 1_000 } });
    await call(app, "POST /endpoints/shop/pause");
    await call(app, "POST /deliveries", { endpoint: "shop", body: "x" });
    const changed = await call(app, "PATCH /endpoints/shop", {
      ...{ url: "https://other.test/", sign: [], breaker: { failures: 2 } },
    });
    expect(changed.json).toMatchObject({
      ...{ url: "https://other.test/", sign: [], state: "paused" },
      breaker: { failuresMax: 2, recoveryMs: 1_000 },
    });
    await call(app, "POST /endpoints/shop/resume");
    await app.settle();
    expect(app.sent.map(({ url }) => url)).toEqual(["https://other.test/"]);
    expect(app.sent[0]?.headers.has("webhook-signature")).toBe(false);
  });

  test("is deleted when nothing leads to it, and its name is free again", async () => {
    await using app = await startTestApp(OPTIONS);
    await make(app);
    await call(app, "POST /subscriptions", { name: "s", eventTypes: ["*"], endpoint: "shop" });
    expect((await call(app, "DELETE /endpoints/shop")).code).toBe("conflict");
    await call(app, "DELETE /subscriptions/s");
    expect((await call(app, "DELETE /endpoints/shop")).json).toMatchObject({ state: "retired" });
    expect((await call(app, "GET /endpoints/shop")).status).toBe(404);
    await make(app);
  });

  test.each([
    ["PATCH /endpoints/app", { concurrency: 1 }],
    ["DELETE /endpoints/app", undefined],
    ["POST /endpoints/app/secrets", {}],
    ["POST /endpoints/app/secrets/rotate", { scheme: "standard" }],
    ["PATCH /subscriptions/declared", { tenant: "x" }],
    ["DELETE /subscriptions/declared", undefined],
    ["DELETE /projects/default", undefined],
  ])("%s is refused where the file declares it", async (line, body) => {
    await using app = await startTestApp(OPTIONS);
    const { status, code } = await call(app, line, body);
    expect({ status, code }).toEqual({ status: 409, code: "declared_in_config" });
  });

  test.each([
    ["a name in use", { name: "app" }, "conflict"],
    ["a name that no URL can carry", { name: "a/b" }, "invalid_request"],
    ["a private target", { url: "http://169.254.169.254/" }, "target_blocked"],
    ["a name that leads to a private address", { url: "http://private.test/" }, "target_blocked"],
    ["credentials in its URL", { url: "http://a:b@receiver.test/" }, "invalid_request"],
    ["a member that nobody knows", { uri: "x" }, "invalid_request"],
    ["a scheme that nobody knows", { sign: [{ scheme: "md5" }] }, "invalid_request"],
    [
      "a secret that cannot sign",
      { sign: [{ scheme: "standard", secrets: [{ value: "whsec_?" }] }] },
      "invalid_request",
    ],
    [
      "an end that is no instant",
      { sign: [{ scheme: "github", secrets: [{ value: "s", until: "soon" }] }] },
      "invalid_request",
    ],
    ["a header that Postern sets", { headers: { "Webhook-Id": "x" } }, "invalid_request"],
    ["a proxy, which is the operator's word", { proxy: "http://127.0.0.1:1" }, "invalid_request"],
    ["leave to reach private networks", { allowPrivate: ["10.0.0.0/8"] }, "invalid_request"],
  ])("is refused with %s", async (_name, change, code) => {
    await using app = await startTestApp(OPTIONS);
    expect((await call(app, "POST /endpoints", { name: "shop", url: URL_TEXT, ...change })).code).toBe(code);
    expect((await call(app, "GET /endpoints")).json.data).toHaveLength(1);
  });
});

describe("The secrets of an endpoint", () => {
  test("are shown when asked for, to an admin", async () => {
    await using app = await startTestApp(OPTIONS);
    const secret = await make(app);
    expect((await call(app, "GET /endpoints/shop/secrets")).json.data).toMatchObject([{ value: null }]);
    const revealed = await call(app, "GET /endpoints/shop/secrets?reveal=true");
    expect(revealed.json.data).toMatchObject([{ scheme: "standard", value: secret, publicKey: null }]);
    expect((await call(app, "GET /endpoints/shop/secrets", undefined, KEYS.read)).status).toBe(403);
  });

  test("rotate with an overlap in which both sign", async () => {
    await using app = await startTestApp(OPTIONS);
    const old = await make(app);
    const { json } = await call(app, "POST /endpoints/shop/secrets/rotate", { overlap: "1h" });
    expect(json.data).toMatchObject([{ value: null, until: "2026-01-01T01:00:00.000Z" }, { until: null }]);
    expect(json.data[1]?.value).toStartWith("whsec_");
    const { headers, text } = await sendOne(app);
    const [id, at] = [headers.get("webhook-id") ?? "", Number(headers.get("webhook-timestamp"))];
    const expected = [old, json.data[1]?.value ?? ""].map((value) =>
      new Webhook(value).sign(id, new Date(at * 1_000), text),
    );
    expect(headers.get("webhook-signature")).toBe(expected.join(" "));
    await app.advance(3_600_001);
    const later = await sendOne(app);
    expect(later.headers.get("webhook-signature")?.split(" ")).toHaveLength(1);
  });

  test("of Ed25519 come with the public key", async () => {
    await using app = await startTestApp(OPTIONS);
    await make(app);
    const { json } = await call(app, "POST /endpoints/shop/secrets", { scheme: "standard-ed25519" });
    expect(json.data).toMatchObject([
      { scheme: "standard", value: null, publicKey: null },
      { scheme: "standard-ed25519", publicKey: json.data[1]?.publicKey },
    ]);
    expect(json.data[1]?.value).toStartWith("whsk_");
    expect(json.data[1]?.publicKey).toStartWith("whpk_");
  });

  test("are removed one by one", async () => {
    await using app = await startTestApp(OPTIONS);
    await make(app);
    const { json } = await call(app, "GET /endpoints/shop/secrets");
    const { id } = json.data[0] ?? { id: "" };
    expect((await call(app, "POST /endpoints/shop/secrets/remove", { id: "sec_0" })).status).toBe(404);
    expect((await call(app, "POST /endpoints/shop/secrets/remove", { id })).json.data).toEqual([]);
    expect((await sendOne(app)).headers.has("webhook-signature")).toBe(false);
  });
});

describe("A subscription", () => {
  test("is made, moved and deleted, each for the events after it", async () => {
    await using app = await startTestApp(OPTIONS);
    await make(app);
    const made = { name: "s", eventTypes: ["order.*"], tenant: "acme", endpoint: "shop" };
    expect((await call(app, "POST /subscriptions", made)).json).toMatchObject({ ...made, door: "native" });
    const publish = async (tenant: string) => {
      await call(app, "POST /events", { type: "order.x", tenant, data: 1 });
      await app.settle();
      return app.sent.length;
    };
    expect(await publish("acme")).toBe(1);
    await call(app, "PATCH /subscriptions/s", { tenant: "globex" });
    expect([await publish("acme"), await publish("globex")]).toEqual([1, 2]);
    await call(app, "DELETE /subscriptions/s");
    expect(await publish("globex")).toBe(2);
  });

  test.each([
    ["without an endpoint that exists", { endpoint: "no" }, "invalid_request"],
    ["with a pattern that cannot be read", { eventTypes: ["a.*.b"] }, "invalid_request"],
    ["without a pattern", { eventTypes: [] }, "invalid_request"],
    ["under a name in use", { name: "declared" }, "conflict"],
  ])("is refused %s", async (_name, change, code) => {
    await using app = await startTestApp(OPTIONS);
    const body = { name: "s", eventTypes: ["*"], endpoint: "app", ...change };
    expect((await call(app, "POST /subscriptions", body)).code).toBe(code);
  });

  test("does not lead to an endpoint of another project", async () => {
    await using app = await startTestApp(OPTIONS);
    const body = { name: "s", eventTypes: ["*"], endpoint: "app" };
    expect((await call(app, "POST /subscriptions", body, KEYS.other)).code).toBe("invalid_request");
  });
});

describe("Keys and projects", () => {
  test("a key does what its scope lets it, and nothing once it is revoked", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await call(app, "POST /keys", { label: "shop server" });
    expect(json).toMatchObject({
      scope: "ingest",
      label: "shop server",
      project: "default",
      revokedAt: null,
    });
    const event = { type: "a", data: 1 };
    expect((await call(app, "POST /events", event, json.key)).status).toBe(200);
    for (const line of ["GET /events", "GET /keys", "GET /endpoints", "DELETE /endpoints/app"]) {
      expect((await call(app, line, undefined, json.key)).status).toBe(403);
    }
    expect(JSON.stringify((await call(app, "GET /keys")).json)).not.toContain(json.key);
    expect((await call(app, `DELETE /keys/${json.id}`)).status).toBe(200);
    expect((await call(app, "POST /events", event, json.key)).status).toBe(401);
    expect((await call(app, `DELETE /keys/${json.id}`)).status).toBe(404);
  });

  test("the operator makes a project with a key that sees nothing else", async () => {
    await using app = await startTestApp(OPTIONS);
    expect((await call(app, "POST /projects", { name: "tenant-a" })).status).toBe(200);
    const { json } = await call(app, "POST /keys", { project: "tenant-a", scope: "admin" });
    const own = (line: string, body?: object) => call(app, line, body, json.key);
    expect((await own("GET /projects")).json.data).toMatchObject([{ name: "tenant-a" }]);
    expect((await own("GET /endpoints")).json.data).toEqual([]);
    expect((await own("POST /endpoints", { name: "app", url: URL_TEXT })).status).toBe(200);
    for (const [line, body] of [
      ["POST /projects", { name: "more" }],
      ["DELETE /projects/tenant-a", undefined],
      ["POST /keys", { project: "default" }],
      ["GET /keys?project=default", undefined],
    ] as const) {
      expect((await own(line, body)).status).toBe(403);
    }
    const keys = (await call(app, "GET /keys")).json.data;
    expect((await own(`DELETE /keys/${keys[0]?.id}`)).status).toBe(404);
  });

  test("a project that is deleted takes its keys along", async () => {
    await using app = await startTestApp(OPTIONS);
    await call(app, "POST /projects", { name: "tenant-a" });
    const { json } = await call(app, "POST /keys", { project: "tenant-a", scope: "admin" });
    expect((await call(app, "DELETE /projects/tenant-a")).status).toBe(200);
    expect((await call(app, "GET /endpoints", undefined, json.key)).status).toBe(401);
    await call(app, "POST /projects", { name: "tenant-a" });
    expect((await call(app, "GET /endpoints", undefined, json.key)).status).toBe(401);
  });

  test("declared keys are the file's to revoke", async () => {
    await using app = await startTestApp(OPTIONS);
    const { json } = await call(app, "GET /keys");
    expect((await call(app, `DELETE /keys/${json.data[0]?.id}`)).code).toBe("declared_in_config");
  });
});
