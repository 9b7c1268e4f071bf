/** Signatures that others have published, with where they stand. */

import { describe, expect, test } from "bun:test";
import { type VerifySpec, verify } from "../../../src/domain/signature/index.ts";
import { arrive, type HeaderList, outcome } from "./requests.ts";

interface Vector {
  readonly name: string;
  readonly spec: VerifySpec;
  /** Unix seconds; left out where the scheme signs no time. */
  readonly at?: number;
  readonly headers: HeaderList;
  readonly body: string;
  readonly url?: string;
}

const PAID = '{"type":"invoice.paid"}';
const POSTHOOK_BODY =
  '{"id":"3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e12","path":"/webhooks/demo","postAt":"2026-01-01T00:00:00Z",' +
  '"postedAt":"2026-01-01T00:00:00.250Z","data":{"city":"Zürich","big":9007199254740993},' +
  '"createdAt":"2025-12-31T23:59:00Z","updatedAt":"2025-12-31T23:59:00Z"}';
const HMAC = { scheme: "hmac", header: "X-Signature", algorithm: "sha256", encoding: "hex" } as const;
const TWILIO_URL = "https://hooks.example.com/twilio";

const VECTORS: readonly Vector[] = [
  {
    name: "RFC 4231 section 4.3, SHA-256",
    spec: { ...HMAC, secrets: [{ value: "Jefe" }] },
    headers: { "X-Signature": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    body: "what do ya want for nothing?",
  },
  {
    name: "RFC 2202 section 3, SHA-1",
    spec: { ...HMAC, algorithm: "sha1", secrets: [{ value: "Jefe" }] },
    headers: { "X-Signature": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
    body: "what do ya want for nothing?",
  },
  {
    name: "GitHub, documentation of validating webhook deliveries",
    spec: { scheme: "github", secrets: [{ value: "It's a Secret to Everybody" }] },
    headers: {
      "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    },
    body: "Hello, World!",
  },
  {
    name: "GitHub, PyFly's validator",
    spec: { scheme: "github", secrets: [{ value: "ghsecret" }] },
    headers: {
      "X-Hub-Signature-256": "sha256=b522e34940ee575fb3be09929429d102874d15d9955f377f8821a7bb3a55a1d8",
    },
    body: PAID,
  },
  {
    name: "Stripe, PyFly's validator",
    spec: { scheme: "stripe", secrets: [{ value: "whsec_x" }] },
    at: 1_777_604_400,
    headers: {
      "Stripe-Signature": "t=1777604400,v1=f914d7be46044a2c02b73f7b14a0bfcf9be837106696ba2cbb86f9ccba4ac911",
    },
    body: PAID,
  },
  {
    name: "Twilio, PyFly's validator",
    spec: { scheme: "twilio", secrets: [{ value: "twtoken" }], publicUrl: TWILIO_URL },
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      "X-Twilio-Signature": "+s7Schvh/QBZF+1n1abcoyhOrGg=",
    },
    body: "To=%2B15550002&From=%2B15550001&Body=Hi",
  },
  {
    name: "PyFly, a callback",
    spec: { scheme: "pyfly", secrets: [{ value: "topsecret" }] },
    headers: { "X-Signature": "sha256=ebee8603ef8cbb30aeb3adf8c6c8745e88166813124b4b03bcb7de4a24a523b0" },
    body: '{"amount":99,"id":1}',
  },
  {
    name: "PyFly, an empty payload, its signature without the prefix",
    spec: { scheme: "pyfly", secrets: [{ value: "topsecret" }] },
    headers: { "X-Signature": "08525245d41d96cd1b6a931e7f3f580edda83032a233e8c36a5130565e6efa53" },
    body: "{}",
  },
  {
    name: "Slack, documentation of verifying requests",
    spec: { scheme: "slack", secrets: [{ value: "8f742231b10e8888abcd99yyyzzz85a5" }] },
    at: 1_531_420_618,
    headers: {
      "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
      "X-Slack-Request-Timestamp": "1531420618",
    },
    body:
      "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V" +
      "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=" +
      "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554" +
      "%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
  },
  {
    name: "Square, tests of its libraries",
    spec: { scheme: "square", secrets: [{ value: "asdf1234" }], publicUrl: "https://example.com/webhook" },
    headers: { "x-square-hmacsha256-signature": "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og=" },
    body: '{"hello":"world"}',
  },
  {
    name: "Standard Webhooks v1, tests of its libraries",
    spec: { scheme: "standard", secrets: [{ value: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }] },
    at: 1_614_265_330,
    headers: {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    body: '{"test": 2432232314}',
  },
  {
    name: "Standard Webhooks v1a, tests of the Svix server",
    spec: {
      scheme: "standard-ed25519",
      secrets: [{ value: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=" }],
    },
    at: 1_614_265_330,
    headers: {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature":
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
    },
    body: '{"test": 2432232314}',
  },
  {
    name: "HookBridge, two signatures while two keys are active",
    spec: { scheme: "hookbridge", secrets: [{ value: "whsec_selfhost_test_key_two" }] },
    at: 1_767_225_600,
    headers: {
      "X-Webhook-Timestamp": "1767225600",
      "X-Webhook-Signature":
        "sha256=ea4be8fa1051ad5d24924088f73c832275f57a97361508eb51859fba940c59f4," +
        "sha256=fba7ba410381f39bc215d2eedebfbdd615a428d8b52d4f85d37170786d87503f",
    },
    body: '{"event":"demo.ping","n":1}',
  },
  {
    name: "Posthook, a body with a big integer, two signatures while a key retires",
    spec: { scheme: "posthook", secrets: [{ value: "ph_sk_vector_b" }] },
    at: 1_767_225_600,
    headers: {
      "Posthook-Timestamp": "1767225600",
      "Posthook-Signature":
        "v1,9923f878cafc506e0ee94978a2496d9e9fbfcd55f3fc1a9345404e8f9b1e4966 " +
        "v1,52eaa8252e18b27f622bd2b865e70eb5d26c02c0f341b9c2a72032c8818f3c9c",
    },
    body: POSTHOOK_BODY,
  },
];

describe("published vectors", () => {
  for (const { name, spec, at = 0, headers, body, url = "/in/source" } of VECTORS) {
    test(name, () => {
      expect(outcome(verify(spec, arrive(headers, body, url), at * 1_000))).toBe("ok");
      const tampered = arrive(headers, `${body}1`, url);
      expect(outcome(verify(spec, tampered, at * 1_000))).toBe("signature_mismatch");
    });
  }
});
