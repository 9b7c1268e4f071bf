/** What senders see of a source's rules: its own answers, refusals with their headers, challenges. */
import { describe, expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, sign as signBytes } from "node:crypto";
import type { VerifySpec } from "../../src/domain/signature/index.ts";
import type { SourceChange } from "../support/factory.ts";
import { requestTable } from "../support/request-table.ts";
import { startTestApp, type TestApp, type TestRequest } from "../support/test-app.ts";

const POST = { method: "POST" } as const;
const SECRETS = [{ value: "s3cret" }];
const hmac = (text: string) => createHmac("sha256", "s3cret").update(text);

const respond = (status: number, headers: Record<string, string> = {}, body: string | null = null) => ({
  respond: { status, headers, body },
});

const SOURCES: readonly SourceChange[] = [
  { name: "plain", ...respond(200, { "X-Served-By": "postern" }) },
  { name: "typed", ...respond(202, { "Content-Type": "application/vnd.example+json" }) },
  { name: "xml", ...respond(200, { "Content-Type": "text/xml" }, "<Response/>") },
  { name: "text", ...respond(201, {}, "ok") },
  { name: "blank", ...respond(200, {}, "") },
  { name: "nothing", ...respond(204, { "X-A": "1" }) },
  { name: "slow", rate: { perSecond: 0.25, burst: 1 } },
  { name: "closed", allowCidrs: ["203.0.113.0/24"] },
  { name: "tiny", bodyBytesMax: 4, allowCidrs: ["203.0.113.0/24"] },
];

async function pause(app: TestApp, name: string): Promise<void> {
  await app.api(`/sources/${name}/pause`, POST);
}

describe("the answer to an accepted request", () => {
  requestTable({ sources: SOURCES }, [
    {
      name: "has the source's headers beside the receipt",
      ...POST,
      path: "/in/plain",
      status: 200,
      json: { id: expect.stringMatching(/^evt_/), duplicate: false, durability: "fsync" },
      answerHeaders: { "x-served-by": "postern", "content-type": "application/json" },
    },
    {
      name: "may call the receipt something else",
      ...POST,
      path: "/in/typed",
      status: 202,
      answerHeaders: { "content-type": "application/vnd.example+json" },
    },
    {
      name: "may have no body at all",
      ...POST,
      path: "/in/nothing",
      status: 204,
      answerHeaders: { "x-a": "1" },
    },
  ]);

  test.each([
    ["xml", 200, "<Response/>", "text/xml"],
    ["text", 201, "ok", "text/plain; charset=utf-8"],
    ["blank", 200, "", "text/plain; charset=utf-8"],
  ])("is %s with the source's own body", async (name, status, body, type) => {
    await using app = await startTestApp({ sources: SOURCES });
    const response = await app.request(`/in/${name}`, { ...POST, body: "x" });
    expect([response.status, await response.text()]).toEqual([status, body]);
    expect(response.headers.get("content-type")?.toLowerCase()).toBe(type);
  });
});

describe("the answer to a refused request", () => {
  requestTable({ sources: SOURCES }, [
    {
      name: "says when a source that is too busy takes more",
      ...POST,
      path: "/in/slow",
      before: async (app) => void (await app.ingest("slow")),
      status: 429,
      code: "rate_limited",
      answerHeaders: { "retry-after": "4" },
    },
    {
      name: "is 403 for an address that the source does not name",
      ...POST,
      path: "/in/closed",
      status: 403,
      code: "ip_not_allowed",
    },
    {
      name: "is about the size before the address",
      ...POST,
      path: "/in/tiny",
      body: "12345",
      status: 413,
      code: "body_too_large",
    },
    {
      name: "is about the method before the size",
      method: "PUT",
      path: "/in/tiny",
      body: "12345",
      status: 405,
      code: "invalid_method",
      answerHeaders: { allow: "POST" },
    },
    {
      name: "is about the pause before the size",
      ...POST,
      path: "/in/tiny",
      before: (app) => pause(app, "tiny"),
      body: "12345",
      status: 503,
      code: "paused",
      answerHeaders: { "retry-after": "60" },
    },
  ]);

  test("uses the address that trusted proxies report", async () => {
    await using app = await startTestApp({ sources: SOURCES, trustedProxies: ["127.0.0.0/8"] });
    const send = async (client: string) => {
      const headers = { "x-forwarded-for": client };
      return (await app.request("/in/closed", { ...POST, headers })).status;
    };
    expect([await send("203.0.113.5"), await send("198.51.100.5")]).toEqual([202, 403]);
  });
});

const ED25519 = generateKeyPairSync("ed25519");
const PUBLIC_HEX = Buffer.from(ED25519.publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString(
  "hex",
);

interface Called {
  readonly source: SourceChange;
  readonly path?: string;
  readonly request: (nowSeconds: number) => TestRequest;
  readonly status?: number;
  readonly body: string;
}

const timed = (prefix: string, names: readonly [string, string], body: string) => (now: number) => ({
  ...POST,
  body,
  headers: { [names[0]]: String(now), [names[1]]: `v0=${hmac(`${prefix}:${now}:${body}`).digest("hex")}` },
});

const SLACK_BODY = '{"type":"url_verification","token":"t","challenge":"abc"}';
const ZOOM_BODY = '{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}';
const SLACK: VerifySpec = { scheme: "slack", secrets: SECRETS };
const slackRequest = timed("v0", ["x-slack-request-timestamp", "x-slack-signature"], SLACK_BODY);

const CHALLENGES: Readonly<Record<string, Called>> = {
  slack: {
    source: { verify: [SLACK] },
    request: slackRequest,
    body: '{"challenge":"abc"}',
  },
  zoom: {
    source: { verify: [{ scheme: "zoom", secrets: SECRETS }] },
    request: timed("v0", ["x-zm-request-timestamp", "x-zm-signature"], ZOOM_BODY),
    body: JSON.stringify({
      plainToken: "qgg8vlvZRS6UYooatFL8Aw",
      encryptedToken: hmac("qgg8vlvZRS6UYooatFL8Aw").digest("hex"),
    }),
  },
  discord: {
    source: { verify: [{ scheme: "discord", secrets: [{ value: PUBLIC_HEX }] }] },
    request: (now) => ({
      ...POST,
      body: '{"type":1}',
      headers: {
        "x-signature-timestamp": String(now),
        "x-signature-ed25519": signBytes(null, Buffer.from(`${now}{"type":1}`), ED25519.privateKey).toString(
          "hex",
        ),
      },
    }),
    body: '{"type":1}',
  },
  meta: {
    source: {
      verify: [{ scheme: "github", secrets: SECRETS }],
      challenge: { kind: "meta", secrets: [{ value: "verify-me" }] },
    },
    path: "?hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1158201444",
    request: () => ({}),
    body: "1158201444",
  },
  x: {
    source: {
      verify: [{ scheme: "none" }],
      challenge: { kind: "x", secrets: SECRETS },
    },
    path: "?crc_token=challenge_string&nonce=1",
    request: () => ({}),
    body: JSON.stringify({ response_token: `sha256=${hmac("challenge_string").digest("base64")}` }),
  },
};

describe("a challenge", () => {
  const start = (source: SourceChange) =>
    startTestApp({ sources: [{ name: "orders", to: ["app"], ...source }] });
  const call = (app: TestApp, { path = "", request }: Called) =>
    app.request(`/in/orders${path}`, request(app.clock.now() / 1_000));

  test.each(Object.entries(CHALLENGES))("of %s is answered and reaches nobody", async (_, called) => {
    await using app = await start(called.source);
    const response = await call(app, called);
    expect([response.status, await response.text()]).toEqual([200, called.body]);
    await app.flush();
    expect((await app.api("/events")).json.data).toEqual([]);
    expect((await app.api("/rejections")).json.data).toEqual([]);
    expect(app.sent).toEqual([]);
  });

  test("that is signed is answered only when the signature holds", async () => {
    await using app = await start({ verify: [{ scheme: "slack", secrets: [{ value: "another" }] }] });
    expect((await call(app, { ...(CHALLENGES.slack as Called) })).status).toBe(401);
  });

  test("of another kind of source is an event like any other", async () => {
    await using app = await start({ verify: [{ scheme: "none" }] });
    expect((await call(app, { ...(CHALLENGES.slack as Called) })).status).toBe(202);
  });

  test("with a wrong token is refused, and the token is not kept", async () => {
    await using app = await start(CHALLENGES.meta?.source ?? {});
    const query = "?hub.mode=subscribe&hub.verify_token=hunter2&hub.challenge=1";
    expect((await app.request(`/in/orders${query}`)).status).toBe(401);
    await app.flush();
    const { json } = await app.api("/rejections");
    expect(json.data).toMatchObject([{ reason: "token_mismatch" }]);
    expect(JSON.stringify(json)).not.toContain("hunter2");
  });

  test("opens its method for nothing else", async () => {
    await using app = await start(CHALLENGES.x?.source ?? {});
    const response = await app.request("/in/orders?no=token");
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
  });

  test("passes by neither the networks, nor the rate, nor a pause", async () => {
    const called = CHALLENGES.x as Called;
    await using far = await start({ ...called.source, allowCidrs: ["203.0.113.0/24"] });
    expect((await call(far, called)).status).toBe(403);
    await using busy = await start({ ...called.source, rate: { perSecond: 1, burst: 1 } });
    expect([(await call(busy, called)).status, (await call(busy, called)).status]).toEqual([200, 429]);
    await using paused = await start(called.source);
    await pause(paused, "orders");
    expect((await call(paused, called)).status).toBe(503);
  });
});
