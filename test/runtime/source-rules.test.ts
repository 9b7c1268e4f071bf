/** What a source asks of a request before and beside its signature, and what is kept of those that fail. */
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import type { VerifySpec } from "../../src/domain/signature/index.ts";
import { type Inbound, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";

const SECRETS = [{ value: "s3cret" }];
const TOKEN: VerifySpec = { scheme: "token", header: "X-Token", secrets: SECRETS };
const GITHUB: VerifySpec = { scheme: "github", secrets: SECRETS };
const sign = (body: string, secret = "s3cret") => createHmac("sha256", secret).update(body).digest("hex");
const signed = (body: string) => ({ body, headers: { "x-hub-signature-256": `sha256=${sign(body)}` } });

async function lastRejection(run: TestEngine) {
  await run.settle();
  const [row] = (await run.store.listRejections({ project: "default" })).data;
  const detail = await run.store.getRejection({ project: "default", id: row?.id ?? "" });
  if (!detail) throw new Error("nothing was kept");
  return detail;
}

async function reasonOf(run: TestEngine, inbound: Inbound = {}): Promise<string> {
  const result = await run.receive(inbound);
  return result.kind === "refused" ? result.reason : result.kind;
}

describe("Addresses", () => {
  const allowCidrs = ["192.0.2.0/24", "2001:db8::/32", "203.0.113.7/32"];
  test.each([
    ["192.0.2.200", "accepted"],
    ["::ffff:192.0.2.1", "accepted"],
    ["2001:db8:1::1", "accepted"],
    ["203.0.113.7", "accepted"],
    ["203.0.113.8", "ip_not_allowed"],
    ["2001:db9::1", "ip_not_allowed"],
    ["nonsense", "ip_not_allowed"],
    [null, "ip_not_allowed"],
  ])("%p is %s by a source that names its networks", async (remoteAddress, expected) => {
    await using run = await startEngine({ sources: [{ allowCidrs }] });
    expect(await reasonOf(run, { remoteAddress })).toBe(expected);
  });

  test("are refused with 403 before the signature is looked at", async () => {
    await using run = await startEngine({ sources: [{ allowCidrs: ["203.0.113.0/24"], verify: [TOKEN] }] });
    expect(await run.receive()).toMatchObject({ reason: "ip_not_allowed", status: 403, retryAfterMs: null });
    expect(await lastRejection(run)).toMatchObject({ reason: "ip_not_allowed", remoteAddress: "192.0.2.1" });
  });
});

describe("A source's rate", () => {
  const sources = [{ rate: { perSecond: 2, burst: 3 } }];

  test("lets a burst in, then refuses with the time to come back", async () => {
    await using run = await startEngine({ sources });
    for (let n = 0; n < 3; n += 1) expect(await reasonOf(run)).toBe("accepted");
    expect(await run.receive()).toMatchObject({ reason: "rate_limited", status: 429, retryAfterMs: 500 });
    await run.advance(499);
    expect(await run.receive()).toMatchObject({ reason: "rate_limited", retryAfterMs: 1 });
    await run.advance(1);
    expect(await reasonOf(run)).toBe("accepted");
    expect(await reasonOf(run)).toBe("rate_limited");
  });

  test("counts requests that are refused later", async () => {
    await using run = await startEngine({ sources: [{ ...sources[0], verify: [TOKEN] }] });
    for (let n = 0; n < 3; n += 1) expect(await reasonOf(run)).toBe("missing_token");
    expect(await reasonOf(run, { headers: { "x-token": "s3cret" } })).toBe("rate_limited");
  });

  test("is not won back by a pause or an unrelated change, but a new rate begins anew", async () => {
    await using run = await startEngine({ sources });
    for (let n = 0; n < 3; n += 1) await run.receive();
    await run.engine.commands.setSourcePaused(run.source(), true);
    await run.engine.commands.setSourcePaused(run.source(), false);
    expect(await reasonOf(run)).toBe("rate_limited");
    await run.declare({ sources: [{ ...sources[0], methods: ["POST", "PUT"] }] });
    expect(await reasonOf(run)).toBe("rate_limited");
    await run.declare({ sources: [{ rate: { perSecond: 2, burst: 4 } }] });
    expect(await reasonOf(run)).toBe("accepted");
  });

  test("is each source's own", async () => {
    await using run = await startEngine({ sources: [...sources, { ...sources[0], name: "two" }] });
    for (let n = 0; n < 4; n += 1) await run.receive();
    expect(await reasonOf(run, { source: "two" })).toBe("accepted");
  });
});

test("The reasons come in a fixed order, so that the first thing to mend is named first", async () => {
  const wrong = { allowCidrs: ["203.0.113.0/24"], rate: { perSecond: 1, burst: 1 }, verify: [TOKEN] };
  await using run = await startEngine({ sources: [wrong] });
  await run.receive({ remoteAddress: "203.0.113.1" });
  await run.engine.commands.setSourcePaused(run.source(), true);
  expect(await reasonOf(run, { method: "GET" })).toBe("invalid_method");
  expect(await reasonOf(run)).toBe("paused");
  await run.engine.commands.setSourcePaused(run.source(), false);
  expect(await reasonOf(run)).toBe("ip_not_allowed");
  expect(await reasonOf(run, { remoteAddress: "203.0.113.1" })).toBe("rate_limited");
  await run.advance(1_000);
  expect(await reasonOf(run, { remoteAddress: "203.0.113.1" })).toBe("missing_token");
});

describe("Targets", () => {
  const sources = [
    {
      eventType: { kind: "json", path: ["type"] },
      to: [
        "all",
        { kind: "endpoint", name: "paid", when: { type: "invoice.paid" } },
        { kind: "endpoint", name: "large", when: { "json:amount": { gte: 100 } } },
        { kind: "endpoint", name: "live", when: { not: { "header:x-env": "test" } } },
        { kind: "endpoint", name: "first", when: { "query:shard": "1" } },
      ],
    },
  ] as const;
  const endpoints = ["all", "paid", "large", "live", "first"].map((name) => ({ name }));

  test.each<[Inbound, string[]]>([
    [{ body: '{"type":"invoice.paid","amount":5}' }, ["all", "paid", "live"]],
    [{ body: '{"type":"x","amount":100}', headers: { "x-env": "test" } }, ["all", "large"]],
    [{ body: "no json", url: "/in/in?shard=1" }, ["all", "live", "first"]],
  ])("get what their conditions let through: %j", async (inbound, expected) => {
    await using run = await startEngine({ endpoints, sources });
    await run.accept(inbound);
    const sent = run.receiver.sent.map(({ url }) => url);
    expect(sent.toSorted()).toEqual(expected.map(receiverUrl).toSorted());
  });

  test("that all decline leave the event stored", async () => {
    const to = [{ kind: "endpoint", name: "app", when: { type: "other" } }] as const;
    await using run = await startEngine({ sources: [{ to }] });
    await run.accept();
    expect((await run.store.listEvents({ project: "default" })).data).toHaveLength(1);
    expect(await run.deliveries()).toEqual([]);
  });
});

describe("What is never stored", () => {
  const kept = async (run: TestEngine, id: string) =>
    (await run.store.getEvent({ project: "default", id }))?.payload?.headers ?? {};

  test.each<[string, VerifySpec, Record<string, string>]>([
    ["a custom token header", TOKEN, { "x-token": "s3cret" }],
    ["GitLab's token", { scheme: "gitlab", secrets: SECRETS }, { "x-gitlab-token": "s3cret" }],
    ["GitLab's token, at another source", { scheme: "none" }, { "X-Gitlab-Token": "s3cret" }],
    [
      "a password",
      { scheme: "basic", username: "u", secrets: SECRETS },
      { authorization: `Basic ${btoa("u:s3cret")}` },
    ],
  ])("%s, nor is it forwarded", async (_, spec, headers) => {
    await using run = await startEngine({ sources: [{ verify: [spec] }] });
    const id = await run.accept({ headers: { ...headers, "x-other": "kept" } });
    expect(await kept(run, id)).toEqual({ "x-other": "kept" });
    const [name = ""] = Object.keys(headers);
    expect(run.receiver.sent[0]?.headers.get(name)).toBeNull();
    await run.receive({ headers: { ...headers, "x-other": "kept" }, method: "PUT" });
    expect((await lastRejection(run)).headers).toEqual({ "x-other": "kept" });
  });

  test("a token in the query", async () => {
    const verify: VerifySpec[] = [{ scheme: "token", query: "to ken", secrets: SECRETS }];
    await using run = await startEngine({ sources: [{ verify }] });
    await run.receive({ url: "/in/in?a=1&to%20ken=wrong&to+ken=s3cret&b=2" });
    expect((await lastRejection(run)).url).toBe("/in/in?a=1&b=2");
  });
});

describe("A refusal", () => {
  const sources = [{ verify: [GITHUB] }];

  test("is explained, in what is kept of it", async () => {
    await using run = await startEngine({ sources });
    const { headers } = signed('{"n":1}');
    await run.receive({ headers, body: '{"n":1}\n' });
    const { reason, diagnosis } = await lastRejection(run);
    expect(reason).toBe("signature_mismatch");
    expect(JSON.parse(diagnosis ?? "")).toMatchObject({ code: "body_changed", field: "X-Hub-Signature-256" });
    expect(diagnosis).not.toContain("s3cret");
  });

  test("says by how much a clock is off", async () => {
    const verify: VerifySpec[] = [{ scheme: "stripe", secrets: SECRETS }];
    await using run = await startEngine({ sources: [{ verify }] });
    const at = run.clock.now() / 1_000 - 400;
    await run.receive({ headers: { "stripe-signature": `t=${at},v1=${sign(`${at}.{"n":1}`)}` } });
    const { reason, diagnosis } = await lastRejection(run);
    expect(reason).toBe("timestamp_out_of_tolerance");
    expect(JSON.parse(diagnosis ?? "")).toMatchObject({ code: "clock_skew", skewSeconds: -400 });
  });

  test("has no explanation when no rule looked at it", async () => {
    await using run = await startEngine({ sources });
    await run.receive({ method: "PUT" });
    expect((await lastRejection(run)).diagnosis).toBeNull();
  });

  test("is answered before it is explained and kept", async () => {
    const later: (() => void)[] = [];
    const defer = (fire: () => void) => void later.push(fire);
    await using run = await startEngine({ sources, engine: { defer } });
    expect(await reasonOf(run)).toBe("missing_signature");
    await run.settle();
    expect((await run.store.listRejections({ project: "default" })).data).toEqual([]);
    expect(later).toHaveLength(1);
    later[0]?.();
    expect(await lastRejection(run)).toMatchObject({ reason: "missing_signature" });
  });

  test("in great numbers is explained a slice at a time, and only so much of it may wait", async () => {
    const later: (() => void)[] = [];
    const defer = (fire: () => void) => void later.push(fire);
    await using run = await startEngine({ sources, engine: { defer } });
    // Every look at the monotonic clock takes longer than a slice.
    let ms = 0;
    run.clock.monotonicMs = () => (ms += 10);
    const body = Buffer.alloc(1_048_576, "x");
    for (let n = 0; n < 20; n += 1) await run.receive({ body, headers: { "x-hub-signature-256": "bad" } });
    await run.settle();
    const count = async () => {
      await run.settle();
      return (await run.store.listRejections({ project: "default", limit: 500 })).data.length;
    };
    // Sixteen of a MiB each may wait; the others were kept at once.
    expect(await count()).toBe(4);
    later.shift()?.();
    expect(await count()).toBe(5);
    for (let fire = later.shift(); fire; fire = later.shift()) fire();
    expect(await count()).toBe(20);
  });
});
