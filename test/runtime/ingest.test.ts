import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import type { VerifySpec } from "../../src/domain/signature/index.ts";
import type { DedupeRule } from "../../src/domain/source.ts";
import { type Inbound, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";

const APP = receiverUrl("app");
const HOUR = 3_600_000;

describe("Deduplication", () => {
  const BY_HEADER: DedupeRule = {
    selectors: [[{ kind: "header", name: "idempotency-key" }]],
    windowMs: HOUR,
  };
  const BY_JSON: DedupeRule = { selectors: [[{ kind: "json", path: ["id"] }]], windowMs: HOUR };
  const BY_EITHER: DedupeRule = { selectors: [...BY_HEADER.selectors, ...BY_JSON.selectors], windowMs: HOUR };
  const JOINED: DedupeRule = {
    selectors: [
      [
        { kind: "json", path: ["kind"] },
        { kind: "json", path: ["data", "id"] },
      ],
    ],
    windowMs: HOUR,
  };
  const key = (value: string) => ({ headers: { "idempotency-key": value } });

  const CASES: readonly [string, DedupeRule, readonly [Inbound, Inbound], boolean][] = [
    ["the same header", BY_HEADER, [key("a"), { ...key("a"), body: "other" }], true],
    ["another header", BY_HEADER, [key("a"), key("b")], false],
    ["no header", BY_HEADER, [{}, {}], false],
    ["an empty header", BY_HEADER, [key(""), key("")], false],
    ["the same JSON value", BY_JSON, [{ body: '{"id":"x","n":1}' }, { body: '{"n":2,"id":"x"}' }], true],
    ["another JSON value", BY_JSON, [{ body: '{"id":"x"}' }, { body: '{"id":"y"}' }], false],
    [
      "numbers that differ above 2^53",
      BY_JSON,
      [{ body: '{"id":9007199254740993}' }, { body: '{"id":9007199254740992}' }],
      false,
    ],
    ["a body that is no JSON", BY_JSON, [{ body: "id=x" }, { body: "id=x" }], false],
    ["a JSON null", BY_JSON, [{ body: '{"id":null}' }, { body: '{"id":null}' }], false],
    ["a JSON object in place of a value", BY_JSON, [{ body: '{"id":{}}' }, { body: '{"id":{}}' }], false],
    ["the second selector", BY_EITHER, [{ body: '{"id":"x"}' }, { body: '{"id":"x"}' }], true],
    ["equal values of different selectors", BY_EITHER, [key("x"), { body: '{"id":"x"}' }], false],
    [
      "joined values",
      JOINED,
      [{ body: '{"kind":"a","data":{"id":1}}' }, { body: '{"data":{"id":1},"kind":"a"}' }],
      true,
    ],
    [
      "one of the joined values differing",
      JOINED,
      [{ body: '{"kind":"a","data":{"id":1}}' }, { body: '{"kind":"b","data":{"id":1}}' }],
      false,
    ],
    ["one of the joined values missing", JOINED, [{ body: '{"kind":"a"}' }, { body: '{"kind":"a"}' }], false],
  ];

  test.each(CASES)("by %s", async (_, dedupe, [first, second], isDuplicate) => {
    await using run = await startEngine({ sources: [{ dedupe }] });
    const id = await run.accept(first);
    const result = await run.receive(second);
    await run.settle();
    expect(result).toMatchObject({ kind: "accepted", status: 202, isDuplicate });
    if (result.kind === "accepted" && isDuplicate) expect(result.id).toBe(id);
    expect(run.receiver.sent).toHaveLength(isDuplicate ? 1 : 2);
    expect(run.engine.slots.used).toBe(0);
  });

  test("holds for requests that come in the same moment", async () => {
    await using run = await startEngine({ sources: [{ dedupe: BY_HEADER }] });
    const results = await Promise.all(Array.from({ length: 20 }, () => run.receive(key("a"))));
    await run.settle();
    const accepted = results.filter((result) => result.kind === "accepted");
    expect(new Set(accepted.map((result) => result.id)).size).toBe(1);
    expect(accepted.filter((result) => result.isDuplicate)).toHaveLength(19);
    expect(run.receiver.sent).toHaveLength(1);
  });

  test("is per source", async () => {
    const sources = [
      { name: "in", dedupe: BY_HEADER },
      { name: "two", dedupe: BY_HEADER },
    ];
    await using run = await startEngine({ sources });
    await run.accept(key("a"));
    expect(await run.receive({ ...key("a"), source: "two" })).toMatchObject({ isDuplicate: false });
  });

  test("ends with its window", async () => {
    await using run = await startEngine({ sources: [{ dedupe: BY_HEADER }] });
    await run.accept(key("a"));
    await run.advance(HOUR - 1);
    expect(await run.receive(key("a"))).toMatchObject({ isDuplicate: true });
    await run.advance(1);
    expect(await run.receive(key("a"))).toMatchObject({ isDuplicate: false });
  });
});

test.each([
  [{ kind: "json", path: ["type"] }, { body: '{"type":"invoice.paid"}' }, "invoice.paid"],
  [{ kind: "header", name: "x-github-event" }, { headers: { "x-github-event": "push" } }, "push"],
  [{ kind: "json", path: ["type"] }, { body: "no json" }, null],
] as const)("the event type is read by %p", async (eventType, inbound, expected) => {
  await using run = await startEngine({ sources: [{ eventType }] });
  await run.accept(inbound);
  expect((await run.store.listEvents({ project: "default" })).data).toMatchObject([{ type: expected }]);
});

test("an event of a source without targets is stored and goes nowhere", async () => {
  await using run = await startEngine({ sources: [{ to: [] }] });
  await run.accept();
  expect((await run.store.listEvents({ project: "default" })).data).toHaveLength(1);
  expect(await run.deliveries()).toEqual([]);
});

test("the source decides the status of the answer", async () => {
  await using run = await startEngine({ sources: [{ respondStatus: 200 }] });
  expect(await run.receive()).toMatchObject({ kind: "accepted", status: 200 });
});

describe("Headers", () => {
  const SENT = {
    "content-type": "application/json",
    "x-custom": "kept",
    "stripe-signature": "t=1,v1=ab",
    authorization: "Bearer secret",
    "proxy-authorization": "Basic secret",
    cookie: "session=secret",
    "x-api-key": "secret",
    "x-token": "secret",
    host: "postern.test",
    connection: "keep-alive, x-hop",
    "x-hop": "dropped",
    "keep-alive": "timeout=5",
    "transfer-encoding": "chunked",
    te: "trailers",
    trailer: "x-sum",
    upgrade: "h2c",
    "content-length": "7",
    "x-forwarded-for": "10.0.0.1",
    forwarded: "for=10.0.0.1",
    via: "1.1 proxy",
    "webhook-signature": "v1,theirs",
  };
  const verify: VerifySpec[] = [{ scheme: "token", header: "X-Token", secrets: [{ value: "secret" }] }];

  test("travel on, but never credentials, hop-by-hop headers or what a proxy said", async () => {
    await using run = await startEngine({ sources: [{ verify }] });
    run.receiver.next(APP, 500);
    await run.accept({ headers: SENT });
    await run.advanceToDue();
    // The first time from memory, the second time from the store.
    for (const { headers } of run.receiver.sent) {
      expect([...headers.keys()].toSorted()).toEqual([
        "content-type",
        "stripe-signature",
        "webhook-id",
        "webhook-timestamp",
        "x-custom",
      ]);
    }
    expect(run.receiver.sent).toHaveLength(2);
  });

  test("with credentials are not stored, with an event or with a rejection", async () => {
    await using run = await startEngine({ sources: [{ verify }] });
    const id = await run.accept({ headers: SENT });
    const event = await run.store.getEvent({ project: "default", id });
    await run.receive({ headers: { ...SENT, "x-token": "wrong" } });
    await run.settle();
    const [rejection] = (await run.store.listRejections({ project: "default" })).data;
    const kept = await run.store.getRejection({ project: "default", id: rejection?.id ?? "" });
    for (const headers of [event?.payload?.headers, kept?.headers]) {
      expect(headers).toHaveProperty("x-custom", "kept");
      expect(JSON.stringify(headers)).not.toContain("secret");
      expect(headers).not.toHaveProperty("x-token");
    }
  });

  test("of the endpoint come on top, but cannot take the place of ours", async () => {
    const headers = {
      "X-Custom": "endpoint's",
      Authorization: "Bearer ours",
      "Webhook-Id": "fake",
      Host: "fake",
    };
    await using run = await startEngine({ endpoints: [{ name: "app", headers }] });
    await run.accept({ headers: { "x-custom": "sender's" } });
    const sent = run.receiver.sent[0]?.headers;
    expect([sent?.get("x-custom"), sent?.get("authorization"), sent?.get("host")]).toEqual([
      "endpoint's",
      "Bearer ours",
      null,
    ]);
    expect(sent?.get("webhook-id")).toStartWith("evt_");
  });
});

const SECRETS = [{ value: "s3cret" }];
const WHSEC = [{ value: `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}` }];
const HMAC: VerifySpec = {
  scheme: "hmac",
  secrets: SECRETS,
  header: "x-signature",
  algorithm: "sha256",
  encoding: "hex",
};
const STRIPE: VerifySpec = { scheme: "stripe", secrets: SECRETS };
const STANDARD: VerifySpec = { scheme: "standard", secrets: WHSEC };
const ZEROS = "0".repeat(64);
/** Right, but of the first second of 1970. */
const STALE = createHmac("sha256", "s3cret").update('1.{"n":1}').digest("hex");

const REFUSED: readonly [string, VerifySpec, Record<string, string>][] = [
  ["missing_token", { scheme: "token", header: "x-token", secrets: SECRETS }, {}],
  ["token_mismatch", { scheme: "token", header: "x-token", secrets: SECRETS }, { "x-token": "wrong" }],
  ["missing_signature", HMAC, {}],
  ["signature_mismatch", HMAC, { "x-signature": ZEROS }],
  ["malformed_signature", STRIPE, { "stripe-signature": "nonsense" }],
  ["timestamp_out_of_tolerance", STRIPE, { "stripe-signature": `t=1,v1=${STALE}` }],
  [
    "signature_mismatch",
    { scheme: "github", secrets: SECRETS },
    { "x-hub-signature-256": `sha256=${ZEROS}` },
  ],
  ["missing_signature", STANDARD, {}],
];

test.each(
  REFUSED.map(([reason, spec, headers]) => [reason, spec.scheme, spec, headers] as const),
)("a request is refused with %s by %s", async (reason, _scheme, spec, headers) => {
  await using run = await startEngine({ sources: [{ verify: [spec] }] });
  const result = await run.receive({ headers });
  await run.settle();
  expect(result).toMatchObject({ kind: "refused", reason, status: 401 });
  expect((await run.store.listRejections({ project: "default" })).data).toMatchObject([{ reason }]);
  expect(run.receiver.sent).toEqual([]);
  expect((await run.store.listEvents({ project: "default" })).data).toEqual([]);
});

test("a method that the source does not take is refused", async () => {
  await using run = await startEngine();
  expect(await run.receive({ method: "GET" })).toMatchObject({ reason: "invalid_method", status: 405 });
});

test("all schemes of a source must pass", async () => {
  const verify: VerifySpec[] = [{ scheme: "none" }, { scheme: "token", header: "x-token", secrets: SECRETS }];
  await using run = await startEngine({ sources: [{ verify }] });
  expect(await run.receive()).toMatchObject({ reason: "missing_token" });
});

test("a rejection keeps the beginning of a large body and says that it is cut", async () => {
  await using run = await startEngine();
  await run.receive({ method: "PUT", body: "x".repeat(20_000) });
  await run.settle();
  const [rejection] = (await run.store.listRejections({ project: "default" })).data;
  const kept = await run.store.getRejection({ project: "default", id: rejection?.id ?? "" });
  expect([kept?.body.byteLength, kept?.isBodyCut]).toEqual([16_384, true]);
});

test("rejections kept are bounded per source, the count is not", async () => {
  await using run = await startEngine();
  const refuse = async (run: TestEngine, count: number) => {
    for (let n = 0; n < count; n += 1) await run.receive({ method: "GET" });
    await run.settle();
  };
  const kept = async () => {
    const page = await run.store.listRejections({ project: "default", limit: 500 });
    return page.data.length;
  };
  await refuse(run, 300);
  expect(await kept()).toBe(100);
  await run.advance(1_000);
  await refuse(run, 300);
  expect(await kept()).toBe(105);
  expect(run.engine.metrics.sources.get("in")?.rejected.invalid_method).toBe(600);
});

test("an unknown source is a count and no row", async () => {
  await using run = await startEngine();
  expect(run.engine.ingest.source("nowhere")).toBeUndefined();
  expect(run.engine.metrics.unknownSourceCount).toBe(1);
});
