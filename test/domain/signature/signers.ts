/**
 * Signs as each provider does, made from its documentation with node:crypto alone: what judges our verifier
 * must not be made of it.
 */

import { createHmac, createPrivateKey, createPublicKey, sign as signEd25519 } from "node:crypto";
import type { VerifySpec } from "../../../src/domain/signature/index.ts";
import { type HeaderList, NOW_SECONDS } from "./requests.ts";

/** As the provider calls it, where that is signed. */
export const CALLED_URL = "https://hooks.example.com/in/source?from=provider";

type PresetScheme = Exclude<VerifySpec["scheme"], "none" | "token" | "basic" | "hmac" | "hookbridge-inbound">;

export interface Preset {
  readonly scheme: PresetScheme;
  /** A right key and a wrong one: what signs, and what is configured. The same text where HMAC is used. */
  readonly keys: readonly [Key, Key];
  readonly publicUrl?: string;
  readonly signatureHeader: string;
  /** Named when the time is a header. */
  readonly timestampHeader?: string;
  readonly malformed: string;
  /** The body itself says when it was sent. */
  readonly isTimeInBody?: true;
  readonly sign: (key: string, timestamp: string, body: string) => HeaderList;
}

export interface Key {
  readonly signs: string;
  readonly verifies: string;
}

const shared = (text: string): Key => ({ signs: text, verifies: text });
const TEXT_KEYS = [shared("whsec_text key"), shared("whsec_wrong key")] as const;
const BASE64_KEYS = [shared("whsec_cmlnaHQga2V5"), shared("whsec_d3Jvbmcga2V5")] as const;

export const hex = (key: string, text: string) => createHmac("sha256", key).update(text).digest("hex");
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

export const PRESETS: readonly Preset[] = [
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
    publicUrl: CALLED_URL,
    signatureHeader: "x-square-hmacsha256-signature",
    malformed: "AAAA",
    sign: (key, _timestamp, body) => ({ "x-square-hmacsha256-signature": base64(key, CALLED_URL + body) }),
  },
  {
    scheme: "linear",
    keys: TEXT_KEYS,
    signatureHeader: "Linear-Signature",
    malformed: "0".repeat(63),
    isTimeInBody: true,
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

/** What Twilio signs of a form: the fields by their names, of one name each value once, run together. */
export function formText(body: string): string {
  const fields = new URLSearchParams(body);
  const names = [...new Set(fields.keys())].sort();
  return names
    .flatMap((name) => [...new Set(fields.getAll(name))].sort().map((value) => name + value))
    .join("");
}

/** The schemes whose keys, headers or answers are of another shape than those of the presets above. */
const OTHERS: readonly Scheme[] = [
  {
    spec: { scheme: "stripe", secrets: [{ value: "whsec_text key" }] },
    sign: (time, body) => ({
      "Stripe-Signature": `t=${time},v1=${hex("whsec_text key", `${time}.${body}`)}`,
    }),
  },
  {
    spec: { scheme: "github", secrets: [{ value: "whsec_text key" }] },
    sign: (_time, body) => ({ "X-Hub-Signature-256": `sha256=${hex("whsec_text key", body)}` }),
  },
  {
    spec: { scheme: "standard", secrets: [{ value: "whsec_cmlnaHQga2V5" }] },
    sign: (time, body) => ({
      "webhook-id": "msg_1",
      "webhook-timestamp": time,
      "webhook-signature": `v1,${base64(Buffer.from("right key"), `msg_1.${time}.${body}`)}`,
    }),
  },
  {
    spec: {
      scheme: "hmac",
      header: "X-Signature",
      algorithm: "sha512",
      encoding: "base64url",
      separator: ",",
      prefix: "v1=",
      template: "{id}.{timestamp}.{url}.{body}",
      timestampHeader: "X-Timestamp",
      idHeader: "X-Id",
      publicUrl: CALLED_URL,
      secrets: [{ value: "whsec_text key" }],
    },
    sign: (time, body) => {
      const hmac = createHmac("sha512", "whsec_text key").update(`1.${time}.${CALLED_URL}.${body}`);
      return { "X-Signature": `v1=${hmac.digest("base64url")}`, "X-Timestamp": time, "X-Id": "1" };
    },
  },
  {
    spec: { scheme: "twilio", secrets: [{ value: "token" }], publicUrl: CALLED_URL },
    isForm: true,
    sign: (_time, body) => ({
      "Content-Type": "application/x-www-form-urlencoded",
      "X-Twilio-Signature": createHmac("sha1", "token")
        .update(CALLED_URL + formText(body))
        .digest("base64"),
    }),
  },
  {
    spec: { scheme: "gitlab", secrets: [{ value: "token" }] },
    isBodyUnsigned: true,
    sign: () => ({ "X-Gitlab-Token": "token" }),
  },
  {
    spec: { scheme: "token", header: "X-Token", secrets: [{ value: "token" }] },
    isBodyUnsigned: true,
    sign: () => ({ "X-Token": "token" }),
  },
  {
    spec: { scheme: "basic", username: "user", secrets: [{ value: "password" }] },
    isBodyUnsigned: true,
    sign: () => ({ Authorization: `Basic ${Buffer.from("user:password").toString("base64")}` }),
  },
];

export interface Scheme {
  readonly spec: VerifySpec;
  /** The body is a form, and it is its fields that are signed. */
  readonly isForm?: true;
  /** Only a credential travels along. */
  readonly isBodyUnsigned?: true;
  /** The time is the text of Unix seconds; a body of Linear must have its own besides. */
  readonly sign: (timestamp: string, body: string) => HeaderList;
}

/** Every scheme that checks anything, with a rule and what satisfies it. */
export const SCHEMES: readonly Scheme[] = [
  ...PRESETS.map(({ scheme, keys: [key], publicUrl, sign }): Scheme => {
    const url = publicUrl === undefined ? {} : { publicUrl };
    const spec: VerifySpec = { scheme, secrets: [{ value: key.verifies }], ...url };
    return { spec, sign: (timestamp, body) => sign(key.signs, timestamp, body) };
  }),
  ...OTHERS,
];
