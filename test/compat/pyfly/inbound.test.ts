/**
 * The checks of the PyFly reference that concern what comes in (section 12, 32 to 42), at its door
 * POST /api/v1/webhook/<source>. PyFly's processors are the endpoints of a source: each gets a delivery.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createPyflyDoor } from "../../../src/dialects/pyfly/routes.ts";
import { parseEventBody } from "../../../src/dialects/pyfly/wire.ts";
import { readId } from "../../../src/domain/id.ts";
import type { VerifySpec } from "../../../src/domain/signature/index.ts";
import { BodyReader } from "../../../src/http/body.ts";
import { createHttpServer } from "../../../src/http/server.ts";
import { SILENT_LOG } from "../../../src/runtime/log.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../../support/engine.ts";
import type { SourceChange } from "../../support/factory.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { withFolder } from "../../support/store.ts";

interface Sending {
  readonly source?: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly role?: "main" | "ingest" | "metrics";
}

interface Answer {
  readonly status: number;
  readonly id: string;
  readonly source: string;
  readonly event_type: string;
  readonly duplicate: boolean;
  readonly error?: { readonly code: string; readonly message: string };
}

interface Postern {
  readonly engine: TestEngine;
  send(sending?: Sending): Promise<Answer>;
}

const DAY_MS = 86_400_000;
const BODY_BYTES_MAX = 1_024;

/** PyFly's defaults, as the configuration of a source writes them. */
const PYFLY_SOURCE: SourceChange = {
  name: "orders",
  eventType: { kind: "json", path: ["type"] },
  dedupe: { selectors: [[{ kind: "header", name: "X-Idempotency-Key" }]], windowMs: DAY_MS },
};

async function withPostern(setup: EngineSetup, run: (postern: Postern) => Promise<void>): Promise<void> {
  await using engine = await startEngine({ sources: [PYFLY_SOURCE], ...setup });
  const { clock } = engine;
  const bodies = new BodyReader({ clock, timeoutMs: 10_000 });
  const server = createHttpServer({
    listeners: [],
    doors: [createPyflyDoor({ ingest: engine.engine.ingest, bodies, bodyBytesMax: BODY_BYTES_MAX })],
    trustedProxies: [],
    readTimeoutMs: 10_000,
    clock,
    log: SILENT_LOG,
    nextId: engine.engine.nextId,
  });
  await run({
    engine,
    async send({
      source = "orders",
      body = '{"type":"invoice.paid"}',
      headers = {},
      method = "POST",
      role,
    } = {}) {
      const url = `http://localhost/api/v1/webhook/${source}`;
      const request = new Request(url, method === "GET" ? { method } : { method, headers, body });
      const response = await server.handle(request, role);
      await engine.settle();
      return { status: response.status, ...((await response.json()) as Omit<Answer, "status">) };
    },
  });
}

function verifiedBy(verify: VerifySpec, change: SourceChange = {}): EngineSetup {
  return { sources: [{ ...PYFLY_SOURCE, verify: [verify], ...change }] };
}

/** A clock that shows the instant of a Unix time. */
const clockAt = (unixSeconds: number) => new FakeClock(unixSeconds * 1_000);

const hmacHex = (secret: string, text: string) =>
  new Bun.CryptoHasher("sha256", secret).update(text).digest("hex");

/** The vectors of section 9.3. */
const VECTOR_BODY = '{"type":"invoice.paid"}';
const STRIPE_AT = 1_777_604_400;
const STRIPE_V1 = "f914d7be46044a2c02b73f7b14a0bfcf9be837106696ba2cbb86f9ccba4ac911";
const STRIPE = verifiedBy({ scheme: "stripe", secrets: [{ value: "whsec_x" }] });
const GITHUB_SIGNATURE = "sha256=b522e34940ee575fb3be09929429d102874d15d9955f377f8821a7bb3a55a1d8";

describe("validators", () => {
  const HMAC = verifiedBy({ scheme: "pyfly", secrets: [{ value: "topsecret" }] });
  const hex = hmacHex("topsecret", VECTOR_BODY);

  test.each<[string, Record<string, string>, number]>([
    ["prefixed hex", { "X-Signature": `sha256=${hex}` }, 202],
    ["bare hex", { "X-Signature": hex }, 202],
    ["a header in another case", { "x-sIGNATURE": hex }, 202],
    ["uppercase hex", { "X-Signature": `sha256=${hex.toUpperCase()}` }, 401],
    ["an uppercase prefix", { "X-Signature": `SHA256=${hex}` }, 401],
    ["the wrong secret", { "X-Signature": `sha256=${hmacHex("other", VECTOR_BODY)}` }, 401],
    ["an empty header", { "X-Signature": "" }, 401],
    ["a header of other letters", { "X-Signature": "sha256=\u00e9" }, 401],
    ["no header", {}, 401],
  ])("check 32: HMAC with %s", async (_what, headers, status) => {
    await withPostern(HMAC, async ({ send, engine }) => {
      const answer = await send({ body: VECTOR_BODY, headers });
      expect(answer.status).toBe(status);
      expect(engine.receiver.sent).toHaveLength(status === 202 ? 1 : 0);
      if (status === 401) expect(answer.error?.message).toBe("invalid signature for source 'orders'");
    });
  });

  test("check 33: the GitHub vector is accepted", async () => {
    const setup = verifiedBy({ scheme: "github", secrets: [{ value: "ghsecret" }] });
    await withPostern(setup, async ({ send }) => {
      const headers = { "X-Hub-Signature-256": GITHUB_SIGNATURE };
      expect((await send({ body: VECTOR_BODY, headers })).status).toBe(202);
      expect((await send({ body: `${VECTOR_BODY} `, headers })).status).toBe(401);
    });
  });

  test.each<[string, number, string, number]>([
    ["at its time", 0, `t=${STRIPE_AT},v1=${STRIPE_V1}`, 202],
    ["300 s old", 300, `t=${STRIPE_AT},v1=${STRIPE_V1}`, 202],
    ["301 s old", 301, `t=${STRIPE_AT},v1=${STRIPE_V1}`, 401],
    ["301 s ahead", -301, `t=${STRIPE_AT},v1=${STRIPE_V1}`, 401],
    ["with a space after the comma", 0, `t=${STRIPE_AT}, v1=${STRIPE_V1}`, 401],
    ["as the second of two v1", 0, `t=${STRIPE_AT},v1=${"0".repeat(64)},v1=${STRIPE_V1}`, 202],
    ["beside another scheme", 0, `t=${STRIPE_AT},v0=${"0".repeat(64)},v1=${STRIPE_V1}`, 202],
    ["under another scheme only", 0, `t=${STRIPE_AT},v0=${STRIPE_V1}`, 401],
    ["without its time", 0, `v1=${STRIPE_V1}`, 401],
  ])("check 33: the Stripe vector %s", async (_what, lateSeconds, signature, status) => {
    await withPostern({ ...STRIPE, clock: clockAt(STRIPE_AT + lateSeconds) }, async ({ send }) => {
      const headers = { "Stripe-Signature": signature };
      expect((await send({ body: VECTOR_BODY, headers })).status).toBe(status);
    });
  });

  const TWILIO = verifiedBy({
    scheme: "twilio",
    secrets: [{ value: "twtoken" }],
    publicUrl: "https://hooks.example.com/twilio",
  });

  test.each<[string, string, number]>([
    ["with the configured public URL", "To=%2B15550002&Body=Hi&From=%2B15550001", 202],
    ["with a changed form value", "To=%2B15550002&Body=Ho&From=%2B15550001", 401],
  ])("check 34: the Twilio vector %s", async (_what, body, status) => {
    await withPostern(TWILIO, async ({ send }) => {
      const headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": "+s7Schvh/QBZF+1n1abcoyhOrGg=",
      };
      expect((await send({ body, headers })).status).toBe(status);
    });
  });
});

describe("idempotency", () => {
  test("check 35: the same key, in any spelling of the header, is processed once", async () => {
    await withPostern({}, async ({ send, engine }) => {
      const first = await send({ headers: { "X-Idempotency-Key": "k1" } });
      const second = await send({ headers: { "X-Idempotency-Key": "k1" } });
      const third = await send({ headers: { "x-idempotency-KEY": "k1" } });
      expect(first).toMatchObject({
        status: 202,
        duplicate: false,
        source: "orders",
        event_type: "invoice.paid",
      });
      expect(second).toEqual({ ...first, status: 200, duplicate: true });
      expect(third).toEqual(second);
      expect(engine.receiver.sent).toHaveLength(1);
    });
  });

  test("check 35: requests without a key, or with an empty one, are never duplicates", async () => {
    await withPostern({}, async ({ send, engine }) => {
      const answers = [await send(), await send(), await send({ headers: { "X-Idempotency-Key": "" } })];
      expect(answers.map(({ status, duplicate }) => [status, duplicate])).toEqual(
        Array(3).fill([202, false]),
      );
      expect(engine.receiver.sent).toHaveLength(3);
    });
  });

  test("check 36: an invalid signature does not use up its key", async () => {
    const setup = verifiedBy({ scheme: "pyfly", secrets: [{ value: "topsecret" }] });
    await withPostern(setup, async ({ send, engine }) => {
      const headers = { "X-Idempotency-Key": "k" };
      expect((await send({ headers: { ...headers, "X-Signature": "sha256=00" } })).status).toBe(401);
      const valid = { ...headers, "X-Signature": hmacHex("topsecret", VECTOR_BODY) };
      expect(await send({ headers: valid })).toMatchObject({ status: 202, duplicate: false });
      expect(engine.receiver.sent).toHaveLength(1);
    });
  });

  test("check 37: the same key at two sources is two events", async () => {
    const sources = [PYFLY_SOURCE, { ...PYFLY_SOURCE, name: "payments" }];
    await withPostern({ sources }, async ({ send, engine }) => {
      const headers = { "X-Idempotency-Key": "k" };
      const first = await send({ headers });
      const second = await send({ source: "payments", headers });
      expect([first.status, second.status]).toEqual([202, 202]);
      expect(second.id).not.toBe(first.id);
      expect(engine.receiver.sent).toHaveLength(2);
    });
  });

  test("check 38: a key older than its time to live is processed again", async () => {
    await withPostern({}, async ({ send, engine }) => {
      const headers = { "X-Idempotency-Key": "k" };
      const first = await send({ headers });
      engine.clock.step(DAY_MS - 1);
      expect(await send({ headers })).toMatchObject({ status: 200, id: first.id });
      engine.clock.step(1);
      const later = await send({ headers });
      expect(later).toMatchObject({ status: 202, duplicate: false });
      expect(later.id).not.toBe(first.id);
    });
  });

  test("check 38: a key survives a restart", async () => {
    await withFolder(async (folder) => {
      const setup = { path: join(folder, "postern.db"), clock: new FakeClock() };
      const headers = { "X-Idempotency-Key": "k" };
      let first = "";
      await withPostern(setup, async ({ send }) => {
        first = (await send({ headers })).id;
      });
      await withPostern(setup, async ({ send }) => {
        expect(await send({ headers })).toMatchObject({ status: 200, duplicate: true, id: first });
      });
    });
  });
});

async function storedEvent(engine: TestEngine, shownId: string) {
  const event = await engine.store.getEvent({ project: "default", id: readId("event", shownId) ?? "" });
  if (!event?.payload) throw new Error("the event is not there");
  return { ...event, payload: event.payload };
}

describe("events", () => {
  test.each<[string, string, object]>([
    ["a=1&b=2", "unknown", { _raw: "a=1&b=2" }],
    ["", "unknown", {}],
    ['{"type":"x.y"}', "x.y", { type: "x.y" }],
    ['{"type":5}', "5", { type: 5 }],
    ['{"type":null}', "unknown", { type: null }],
    ["[1]", "unknown", { _raw: "[1]" }],
    ["7", "unknown", { _raw: "7" }],
    ["null", "unknown", { _raw: "null" }],
  ])("check 39: the body %p is an event of type %s", async (body, type, parsed) => {
    await withPostern({}, async ({ send, engine }) => {
      const answer = await send({ body });
      expect(answer).toMatchObject({ status: 202, event_type: type });
      const { payload } = await storedEvent(engine, answer.id);
      expect(parseEventBody(payload.body)).toEqual({ ...parsed });
    });
  });

  test("check 39: bytes that are no UTF-8 are text with replacements", async () => {
    await withPostern({}, async ({ send, engine }) => {
      const answer = await send({ body: new Uint8Array([97, 255, 98]) });
      const { payload } = await storedEvent(engine, answer.id);
      expect(answer.status).toBe(202);
      expect(parseEventBody(payload.body)).toEqual({ _raw: "a\ufffdb" });
    });
  });

  test("check 40: a failing processor is isolated, a dead letter, and alone is replayed", async () => {
    const once = { kind: "ladder", delaysMs: [], jitter: 0 } as const;
    const endpoints = [
      { name: "first", retry: once },
      { name: "second", retry: once },
    ];
    await withPostern({ endpoints }, async ({ send, engine }) => {
      const urls = [receiverUrl("first"), receiverUrl("second")] as const;
      engine.receiver.next(urls[0], 500);
      const answer = await send({ body: VECTOR_BODY });
      expect(answer.status).toBe(202);
      expect(await engine.states()).toEqual(["dead", "succeeded"]);
      const [dead] = await engine.deliveries({ state: "dead" });
      expect(dead).toMatchObject({ lane: engine.endpoint("first").lane, attemptCount: 1, lastStatus: 500 });
      expect(dead?.eventId).toBe(readId("event", answer.id));
      await engine.engine.commands.replay("default", dead?.id ?? "");
      await engine.settle();
      expect(await engine.states()).toEqual(["succeeded", "succeeded"]);
      expect(urls.map((url) => engine.receiver.to(url).length)).toEqual([2, 1]);
      expect(engine.receiver.to(urls[0]).map(({ text }) => text)).toEqual([VECTOR_BODY, VECTOR_BODY]);
    });
  });

  test("check 42: the record keeps the raw bytes and the time in UTC", async () => {
    await withPostern({}, async ({ send, engine }) => {
      const body = '{ "type": "x.y",  "n": 12345678901234567890 }\n';
      const answer = await send({ body, headers: { "X-Odd": "1" } });
      const event = await storedEvent(engine, answer.id);
      expect(Buffer.from(event.payload.body).toString()).toBe(body);
      expect(event.payload.headers).toMatchObject({ "x-odd": "1" });
      expect(new Date(event.receivedAt).toISOString()).toBe("2026-01-01T00:00:00.000Z");
    });
  });
});

describe("sources", () => {
  test("check 41: an unknown source is not there, and nothing is kept", async () => {
    await withPostern({}, async ({ send, engine }) => {
      const answer = await send({ source: "nobody" });
      expect(answer).toMatchObject({ status: 404, error: { code: "not_found" } });
      expect((await send({ source: "orders/more" })).status).toBe(404);
      expect((await engine.store.listRejections({ project: "default" })).data).toEqual([]);
    });
  });

  test("a source that was taken out of the configuration is not there either", async () => {
    await withPostern({}, async ({ send, engine }) => {
      await engine.declare({ sources: [] });
      expect((await send()).status).toBe(404);
    });
  });

  test("a body over the limit is 413", async () => {
    await withPostern({}, async ({ send }) => {
      const answer = await send({ body: "x".repeat(BODY_BYTES_MAX + 1) });
      expect(answer).toMatchObject({ status: 413, error: { code: "body_too_large" } });
    });
  });

  test("a method that the source does not take is 405", async () => {
    await withPostern({}, async ({ send }) => {
      expect(await send({ method: "GET" })).toMatchObject({ status: 405 });
    });
  });

  test("the door is open on listeners for senders, not on those for metrics", async () => {
    await withPostern({}, async ({ send }) => {
      expect((await send({ role: "ingest" })).status).toBe(202);
      expect((await send({ role: "metrics" })).status).toBe(404);
    });
  });

  test("a source answers in PyFly's way here, whatever status it has of its own", async () => {
    await withPostern({ sources: [{ ...PYFLY_SOURCE, respondStatus: 204 }] }, async ({ send }) => {
      expect((await send()).status).toBe(202);
    });
  });
});
