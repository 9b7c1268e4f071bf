/**
 * Each preset against an independent signer, made from the provider's documentation with node:crypto alone.
 */

import { describe, expect, test } from "bun:test";
import { createHash, createHmac, createPrivateKey, createPublicKey, sign as signEd25519 } from "node:crypto";
import { prepareVerify, type Secret, type VerifySpec, verify } from "../../../src/domain/signature/index.ts";
import { arrive, type HeaderList, NOW, NOW_SECONDS, outcome } from "./requests.ts";

const BODY = '{"event":"invoice.paid","note":"Zoë 😀"}';
const URL = "https://hooks.example.com/in/square";

type PresetScheme = Exclude<VerifySpec["scheme"], "none" | "token" | "basic" | "hmac">;

interface Preset {
  readonly scheme: PresetScheme;
  /** A right key and a wrong one: what signs, and what is configured. The same text where HMAC is used. */
  readonly keys: readonly [Key, Key];
  readonly publicUrl?: string;
  readonly signatureHeader: string;
  /** Named when the time is a header. */
  readonly timestampHeader?: string;
  readonly malformed: string;
  readonly sign: (key: string, timestamp: string, body: string) => HeaderList;
}

interface Key {
  readonly signs: string;
  readonly verifies: string;
}

const shared = (text: string): Key => ({ signs: text, verifies: text });
const TEXT_KEYS = [shared("whsec_text key"), shared("whsec_wrong key")] as const;
const BASE64_KEYS = [shared("whsec_cmlnaHQga2V5"), shared("whsec_d3Jvbmcga2V5")] as const;

const hex = (key: string, text: string) => createHmac("sha256", key).update(text).digest("hex");
const base64 = (key: string | Buffer, text: string) =>
  createHmac("sha256", key).update(text).digest("base64");

/** RFC 8032 section 7.1: the secret keys of tests 1 and 2. */
const SEEDS = [
  "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
  "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
] as const;

/** RFC 8410 section 7: the fixed bytes before the seed of an Ed25519 key in PKCS #8. */
const PKCS8_PREFIX = "302e020100300506032b657004220420";

function privateKey(seed: string) {
  return createPrivateKey({ key: Buffer.from(PKCS8_PREFIX + seed, "hex"), format: "der", type: "pkcs8" });
}

function publicBytes(seed: string): Buffer {
  const { x = "" } = createPublicKey(privateKey(seed)).export({ format: "jwk" });
  return Buffer.from(x, "base64url");
}

const edSign = (seed: string, text: string) => signEd25519(null, Buffer.from(text), privateKey(seed));
const [seedA, seedB] = SEEDS;
const standardKeys = (seed: string): Key => ({
  signs: seed,
  verifies: `whpk_${publicBytes(seed).toString("base64")}`,
});
const discordKeys = (seed: string): Key => ({ signs: seed, verifies: publicBytes(seed).toString("hex") });

const PRESETS: readonly Preset[] = [
  {
    scheme: "shopify",
    keys: TEXT_KEYS,
    signatureHeader: "X-Shopify-Hmac-Sha256",
    malformed: "not base64",
    sign: (key, _timestamp, body) => ({ "X-Shopify-Hmac-Sha256": base64(key, body) }),
  },
  {
    scheme: "slack",
    keys: TEXT_KEYS,
    signatureHeader: "X-Slack-Signature",
    timestampHeader: "X-Slack-Request-Timestamp",
    malformed: `v1=${"0".repeat(64)}`,
    sign: (key, timestamp, body) => ({
      "X-Slack-Signature": `v0=${hex(key, `v0:${timestamp}:${body}`)}`,
      "X-Slack-Request-Timestamp": timestamp,
    }),
  },
  {
    scheme: "zoom",
    keys: TEXT_KEYS,
    signatureHeader: "x-zm-signature",
    timestampHeader: "x-zm-request-timestamp",
    malformed: "v0=",
    sign: (key, timestamp, body) => ({
      "x-zm-signature": `v0=${hex(key, `v0:${timestamp}:${body}`)}`,
      "x-zm-request-timestamp": timestamp,
    }),
  },
  {
    scheme: "paddle",
    keys: TEXT_KEYS,
    signatureHeader: "Paddle-Signature",
    malformed: `ts=${NOW_SECONDS}`,
    sign: (key, timestamp, body) => ({
      "Paddle-Signature": `ts=${timestamp};h1=${hex(key, `${timestamp}:${body}`)}`,
    }),
  },
  {
    scheme: "square",
    keys: TEXT_KEYS,
    publicUrl: URL,
    signatureHeader: "x-square-hmacsha256-signature",
    malformed: "AAAA",
    sign: (key, _timestamp, body) => ({ "x-square-hmacsha256-signature": base64(key, URL + body) }),
  },
  {
    scheme: "linear",
    keys: TEXT_KEYS,
    signatureHeader: "Linear-Signature",
    malformed: "0".repeat(63),
    sign: (key, _timestamp, body) => ({ "Linear-Signature": hex(key, body) }),
  },
  {
    scheme: "hookbridge",
    keys: TEXT_KEYS,
    signatureHeader: "X-Webhook-Signature",
    timestampHeader: "X-Webhook-Timestamp",
    malformed: "0".repeat(64),
    sign: (key, timestamp, body) => ({
      "X-Webhook-Signature": `sha256=${hex(key, `${timestamp}.${body}`)}`,
      "X-Webhook-Timestamp": timestamp,
    }),
  },
  {
    scheme: "posthook",
    keys: TEXT_KEYS,
    signatureHeader: "Posthook-Signature",
    timestampHeader: "Posthook-Timestamp",
    malformed: `v2,${"0".repeat(64)}`,
    sign: (key, timestamp, body) => ({
      "Posthook-Signature": `v1,${hex(key, `${timestamp}.${body}`)}`,
      "Posthook-Timestamp": timestamp,
    }),
  },
  {
    scheme: "pyfly",
    keys: TEXT_KEYS,
    signatureHeader: "X-Signature",
    malformed: `sha1=${"0".repeat(40)}`,
    sign: (key, _timestamp, body) => ({ "X-Signature": `sha256=${hex(key, body)}` }),
  },
  {
    scheme: "svix",
    keys: BASE64_KEYS,
    signatureHeader: "svix-signature",
    timestampHeader: "svix-timestamp",
    malformed: "v2,AAAA",
    sign: (key, timestamp, body) => {
      const bytes = Buffer.from(key.slice("whsec_".length), "base64");
      return {
        "svix-id": "msg_1",
        "svix-timestamp": timestamp,
        "svix-signature": `v1,${base64(bytes, `msg_1.${timestamp}.${body}`)}`,
      };
    },
  },
  {
    scheme: "standard-ed25519",
    keys: [standardKeys(seedA), standardKeys(seedB)],
    signatureHeader: "webhook-signature",
    timestampHeader: "webhook-timestamp",
    malformed: `v1,${"A".repeat(86)}==`,
    sign: (seed, timestamp, body) => ({
      "webhook-id": "msg_1",
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1a,${edSign(seed, `msg_1.${timestamp}.${body}`).toString("base64")}`,
    }),
  },
  {
    scheme: "discord",
    keys: [discordKeys(seedA), discordKeys(seedB)],
    signatureHeader: "X-Signature-Ed25519",
    timestampHeader: "X-Signature-Timestamp",
    malformed: "0".repeat(64),
    sign: (seed, timestamp, body) => ({
      "X-Signature-Ed25519": edSign(seed, timestamp + body).toString("hex"),
      "X-Signature-Timestamp": timestamp,
    }),
  },
];

for (const preset of PRESETS) {
  const [right, wrong] = preset.keys;
  const url = preset.publicUrl === undefined ? {} : { publicUrl: preset.publicUrl };
  const specOf = (secrets: readonly Secret[]): VerifySpec => ({ scheme: preset.scheme, secrets, ...url });
  const spec = specOf([{ value: right.verifies }]);
  const at = (seconds: number) => preset.sign(right.signs, String(seconds), BODY);
  const good = at(NOW_SECONDS);
  const judge = (headers: HeaderList, body = BODY) => outcome(verify(spec, arrive(headers, body), NOW));

  describe(preset.scheme, () => {
    test("accepts a signed request, and one with an empty body", () => {
      expect(judge(good)).toBe("ok");
      expect(judge(preset.sign(right.signs, String(NOW_SECONDS), ""), "")).toBe("ok");
    });

    test("refuses a tampered body and a wrong key", () => {
      expect(judge(good, BODY.replace("paid", "void"))).toBe("signature_mismatch");
      expect(judge(preset.sign(wrong.signs, String(NOW_SECONDS), BODY))).toBe("signature_mismatch");
    });

    test.each(Object.keys(good))("refuses a request without %s", (name) => {
      expect(judge({ ...good, [name]: "" })).toBe("missing_signature");
    });

    test("refuses a malformed signature", () => {
      expect(judge({ ...good, [preset.signatureHeader]: preset.malformed })).toBe("malformed_signature");
    });

    test("accepts during a rotation, and says when the key was an old one", () => {
      const both = [{ value: wrong.verifies }, { value: right.verifies, until: NOW }];
      expect(outcome(verify(specOf(both), arrive(good, BODY), NOW))).toBe("ok");
      expect(verify(specOf(both), arrive(good, BODY), NOW + 1)).toMatchObject({
        reason: "signature_mismatch",
        diagnosis: { oldSecretUntil: NOW },
      });
    });

    if (at(NOW_SECONDS)[preset.signatureHeader] === at(NOW_SECONDS + 1)[preset.signatureHeader]) return;

    test("refuses what is older or newer than five minutes", () => {
      expect(judge(at(NOW_SECONDS - 300))).toBe("ok");
      expect(judge(at(NOW_SECONDS + 300))).toBe("ok");
      expect(judge(at(NOW_SECONDS - 301))).toBe("timestamp_out_of_tolerance");
      expect(judge(at(NOW_SECONDS + 301))).toBe("timestamp_out_of_tolerance");
    });

    const { timestampHeader } = preset;
    if (timestampHeader === undefined) return;

    test("refuses a time that was not signed, or is none", () => {
      expect(judge({ ...good, [timestampHeader]: String(NOW_SECONDS + 1) })).toBe("signature_mismatch");
      expect(judge({ ...good, [timestampHeader]: "today" })).toBe("malformed_signature");
    });
  });
}

describe("gitlab", () => {
  const spec: VerifySpec = { scheme: "gitlab", secrets: [{ value: "t1" }, { value: "t0", until: NOW - 1 }] };
  test.each<[string, HeaderList, string]>([
    ["the token", { "X-Gitlab-Token": "t1" }, "ok"],
    ["another token", { "X-Gitlab-Token": "t2" }, "token_mismatch"],
    ["an old token", { "X-Gitlab-Token": "t0" }, "token_mismatch"],
    ["an empty token", { "X-Gitlab-Token": "" }, "missing_token"],
    ["no token", {}, "missing_token"],
  ])("given %s", (_name, headers, expected) => {
    expect(outcome(verify(spec, arrive(headers, BODY), NOW))).toBe(expected);
  });
});

describe("linear's time in the body", () => {
  const spec: VerifySpec = { scheme: "linear", secrets: [{ value: "lin" }] };
  test.each([
    ["fresh", JSON.stringify({ webhookTimestamp: NOW - 300_000 }), "ok"],
    ["stale", JSON.stringify({ webhookTimestamp: NOW - 300_001 }), "timestamp_out_of_tolerance"],
    ["ahead", JSON.stringify({ webhookTimestamp: NOW + 300_001 }), "timestamp_out_of_tolerance"],
    ["beyond all numbers", '{"webhookTimestamp":1e999}', "timestamp_out_of_tolerance"],
    ["text", '{"webhookTimestamp":"now"}', "ok"],
    ["absent from null", "null", "ok"],
    ["absent from what is no JSON", "{", "ok"],
  ])("%s", (_name, body, expected) => {
    const request = arrive({ "Linear-Signature": hex("lin", body) }, body);
    expect(outcome(verify(spec, request, NOW))).toBe(expected);
  });
});

describe("twilio", () => {
  const secrets = [{ value: "12345" }];
  const called = "https://mycompany.com/myapp.php?foo=1&bar=2";
  const form = { "Content-Type": "application/x-www-form-urlencoded; charset=utf-8" };
  const sha1 = (text: string) => createHmac("sha1", "12345").update(text).digest("base64");
  const fields =
    "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE";
  const json = '{"property": "value", "boolean": true}';
  const jsonHash = createHash("sha256").update(json).digest("hex");
  const spec: VerifySpec = { scheme: "twilio", secrets };
  // The two signatures in full are those of the tests of Twilio's own libraries.
  const formSignature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
  const jsonSignature = "a9nBmqA0ju/hNViExpshrM61xv4=";
  const received = "http://127.0.0.1:8421/in/twilio?foo=1&bar=2";
  const behindProxy: VerifySpec = { ...spec, publicUrl: "https://mycompany.com/myapp.php" };
  const fixedQuery: VerifySpec = { ...spec, publicUrl: called };
  const hashed = `${called}&bodySHA256=${jsonHash}`;
  const bare = "https://mycompany.com/in";

  interface Row {
    readonly name: string;
    readonly spec?: VerifySpec;
    readonly url: string;
    readonly body: string;
    readonly signature: string;
    readonly isForm: boolean;
    readonly expected: string;
  }
  const right: Row = {
    name: "accepts a form",
    url: called,
    body: fields,
    signature: formSignature,
    isForm: true,
    expected: "ok",
  };
  const hashedRight: Row = {
    name: "accepts a body whose hash is in the URL",
    url: hashed,
    body: json,
    signature: jsonSignature,
    isForm: false,
    expected: "ok",
  };
  const rows: readonly Row[] = [
    right,
    { ...right, name: "puts the public URL before the query it received", spec: behindProxy, url: received },
    { ...right, name: "takes a public URL with a query as it is", spec: fixedQuery, url: "/in/twilio" },
    {
      ...right,
      name: "signs a repeated field in the order received",
      url: bare,
      body: "b=1&a=3&a=2&B=0",
      signature: sha1(`${bare}B0a3a2b1`),
    },
    {
      ...right,
      name: "signs the decoded text of a field",
      url: bare,
      body: "a=x+y%20%C3%BC&empty=",
      signature: sha1(`${bare}ax y üempty`),
    },
    {
      ...right,
      name: "accepts a request without a body",
      url: bare,
      body: "",
      isForm: false,
      signature: sha1(bare),
    },
    hashedRight,
    {
      ...right,
      name: "refuses a changed field",
      body: fields.replace("1234&", "1235&"),
      expected: "signature_mismatch",
    },
    { ...right, name: "refuses another URL", url: `${called}&x=1`, expected: "signature_mismatch" },
    { ...right, name: "refuses the URL behind the proxy", url: received, expected: "signature_mismatch" },
    {
      ...right,
      name: "refuses a wrong token",
      spec: { ...spec, secrets: [{ value: "54321" }] },
      expected: "signature_mismatch",
    },
    { ...right, name: "refuses a missing signature", signature: "", expected: "missing_signature" },
    {
      ...right,
      name: "refuses a signature that is no base64",
      signature: "%%%",
      expected: "malformed_signature",
    },
    {
      ...hashedRight,
      name: "refuses a body that its hash does not match",
      body: `${json} `,
      expected: "signature_mismatch",
    },
    {
      ...hashedRight,
      name: "refuses a hash that was not signed",
      url: hashed.replace("0a1ff", "0b1ff"),
      expected: "signature_mismatch",
    },
    {
      ...hashedRight,
      name: "refuses an uncovered body",
      url: bare,
      signature: sha1(bare),
      expected: "malformed_signature",
    },
  ];
  for (const { name, spec: rowSpec = spec, url, body, signature, isForm, expected } of rows) {
    test(name, () => {
      const headers = { "X-Twilio-Signature": signature, ...(isForm ? form : {}) };
      expect(outcome(verify(rowSpec, arrive(headers, body, url), NOW))).toBe(expected);
    });
  }
});

describe("what presets need", () => {
  test("square needs the public URL", () => {
    expect(() => prepareVerify({ scheme: "square", secrets: [{ value: "s" }] })).toThrow(
      "publicUrl is needed",
    );
  });

  test.each(["standard-ed25519", "discord"] as const)("%s needs keys of 32 bytes", (scheme) => {
    expect(() => prepareVerify({ scheme, secrets: [{ value: "abcd" }] })).toThrow("has 32 bytes");
  });
});
