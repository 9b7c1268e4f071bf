/** Requests signed by the providers' own libraries, and their twins with one thing wrong. */

import { describe, expect, test } from "bun:test";
import { sign as signGithub } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { type Secret, type VerifySpec, verify } from "../../../src/domain/signature/index.ts";
import { arrive, flip, type HeaderList, NOW, NOW_SECONDS, outcome } from "./requests.ts";

const BODY = '{"id":"evt_1","type":"invoice.paid","note":"Zoë 😀"}';
const secrets = (...values: string[]): Secret[] => values.map((value) => ({ value }));

interface Twin {
  readonly name: string;
  readonly headers: HeaderList | Promise<HeaderList>;
  readonly body?: string;
  readonly expected: string;
}

function runTwins(spec: VerifySpec, twins: readonly Twin[]): void {
  for (const { name, headers, body = BODY, expected } of twins) {
    test(name, async () => {
      expect(outcome(verify(spec, arrive(await headers, body), NOW))).toBe(expected);
    });
  }
}

describe("stripe", async () => {
  const stripe = new Stripe("sk_test_unused");
  const header = (secret = "whsec_current", timestamp = NOW_SECONDS, payload = BODY) =>
    stripe.webhooks.generateTestHeaderStringAsync({ payload, secret, timestamp });
  const sent = async (value: string | Promise<string>) => ({ "stripe-signature": await value });
  const right = await header();
  const [time = "", signature = ""] = right.split(",");
  const [, wrong = ""] = (await header("whsec_wrong")).split(",");
  const spec: VerifySpec = { scheme: "stripe", secrets: secrets("whsec_current", "whsec_next") };
  runTwins(spec, [
    { name: "accepts what the stripe library signs", headers: sent(right), expected: "ok" },
    { name: "accepts the second valid secret", headers: sent(header("whsec_next")), expected: "ok" },
    {
      name: "accepts an empty body",
      headers: sent(header(undefined, undefined, "")),
      body: "",
      expected: "ok",
    },
    {
      name: "accepts two signatures, the second right",
      headers: sent(`${time},${wrong},${signature}`),
      expected: "ok",
    },
    { name: "accepts two signatures, the first right", headers: sent(`${right},${wrong}`), expected: "ok" },
    { name: "ignores other signature schemes", headers: sent(`${right},v0=abc`), expected: "ok" },
    { name: "counts the last of two timestamps", headers: sent(`t=1,${right}`), expected: "ok" },
    {
      name: "accepts one that is 300 s old",
      headers: sent(header(undefined, NOW_SECONDS - 300)),
      expected: "ok",
    },
    {
      name: "accepts one that is 300 s ahead",
      headers: sent(header(undefined, NOW_SECONDS + 300)),
      expected: "ok",
    },
    {
      name: "refuses one that is 301 s old",
      headers: sent(header(undefined, NOW_SECONDS - 301)),
      expected: "timestamp_out_of_tolerance",
    },
    {
      name: "refuses one that is 301 s ahead",
      headers: sent(header(undefined, NOW_SECONDS + 301)),
      expected: "timestamp_out_of_tolerance",
    },
    {
      name: "refuses a tampered body",
      headers: sent(right),
      body: `${BODY} `,
      expected: "signature_mismatch",
    },
    { name: "refuses a wrong secret", headers: sent(header("whsec_wrong")), expected: "signature_mismatch" },
    {
      name: "refuses two wrong signatures",
      headers: sent(`${time},${wrong},${wrong}`),
      expected: "signature_mismatch",
    },
    {
      name: "refuses a timestamp that was not signed",
      headers: sent(`${flip(time, 11)},${signature}`),
      expected: "signature_mismatch",
    },
    { name: "refuses a request without the header", headers: {}, expected: "missing_signature" },
    { name: "takes an empty header for none", headers: sent(""), expected: "missing_signature" },
    { name: "refuses a header without t", headers: sent(signature), expected: "malformed_signature" },
    { name: "refuses a header without v1", headers: sent(time), expected: "malformed_signature" },
    {
      name: "refuses only other signature schemes",
      headers: sent(right.replace("v1", "v0")),
      expected: "malformed_signature",
    },
    {
      name: "refuses a space behind the comma",
      headers: sent(`${time}, ${signature}`),
      expected: "malformed_signature",
    },
    {
      name: "refuses a timestamp that is no number",
      headers: sent(`t=soon,${signature}`),
      expected: "malformed_signature",
    },
    {
      name: "refuses a negative timestamp",
      headers: sent(`t=-1,${signature}`),
      expected: "malformed_signature",
    },
    {
      name: "refuses upper-case hex",
      headers: sent(`${time},v1=${signature.slice(3).toUpperCase()}`),
      expected: "malformed_signature",
    },
    {
      name: "refuses a truncated signature",
      headers: sent(right.slice(0, -1)),
      expected: "malformed_signature",
    },
  ]);

  test("holds a sender that counts seconds to whole seconds of our clock", async () => {
    const request = arrive(await sent(header(undefined, NOW_SECONDS - 300)), BODY);
    expect(outcome(verify(spec, request, NOW + 999))).toBe("ok");
    expect(outcome(verify(spec, request, NOW + 1_000))).toBe("timestamp_out_of_tolerance");
  });

  test("takes another tolerance", async () => {
    const strict: VerifySpec = { scheme: "stripe", secrets: secrets("whsec_current"), toleranceMs: 10_000 };
    expect(outcome(verify(strict, arrive(await sent(header(undefined, NOW_SECONDS - 10)), BODY), NOW))).toBe(
      "ok",
    );
    const stale = arrive(await sent(header(undefined, NOW_SECONDS - 11)), BODY);
    expect(outcome(verify(strict, stale, NOW))).toBe("timestamp_out_of_tolerance");
  });

  test.each([
    [-301, "301 s behind our clock"],
    [86_400, "86400 s ahead of our clock"],
  ])("says by how much a timestamp is off (%p s)", async (skewSeconds, detail) => {
    const request = arrive(await sent(header(undefined, NOW_SECONDS + skewSeconds)), BODY);
    expect(verify(spec, request, NOW)).toMatchObject({
      detail: expect.stringContaining(detail),
      diagnosis: { skewSeconds, toleranceSeconds: 300 },
    });
  });

  test("says that an old secret matched, also when the request is stale", async () => {
    const until = NOW - 60_000;
    const rotated: VerifySpec = {
      scheme: "stripe",
      secrets: [{ value: "whsec_new" }, { value: "whsec_current", until }],
    };
    for (const timestamp of [NOW_SECONDS, NOW_SECONDS - 3_600]) {
      const result = verify(rotated, arrive(await sent(header("whsec_current", timestamp)), BODY), NOW);
      expect(result).toMatchObject({ reason: "signature_mismatch", diagnosis: { oldSecretUntil: until } });
    }
  });

  test("does not speak of old secrets when none matched", async () => {
    const rotated: VerifySpec = {
      scheme: "stripe",
      secrets: [{ value: "a" }, { value: "b", until: NOW - 1 }],
    };
    const result = verify(rotated, arrive(await sent(right), BODY), NOW);
    expect(result).toMatchObject({ reason: "signature_mismatch" });
    expect(result).not.toHaveProperty("diagnosis.oldSecretUntil");
  });
});

describe("github", async () => {
  const right = await signGithub("gh-secret", BODY);
  const next = await signGithub("gh-next", BODY);
  const wrong = await signGithub("gh-wrong", BODY);
  const sent = (value: string) => ({ "X-Hub-Signature-256": value });
  runTwins({ scheme: "github", secrets: secrets("gh-secret", "gh-next") }, [
    { name: "accepts what octokit signs", headers: sent(right), expected: "ok" },
    { name: "accepts the second valid secret", headers: sent(next), expected: "ok" },
    { name: "finds the header in any case", headers: { "x-hub-signature-256": right }, expected: "ok" },
    {
      name: "refuses a tampered body",
      headers: sent(right),
      body: BODY.replace("1", "2"),
      expected: "signature_mismatch",
    },
    {
      name: "refuses a body written anew",
      headers: sent(right),
      body: JSON.stringify(JSON.parse(BODY), null, 1),
      expected: "signature_mismatch",
    },
    { name: "refuses a wrong secret", headers: sent(wrong), expected: "signature_mismatch" },
    { name: "refuses a request without the header", headers: {}, expected: "missing_signature" },
    {
      name: "does not fall back to SHA-1",
      headers: { "x-hub-signature": right },
      expected: "missing_signature",
    },
    {
      name: "refuses the header sent twice",
      headers: sent(`${right}, ${right}`),
      expected: "malformed_signature",
    },
    { name: "refuses a bare signature", headers: sent(right.slice(7)), expected: "malformed_signature" },
    {
      name: "refuses another algorithm's name",
      headers: sent(right.replace("256", "512")),
      expected: "malformed_signature",
    },
    {
      name: "refuses upper-case hex",
      headers: sent(`sha256=${right.slice(7).toUpperCase()}`),
      expected: "malformed_signature",
    },
    {
      name: "refuses an upper-case prefix",
      headers: sent(`SHA256=${right.slice(7)}`),
      expected: "malformed_signature",
    },
    { name: "refuses a longer signature", headers: sent(`${right}0`), expected: "malformed_signature" },
    {
      name: "refuses a prefix without a signature",
      headers: sent("sha256="),
      expected: "malformed_signature",
    },
  ]);
});

describe("standard", () => {
  const key = (text: string) => `whsec_${Buffer.from(text).toString("base64")}`;
  const current = key("current key of 24 bytes!");
  const next = key("next key of 24 bytes, ok");
  const signWith = (secret: string, seconds = NOW_SECONDS, id = "msg_1") =>
    new Webhook(secret).sign(id, new Date(seconds * 1_000), BODY);
  const sent = (signature: string, timestamp = String(NOW_SECONDS), id = "msg_1") => ({
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  });
  const at = (seconds: number) => sent(signWith(current, seconds), String(seconds));
  const without = (name: string) =>
    Object.fromEntries(Object.entries(sent(right)).filter(([key]) => key !== name));
  const right = signWith(current);
  const wrong = signWith(key("another"));
  runTwins({ scheme: "standard", secrets: secrets(current, next) }, [
    { name: "accepts what standardwebhooks signs", headers: sent(right), expected: "ok" },
    { name: "accepts the second valid secret", headers: sent(signWith(next)), expected: "ok" },
    { name: "accepts two signatures, the second right", headers: sent(`${wrong} ${right}`), expected: "ok" },
    { name: "accepts two signatures, the first right", headers: sent(`${right} ${wrong}`), expected: "ok" },
    { name: "accepts a header that a proxy has joined", headers: sent(`${right}, ${wrong}`), expected: "ok" },
    { name: "ignores other versions", headers: sent(`v1a,abc ${right} v2,def`), expected: "ok" },
    { name: "accepts one that is 300 s old", headers: at(NOW_SECONDS - 300), expected: "ok" },
    { name: "accepts one that is 300 s ahead", headers: at(NOW_SECONDS + 300), expected: "ok" },
    {
      name: "refuses one that is 301 s old",
      headers: at(NOW_SECONDS - 301),
      expected: "timestamp_out_of_tolerance",
    },
    {
      name: "refuses one that is 301 s ahead",
      headers: at(NOW_SECONDS + 301),
      expected: "timestamp_out_of_tolerance",
    },
    {
      name: "refuses a tampered body",
      headers: sent(right),
      body: `${BODY}\n`,
      expected: "signature_mismatch",
    },
    { name: "refuses another id", headers: sent(right, undefined, "msg_2"), expected: "signature_mismatch" },
    {
      name: "refuses another timestamp",
      headers: sent(right, String(NOW_SECONDS + 1)),
      expected: "signature_mismatch",
    },
    { name: "refuses a wrong secret", headers: sent(wrong), expected: "signature_mismatch" },
    {
      name: "refuses two wrong signatures",
      headers: sent(`${wrong} ${wrong}`),
      expected: "signature_mismatch",
    },
    {
      name: "refuses a request without an id",
      headers: without("webhook-id"),
      expected: "missing_signature",
    },
    {
      name: "refuses a request without a timestamp",
      headers: without("webhook-timestamp"),
      expected: "missing_signature",
    },
    {
      name: "refuses a request without a signature",
      headers: without("webhook-signature"),
      expected: "missing_signature",
    },
    {
      name: "refuses a signature without a version",
      headers: sent(right.slice(3)),
      expected: "malformed_signature",
    },
    {
      name: "refuses only other versions",
      headers: sent(right.replace("v1,", "v2,")),
      expected: "malformed_signature",
    },
    {
      name: "refuses a signature without its padding",
      headers: sent(right.replace("=", "")),
      expected: "malformed_signature",
    },
    {
      name: "refuses a timestamp with a fraction",
      headers: sent(right, `${NOW_SECONDS}.0`),
      expected: "malformed_signature",
    },
    {
      name: "refuses a timestamp sent twice",
      headers: sent(right, `${NOW_SECONDS}, ${NOW_SECONDS}`),
      expected: "malformed_signature",
    },
  ]);

  test("names the header that is missing", () => {
    const result = verify(
      { scheme: "standard", secrets: secrets(current) },
      arrive(without("webhook-id"), BODY),
      NOW,
    );
    expect(result).toMatchObject({ diagnosis: { field: "webhook-id" } });
  });

  test.each([
    ["without the prefix", current.slice("whsec_".length)],
    ["without its padding", key("a key of 25 bytes, padded").replace(/=+$/, "")],
  ])("reads a secret %s", (_name, secret) => {
    const padded = secret.startsWith("whsec_") ? key("a key of 25 bytes, padded") : secret;
    const request = arrive(sent(signWith(padded)), BODY);
    expect(outcome(verify({ scheme: "standard", secrets: secrets(secret) }, request, NOW))).toBe("ok");
  });

  test("takes a secret that is no base64 for text", () => {
    const signature = new Webhook("not base64!", { format: "raw" }).sign("msg_1", new Date(NOW), BODY);
    const spec: VerifySpec = { scheme: "standard", secrets: secrets("not base64!") };
    expect(outcome(verify(spec, arrive(sent(signature), BODY), NOW))).toBe("ok");
  });
});
