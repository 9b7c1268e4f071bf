/**
 * The providers' own libraries beside ours. Where a library signs, we accept what it makes; where it only
 * verifies, it accepts what our independent signer makes, and so do we; and both refuse the twins with one
 * thing wrong. That is what shows that our reading of a scheme is the provider's. The libraries of Slack and
 * Square take long to load and are in test/slow.
 */

import { describe, expect, test } from "bun:test";
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import { sign as signGithub, verify as verifyGithub } from "@octokit/webhooks-methods";
import { Paddle } from "@paddle/paddle-node-sdk";
import { verifyKey } from "discord-interactions";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";
import { type VerifySpec, verify } from "../../../src/domain/signature/index.ts";
import { independently, runTwins } from "./official-twins.ts";
import { arrive, NOW, outcome } from "./requests.ts";

const BASE64_KEYS = { right: "whsec_cmlnaHQga2V5", wrong: "whsec_d3Jvbmcga2V5" } as const;

for (const [scheme, prefix, Webhook] of [
  ["svix", "svix", SvixWebhook],
  ["standard", "webhook", StandardWebhook],
] as const) {
  runTwins({
    spec: { scheme, secrets: [{ value: BASE64_KEYS.right }] },
    keys: BASE64_KEYS,
    signatureHeader: `${prefix}-signature`,
    sign: (key, seconds, body) => ({
      [`${prefix}-id`]: "msg_1",
      [`${prefix}-timestamp`]: String(seconds),
      [`${prefix}-signature`]: new Webhook(key).sign("msg_1", new Date(seconds * 1_000), body),
    }),
    accepts: (headers, body) => new Webhook(BASE64_KEYS.right).verify(body, { ...headers }),
    isTimeChecked: true,
  });
}

const TEXT_KEYS = { right: "whsec_text key", wrong: "whsec_wrong key" } as const;
const stripe = new Stripe("sk_test_unused");

runTwins({
  spec: { scheme: "stripe", secrets: [{ value: TEXT_KEYS.right }] },
  keys: TEXT_KEYS,
  signatureHeader: "Stripe-Signature",
  sign: async (secret, timestamp, payload) => ({
    "Stripe-Signature": await stripe.webhooks.generateTestHeaderStringAsync({ payload, secret, timestamp }),
  }),
  accepts: (headers, body) =>
    stripe.webhooks.constructEventAsync(body, headers["Stripe-Signature"] ?? "", TEXT_KEYS.right),
  isTimeChecked: true,
});

runTwins({
  spec: { scheme: "github", secrets: [{ value: TEXT_KEYS.right }] },
  keys: TEXT_KEYS,
  signatureHeader: "X-Hub-Signature-256",
  sign: async (key, _seconds, body) => ({ "X-Hub-Signature-256": await signGithub(key, body) }),
  accepts: (headers, body) => verifyGithub(TEXT_KEYS.right, body, headers["X-Hub-Signature-256"] ?? ""),
  isTimeChecked: false,
  isTimeless: true,
});

const linear = independently("linear");
runTwins({
  ...linear,
  accepts: (headers, body) =>
    new LinearWebhookClient(linear.keys.right).verify(Buffer.from(body), headers["Linear-Signature"] ?? ""),
  isTimeChecked: true,
});

const paddle = independently("paddle");
const { webhooks: paddleWebhooks } = new Paddle("unused");
runTwins({
  ...paddle,
  accepts: (headers, body) =>
    paddleWebhooks.unmarshal(body, paddle.keys.right, headers["Paddle-Signature"] ?? ""),
  isTimeChecked: true,
});

const discord = independently("discord");
const [discordKey] = discord.spec.scheme === "discord" ? discord.spec.secrets : [];
runTwins({
  ...discord,
  accepts: (headers, body) => {
    const { "X-Signature-Ed25519": signature = "", "X-Signature-Timestamp": timestamp = "" } = headers;
    return verifyKey(body, signature, timestamp, discordKey?.value ?? "");
  },
  isTimeChecked: false,
});

describe("linear", () => {
  test.each([
    "{}",
    '{"webhookTimestamp":"now"}',
    '{"webhookTimestamp":null}',
    '{"data":{"webhookTimestamp":1}}',
  ])("both refuse a signed body without a time: %s", async (body) => {
    const headers = await linear.sign(linear.keys.right, 0, body);
    const client = new LinearWebhookClient(linear.keys.right);
    expect(() => client.verify(Buffer.from(body), headers["Linear-Signature"] ?? "")).toThrow("timestamp");
    expect(outcome(verify(linear.spec, arrive(headers, body), NOW))).toBe("malformed_signature");
  });
});

describe("twilio", () => {
  const token = "12345678901234567890123456789012";
  const spec: VerifySpec = { scheme: "twilio", secrets: [{ value: token }] };
  const fieldsOf = (body: string) => {
    const fields: Record<string, string | string[]> = {};
    for (const [name, value] of new URLSearchParams(body)) {
      const before = fields[name];
      fields[name] = before === undefined ? value : [before, value].flat();
    }
    return fields;
  };
  const formPost = (signature: string, body: string, url: string) =>
    arrive(
      { "X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded" },
      body,
      url,
    );
  const both = (signature: string, body: string, url: string) => [
    twilio.validateRequest(token, signature, url, fieldsOf(body)),
    outcome(verify(spec, formPost(signature, body, url), NOW)),
  ];
  const url = "https://hooks.example.com/in/voice?a=1&b=x%20y";
  const body =
    "To=%2B18005551212&From=%2B14158675309&Body=Gr%C3%BC%C3%9Fe+%F0%9F%98%80&Empty=&To=b&To=a&To=b";
  const right = twilio.getExpectedTwilioSignature(token, url, fieldsOf(body));

  test("the library and we accept a form with repeated, empty and foreign fields", () => {
    expect(both(right, body, url)).toEqual([true, "ok"]);
  });

  test.each([
    ["https://hooks.example.com/in", "https://hooks.example.com:443/in"],
    ["https://hooks.example.com:443/in", "https://hooks.example.com/in"],
    ["http://hooks.example.com:80/in?a=1", "http://hooks.example.com/in?a=1"],
    ["https://hooks.example.com/in", "https://hooks.example.com:8443/in"],
    ["https://user:pass@hooks.example.com/in", "https://user:pass@hooks.example.com:443/in"],
    ["https://[2001:db8::1]:443/in", "https://[2001:db8::1]/in"],
    ["https://hooks.example.com/in?name=O'Brien", "https://hooks.example.com/in?name=O'Brien"],
  ])("both accept the signature over %s for a request to %s", (signedUrl, calledUrl) => {
    const signature = twilio.getExpectedTwilioSignature(token, signedUrl, fieldsOf(body));
    expect(both(signature, body, calledUrl)).toEqual([true, "ok"]);
  });

  test("an apostrophe in the query is escaped on its way to us, which we take into account", () => {
    const signature = twilio.getExpectedTwilioSignature(token, "https://h.example/in?name=O'Brien", {});
    const arrived = new URL("https://h.example/in?name=O'Brien").href;
    expect(arrived).toBe("https://h.example/in?name=O%27Brien");
    expect(outcome(verify(spec, formPost(signature, "", arrived), NOW))).toBe("ok");
  });

  const wrong = twilio.getExpectedTwilioSignature("another token", url, fieldsOf(body));
  const post = { signature: right, body, url, reason: "signature_mismatch" };
  test.each([
    { ...post, name: "a changed field", body: body.replace("5309", "5310") },
    { ...post, name: "an additional field", body: `${body}&More=1` },
    { ...post, name: "a field that is gone", body: body.replace("&Empty=", "") },
    { ...post, name: "another query", url: url.replace("a=1", "a=2") },
    { ...post, name: "another path", url: url.replace("voice", "text") },
    { ...post, name: "another host", url: url.replace("hooks", "books") },
    { ...post, name: "another scheme", url: url.replace("https", "http") },
    { ...post, name: "a wrong token", signature: wrong },
    { ...post, name: "a missing signature", signature: "", reason: "missing_signature" },
    { ...post, name: "half a signature", signature: right.slice(0, 14), reason: "malformed_signature" },
  ])("both refuse $name", (twin) => {
    expect(both(twin.signature, twin.body, twin.url)).toEqual([false, twin.reason]);
  });

  const json = '{"status":"sent"}';
  const hashed = `https://hooks.example.com/in?bodySHA256=${twilio.getExpectedBodyHash(json)}`;
  const signed = twilio.getExpectedTwilioSignature(token, hashed, {});
  const sent = { signature: signed, body: json, url: hashed, isRight: false, reason: "signature_mismatch" };
  test.each([
    { ...sent, name: "accept a body whose hash is in the URL", isRight: true, reason: "ok" },
    { ...sent, name: "refuse another body", body: `${json} ` },
    { ...sent, name: "refuse another hash", url: hashed.replace("SHA256=", "SHA256=0") },
    { ...sent, name: "refuse a missing signature", signature: "", reason: "missing_signature" },
  ])("both $name", (twin) => {
    expect(twilio.validateRequestWithBody(token, twin.signature, twin.url, twin.body)).toBe(twin.isRight);
    const request = arrive({ "X-Twilio-Signature": twin.signature }, twin.body, twin.url);
    expect(outcome(verify(spec, request, NOW))).toBe(twin.reason);
  });
});
