/** What is sent under each scheme, judged by the receiver's own library where there is one, and by ours. */

import { afterAll, beforeAll, describe, expect, setSystemTime, test } from "bun:test";
import { createPublicKey, verify as verifyBytes } from "node:crypto";
import { verify as githubAccepts } from "@octokit/webhooks-methods";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import {
  publicKeysOf,
  type Secret,
  type SignSpec,
  signAll,
  signHeaders,
  type VerifySpec,
  verify,
} from "../../../src/domain/signature/index.ts";
import { NOW, NOW_SECONDS } from "./requests.ts";

const BODY = '{"type":"order.placed","city":"Zürich 😀","big":9007199254740993}';
const SEED = Buffer.from(Array.from({ length: 32 }, (_, index) => index + 1));
const PRIVATE = `whsk_${SEED.toString("base64")}`;
const OTHER_PRIVATE = `whsk_${Buffer.alloc(32, 7).toString("base64")}`;
const [PUBLIC = "", OTHER_PUBLIC = ""] = publicKeysOf([
  { scheme: "standard-ed25519", secrets: [{ value: PRIVATE }, { value: OTHER_PRIVATE }] },
]);
const WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

function headersOf(spec: SignSpec | readonly SignSpec[], body = BODY, now = NOW): Record<string, string> {
  const input = { id: "evt_1", timestamp: Math.floor(now / 1_000), body: Buffer.from(body), now };
  const list = "scheme" in spec ? signHeaders(spec, input) : signAll(spec, input);
  return Object.fromEntries(list);
}

function weAccept(spec: VerifySpec, headers: Record<string, string>, body = BODY): boolean {
  const request = { body: Buffer.from(body), headers: new Headers(headers), url: "/" };
  return verify(spec, request, NOW).ok;
}

beforeAll(() => void setSystemTime(new Date(NOW)));
afterAll(() => void setSystemTime());

interface Scheme {
  readonly scheme: Exclude<SignSpec["scheme"], "custom">;
  readonly keys: readonly [current: string, old: string];
  /** What a receiver holds, when it is not the key itself. */
  readonly receiverKeys?: readonly [string, string];
  /** Exactly as they stand on the wire, in their order. */
  readonly names: readonly string[];
  /** Both keys are on the wire during a rotation. */
  readonly hasBoth: boolean;
  readonly accepts: (key: string, headers: Record<string, string>, body: string) => unknown;
}

/** Pingback has no rule of our own to verify with: its protocol's own text, section 3.4. */
function pingbackAccepts(key: string, headers: Record<string, string>, body: string): boolean {
  const hash = new Bun.CryptoHasher("sha256", key).update(`${headers["X-Pingback-Timestamp"]}.${body}`);
  return hash.digest("hex") === headers["X-Pingback-Signature"];
}

const ours = (scheme: "hookbridge" | "posthook" | "standard-ed25519"): Scheme["accepts"] => {
  return (key, headers, body) => weAccept({ scheme, secrets: [{ value: key }] }, headers, body);
};

const SCHEMES: readonly Scheme[] = [
  {
    scheme: "standard",
    keys: [WHSEC, OTHER_WHSEC],
    names: ["webhook-id", "webhook-timestamp", "webhook-signature"],
    hasBoth: true,
    accepts: (key, headers, body) => {
      new StandardWebhook(key).verify(body, headers);
      // The other library of the same standard knows these names beside its own. Both throw to refuse.
      new SvixWebhook(key).verify(body, headers);
      return true;
    },
  },
  {
    scheme: "standard-ed25519",
    keys: [PRIVATE, OTHER_PRIVATE],
    receiverKeys: [PUBLIC, OTHER_PUBLIC],
    names: ["webhook-id", "webhook-timestamp", "webhook-signature"],
    hasBoth: true,
    accepts: ours("standard-ed25519"),
  },
  {
    scheme: "hookbridge",
    keys: ["whsec_selfhost_test_key_one", "whsec_selfhost_test_key_two"],
    names: ["X-Webhook-Id", "X-Webhook-Timestamp", "X-Webhook-Signature"],
    hasBoth: true,
    accepts: ours("hookbridge"),
  },
  {
    scheme: "posthook",
    keys: ["ph_sk_vector_a", "ph_sk_vector_b"],
    names: ["Posthook-Id", "Posthook-Timestamp", "Posthook-Signature", "X-Ph-Signature"],
    hasBoth: true,
    accepts: ours("posthook"),
  },
  {
    scheme: "pingback",
    keys: ["cron-secret-123", "cron-secret-124"],
    names: ["X-Pingback-Timestamp", "X-Pingback-Signature"],
    hasBoth: false,
    accepts: pingbackAccepts,
  },
  {
    scheme: "pyfly",
    keys: ["topsecret", "oldsecret"],
    names: ["X-Pyfly-Signature"],
    hasBoth: false,
    accepts: (key, headers, body) => {
      const signature = headers["X-Pyfly-Signature"] ?? "";
      return weAccept({ scheme: "pyfly", secrets: [{ value: key }] }, { "X-Signature": signature }, body);
    },
  },
  {
    scheme: "github",
    keys: ["It's a Secret to Everybody", "an older one"],
    names: ["X-Hub-Signature-256"],
    hasBoth: false,
    accepts: (key, headers, body) => githubAccepts(key, body, headers["X-Hub-Signature-256"] ?? ""),
  },
  {
    scheme: "stripe",
    keys: ["whsec_x", "whsec_y"],
    names: ["Stripe-Signature"],
    hasBoth: true,
    accepts: async (key, headers, body) => {
      const event = await Stripe.webhooks.constructEventAsync(body, headers["Stripe-Signature"] ?? "", key);
      return event !== undefined;
    },
  },
];

async function isAccepted({ accepts }: Scheme, ...request: Parameters<Scheme["accepts"]>): Promise<boolean> {
  try {
    return (await accepts(...request)) === true;
  } catch {
    return false;
  }
}

describe.each(SCHEMES)("sign $scheme", (scheme) => {
  const [current, old] = scheme.keys;
  const [currentKey, oldKey] = scheme.receiverKeys ?? scheme.keys;
  const specOf = (secrets: readonly Secret[]): SignSpec => ({ scheme: scheme.scheme, secrets });

  test("has its headers in the product's spelling", () => {
    expect(Object.keys(headersOf(specOf([{ value: current }])))).toEqual([...scheme.names]);
  });

  test("is accepted by its receiver, and only with the right key and the whole body", async () => {
    const headers = headersOf(specOf([{ value: current }]));
    expect(await isAccepted(scheme, currentKey, headers, BODY)).toBe(true);
    expect(await isAccepted(scheme, oldKey, headers, BODY)).toBe(false);
    expect(await isAccepted(scheme, currentKey, headers, `${BODY} `)).toBe(false);
  });

  test("during a rotation the old key signs along where the scheme has room, until its date", async () => {
    const rotating = specOf([{ value: current }, { value: old, until: NOW }]);
    const during = headersOf(rotating);
    expect(await isAccepted(scheme, currentKey, during, BODY)).toBe(true);
    expect(await isAccepted(scheme, oldKey, during, BODY)).toBe(scheme.hasBoth);
    expect(headersOf(specOf([{ value: current }, { value: old, until: NOW - 1 }]))).toEqual(
      headersOf(specOf([{ value: current }])),
    );
  });

  test("the first key signs when all have expired", () => {
    const expired = specOf([
      { value: current, until: NOW - 2 },
      { value: old, until: NOW - 1 },
    ]);
    expect(headersOf(expired)).toEqual(headersOf(specOf([{ value: current }])));
  });

  test.each([[[]], [[{ value: "" }]]])("cannot be prepared with the secrets %j", (secrets) => {
    expect(() => headersOf(specOf(secrets))).toThrow();
  });
});

describe("the vectors of the protocols", () => {
  const at = (seconds: number, spec: SignSpec, body: string) => headersOf(spec, body, seconds * 1_000);

  test("HookBridge section 11.2: the oldest key's signature first", () => {
    const secrets = [{ value: "whsec_selfhost_test_key_two" }, { value: "whsec_selfhost_test_key_one" }];
    const headers = at(1_767_225_600, { scheme: "hookbridge", secrets }, '{"event":"demo.ping","n":1}');
    expect(headers["X-Webhook-Timestamp"]).toBe("1767225600");
    expect(headers["X-Webhook-Signature"]).toBe(
      "sha256=ea4be8fa1051ad5d24924088f73c832275f57a97361508eb51859fba940c59f4," +
        "sha256=fba7ba410381f39bc215d2eedebfbdd615a428d8b52d4f85d37170786d87503f",
    );
  });

  test("Posthook section 12: both keys, the active one first and alone in the legacy header", () => {
    const secrets = [{ value: "ph_sk_vector_a" }, { value: "ph_sk_vector_b" }];
    const body =
      '{"id":"3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e12","path":"/webhooks/demo",' +
      '"postAt":"2026-01-01T00:00:00Z","postedAt":"2026-01-01T00:00:00.250Z",' +
      '"data":{"city":"Zürich","big":9007199254740993},' +
      '"createdAt":"2025-12-31T23:59:00Z","updatedAt":"2025-12-31T23:59:00Z"}';
    expect(at(1_767_225_600, { scheme: "posthook", secrets }, body)).toEqual({
      "Posthook-Id": "evt_1",
      "Posthook-Timestamp": "1767225600",
      "Posthook-Signature":
        "v1,9923f878cafc506e0ee94978a2496d9e9fbfcd55f3fc1a9345404e8f9b1e4966 " +
        "v1,52eaa8252e18b27f622bd2b865e70eb5d26c02c0f341b9c2a72032c8818f3c9c",
      "X-Ph-Signature": "16817f591036d6953d389085a9b747e85d627b20763b1948dbdf7ce155158bdf",
    });
  });

  test("Pingback section 3.4: bare lower-case hex", () => {
    const secrets = [{ value: "cron-secret-123" }];
    const body =
      '{"function":"send-email","executionId":"00000000-0000-4000-8000-000000000002","attempt":2,' +
      '"scheduledAt":"2026-05-01T03:00:00.000Z","payload":{"to":"zoë@example.com","n":1,"html":"<b>&</b>"}}';
    expect(at(1_777_604_400, { scheme: "pingback", secrets }, body)).toEqual({
      "X-Pingback-Timestamp": "1777604400",
      "X-Pingback-Signature": "9722e433729ae6f87dc5ccab526fc37351bb974aa8eef369b39ceb7e980bf7fe",
    });
  });

  test("PyFly section 5: nothing but the body is signed", () => {
    const spec: SignSpec = { scheme: "pyfly", secrets: [{ value: "topsecret" }] };
    const body = '{"amount":99,"id":1}';
    expect(at(1, spec, body)).toEqual({
      "X-Pyfly-Signature": "sha256=ebee8603ef8cbb30aeb3adf8c6c8745e88166813124b4b03bcb7de4a24a523b0",
    });
    expect(at(2, spec, body)).toEqual(at(1, spec, body));
  });

  test("GitHub, documentation of validating webhook deliveries", () => {
    const secrets = [{ value: "It's a Secret to Everybody" }];
    expect(headersOf({ scheme: "github", secrets }, "Hello, World!")).toEqual({
      "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    });
  });

  test("RFC 8032 section 7.1, test 1: the public key of a private one", () => {
    const seed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
    const publicKey = Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex");
    const secrets = [
      { value: `whsk_${seed.toString("base64")}` },
      { value: `whsk_${Buffer.concat([seed, publicKey]).toString("base64")}` },
    ];
    const shown = `whpk_${publicKey.toString("base64")}`;
    expect(publicKeysOf([{ scheme: "standard-ed25519", secrets }])).toEqual([shown, shown]);
  });
});

describe("standard-ed25519", () => {
  test("the signature is one that any Ed25519 verification accepts", () => {
    const headers = headersOf({ scheme: "standard-ed25519", secrets: [{ value: PRIVATE }] });
    const x = Buffer.from(PUBLIC.slice(5), "base64").toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const signature = headers["webhook-signature"] ?? "";
    expect(signature).toMatch(/^v1a,[A-Za-z0-9+/]{86}==$/);
    const text = Buffer.from(`evt_1.${NOW_SECONDS}.${BODY}`);
    expect(verifyBytes(null, text, key, Buffer.from(signature.slice(4), "base64"))).toBe(true);
  });

  test.each([
    ["a short key", `whsk_${Buffer.alloc(16).toString("base64")}`],
    ["a public key in its place", "whpk_not-a-key"],
    ["halves of two keys", `whsk_${Buffer.concat([SEED, Buffer.alloc(32, 9)]).toString("base64")}`],
  ])("refuses %s", (_name, value) => {
    expect(() => headersOf({ scheme: "standard-ed25519", secrets: [{ value }] })).toThrow("Ed25519");
  });
});

describe("custom", () => {
  const CUSTOM = { scheme: "custom", header: "X-Acme-Sig", algorithm: "sha256", encoding: "hex" } as const;

  test.each([
    ["sha1", "hex", 40],
    ["sha256", "base64", 44],
    ["sha512", "base64url", 86],
  ] as const)("%s in %s is what the inbound hmac rule accepts", (algorithm, encoding, length) => {
    const form = {
      header: "X-Acme-Sig",
      algorithm,
      encoding,
      prefix: "k1=",
      template: "{id}:{timestamp}:{body}",
    };
    const named = { timestampHeader: "X-Acme-Time", idHeader: "X-Acme-Id", secrets: [{ value: "s" }] };
    const headers = headersOf({ scheme: "custom", ...form, ...named });
    expect(Object.keys(headers)).toEqual(["X-Acme-Sig", "X-Acme-Time", "X-Acme-Id"]);
    expect(headers["X-Acme-Sig"]).toHaveLength("k1=".length + length);
    expect(weAccept({ scheme: "hmac", ...form, ...named }, headers)).toBe(true);
    expect(weAccept({ scheme: "hmac", ...form, ...named }, headers, `${BODY} `)).toBe(false);
  });

  test("with a separator every valid key signs, without one only the first", () => {
    const secrets = [{ value: "new" }, { value: "old", until: NOW }];
    const [one, two] = secrets.map(
      ({ value }) => headersOf({ ...CUSTOM, secrets: [{ value }] })["X-Acme-Sig"] ?? "",
    );
    expect(headersOf({ ...CUSTOM, secrets, separator: " " })["X-Acme-Sig"]).toBe(`${one} ${two}`);
    expect(headersOf({ ...CUSTOM, secrets })["X-Acme-Sig"]).toBe(one ?? "");
  });

  test.each([
    [{ header: "X Acme" }],
    [{ template: "no body" }],
    [{ template: "{body}{url}" }],
    [{ template: "{body}{secret}" }],
    [{ idHeader: "x-acme-sig" }],
  ])("refuses %j", (change) => {
    expect(() => headersOf({ ...CUSTOM, ...change, secrets: [{ value: "s" }] })).toThrow();
  });
});

describe("several schemes on one delivery", () => {
  const ALL: readonly SignSpec[] = [
    { scheme: "standard", secrets: [{ value: WHSEC }] },
    { scheme: "standard-ed25519", secrets: [{ value: PRIVATE }] },
    { scheme: "github", secrets: [{ value: "gh" }] },
    { scheme: "stripe", secrets: [{ value: "whsec_x" }] },
  ];

  test("each receiver finds its own, and both kinds of Standard Webhooks share a header", async () => {
    const headers = headersOf(ALL);
    expect(headers["webhook-signature"]).toMatch(/^v1,\S+ v1a,\S+$/);
    expect(() => new StandardWebhook(WHSEC).verify(BODY, headers)).not.toThrow();
    expect(weAccept({ scheme: "standard-ed25519", secrets: [{ value: PUBLIC }] }, headers)).toBe(true);
    expect(await githubAccepts("gh", BODY, headers["X-Hub-Signature-256"] ?? "")).toBe(true);
    const event = Stripe.webhooks.constructEventAsync(BODY, headers["Stripe-Signature"] ?? "", "whsec_x");
    expect(await event).toMatchObject({ type: "order.placed" });
  });

  test("no scheme, no header", () => {
    expect(headersOf([])).toEqual({});
  });
});
