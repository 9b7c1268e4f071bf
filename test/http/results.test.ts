/** URLs that are told how deliveries ended, named through the API. */
import { describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const TOLD = "https://billing.example/results";
const SECRET = `whsec_${Buffer.alloc(24, 7).toString("base64")}`;
const OTHER = `whsec_${Buffer.alloc(24, 8).toString("base64")}`;

function sign(secret: string) {
  return [{ scheme: "standard" as const, secrets: [{ value: secret }] }];
}

function start(): Promise<TestApp> {
  return startTestApp({ endpoints: [{ name: "app", sign: sign(SECRET) }] });
}

async function settled(app: TestApp): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await new Promise(setImmediate);
  await app.flush();
}

async function call(app: TestApp, method: string, path: string, body?: object) {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const { status, json } = await app.api(path, init);
  const { id, resultTo, error } = json as { id?: string; resultTo?: string; error?: { code: string } };
  return { status, id, resultTo, code: error?.code };
}

const post = (app: TestApp, path: string, body: object) => call(app, "POST", path, body);

/** The notes that went out, each signed as the receivers' library would. */
function notes(app: TestApp, secret = SECRET, after = 0) {
  return app.sent
    .slice(after)
    .filter(({ url }) => url.startsWith(TOLD))
    .map(({ headers, body }) => {
      const text = Buffer.from(body ?? []).toString();
      const signedAt = new Date(Number(headers.get("webhook-timestamp")) * 1_000);
      const expected = new Webhook(secret).sign(headers.get("webhook-id") ?? "", signedAt, text);
      expect(headers.get("webhook-signature")).toBe(expected);
      return JSON.parse(text) as Record<string, unknown>;
    });
}

/** Names of the endpoints that URLs brought. */
const made = (app: TestApp) =>
  app.engine.directory.endpoints().flatMap(({ name, door }) => (door === "result" ? [name] : []));

describe("A delivery that names a URL", () => {
  test("has it told, signed with the keys of its endpoint", async () => {
    await using app = await start();
    const { id } = await post(app, "/deliveries", { endpoint: "app", json: { n: 1 }, resultTo: TOLD });
    await settled(app);
    expect(notes(app)).toMatchObject([
      { type: "delivery.succeeded", deliveryId: id, endpoint: "app", status: 200 },
    ]);
  });

  test("shares it with the others that name it, also when they come at once", async () => {
    await using app = await start();
    const one = () => post(app, "/deliveries", { endpoint: "app", json: {}, resultTo: TOLD });
    const answers = await Promise.all([one(), one(), one()]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    await settled(app);
    expect(made(app)).toHaveLength(1);
    expect(notes(app)).toHaveLength(3);
  });

  test.each([
    ["http://169.254.169.254/latest", 422, "target_blocked"],
    ["http://private.test/", 422, "target_blocked"],
    ["https://user:pass@billing.example/", 400, "invalid_request"],
    ["https://", 400, "invalid_request"],
    ["ftp://billing.example/", 400, "invalid_request"],
  ])("that may not be called, %s, is refused and stores nothing", async (resultTo, status, code) => {
    await using app = await start();
    const answer = await post(app, "/deliveries", { endpoint: "app", json: {}, resultTo });
    expect([answer.status, answer.code]).toEqual([status, code]);
    await settled(app);
    expect([app.sent.length, made(app).length]).toEqual([0, 0]);
  });

  test("is refused beyond the bound of URLs, and told of no others", async () => {
    await using app = await start();
    for (let n = 0; n < 1_000; n += 1) {
      await app.engine.results.ensure(
        { project: "default", name: "app", timeoutMs: 1_000, by: "delivery" },
        `${TOLD}/${n}`,
      );
    }
    const one = (n: number) =>
      post(app, "/deliveries", { endpoint: "app", json: {}, resultTo: `${TOLD}/${n}` });
    expect((await one(1_000)).code).toBe("conflict");
    expect((await one(7)).status).toBe(200);
  });
});

describe("An endpoint that names a URL", () => {
  const create = (app: TestApp, words: object = {}) =>
    post(app, "/endpoints", {
      name: "shop",
      url: "https://shop.example/in",
      sign: sign(SECRET),
      resultTo: TOLD,
      ...words,
    });

  test("has it told of all its deliveries, always with its present keys", async () => {
    await using app = await start();
    const { status, resultTo } = await create(app);
    expect([status, resultTo]).toEqual([200, TOLD]);
    await post(app, "/deliveries", { endpoint: "shop", json: {} });
    await settled(app);
    expect(notes(app)).toMatchObject([{ type: "delivery.succeeded", endpoint: "shop" }]);
    expect((await call(app, "PATCH", "/endpoints/shop", { sign: sign(OTHER) })).status).toBe(200);
    const before = app.sent.length;
    await post(app, "/deliveries", { endpoint: "shop", json: {} });
    await settled(app);
    expect(notes(app, OTHER, before)).toHaveLength(1);
  });

  test("keeps what is behind it in service; both go together, and later ends are still told", async () => {
    await using app = await start();
    await create(app);
    const [name = ""] = made(app);
    const refused = await call(app, "DELETE", `/endpoints/${name}`);
    expect([refused.status, refused.code]).toEqual([409, "conflict"]);
    await app.api("/endpoints/shop/pause", { method: "POST" });
    const { id } = await post(app, "/deliveries", { endpoint: "shop", json: {} });
    expect((await app.api("/endpoints/shop", { method: "DELETE" })).status).toBe(200);
    expect(made(app)).toEqual([]);
    await app.api(`/deliveries/${id}/cancel`, { method: "POST" });
    await settled(app);
    expect(notes(app)).toMatchObject([{ type: "delivery.cancelled", deliveryId: id }]);
  });

  test("whose name is taken is refused and leaves nothing behind", async () => {
    await using app = await start();
    expect((await create(app, { name: "app" })).code).toBe("conflict");
    expect((await create(app, { resultTo: "http://10.0.0.1/" })).code).toBe("target_blocked");
    expect(made(app)).toEqual([]);
    expect(app.engine.directory.endpointNamed("default", "shop")).toBeUndefined();
  });
});
