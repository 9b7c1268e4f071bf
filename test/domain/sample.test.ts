/** Samples pass our own verification and the providers' own; what they sign matches published vectors. */
import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import { createHmac } from "node:crypto";
import { verify as verifyGithub } from "@octokit/webhooks-methods";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import {
  readSampleName,
  type Sample,
  type SampleInput,
  type SamplePreset,
  sampleEvent,
  samplePresets,
} from "../../src/domain/sample/index.ts";
import { type SampleRequest, signSample } from "../../src/domain/sample/signing.ts";
import { type VerifySpec, verify } from "../../src/domain/signature/index.ts";
import { arrive, flip, NOW, NOW_SECONDS, outcome } from "./signature/requests.ts";

afterEach(() => setSystemTime());

const SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const secrets = [{ value: "gone", until: NOW - 1 }, { value: SECRET }];
const URL_CALLED = "http://127.0.0.1:8420/in/source";

const SPECS: Readonly<Record<Exclude<SamplePreset, "plain">, VerifySpec>> = {
  stripe: { scheme: "stripe", secrets },
  github: { scheme: "github", secrets },
  gitlab: { scheme: "gitlab", secrets },
  shopify: { scheme: "shopify", secrets },
  slack: { scheme: "slack", secrets },
  twilio: { scheme: "twilio", secrets, publicUrl: "https://hooks.example.com/in/source" },
  paddle: { scheme: "paddle", secrets },
  linear: { scheme: "linear", secrets },
  zoom: { scheme: "zoom", secrets },
  square: { scheme: "square", secrets, publicUrl: "https://hooks.example.com/in/source" },
  standard: { scheme: "standard", secrets },
  svix: { scheme: "svix", secrets },
  hookbridge: { scheme: "hookbridge", secrets },
  posthook: { scheme: "posthook", secrets },
  pyfly: { scheme: "pyfly", secrets },
};
const HMAC: VerifySpec = {
  scheme: "hmac",
  header: "X-Acme-Signature",
  algorithm: "sha512",
  encoding: "base64url",
  prefix: "v1=",
  template: "{id}|{timestamp}|{url}|{body}",
  timestampHeader: "X-Acme-Timestamp",
  idHeader: "X-Acme-Id",
  publicUrl: "https://hooks.example.com/in/source",
  secrets,
};

function make(input: Partial<SampleInput> & Pick<SampleInput, "preset" | "verify">): Sample {
  const result = sampleEvent({ type: "invoice.paid", id: "evt_sample", now: NOW, url: URL_CALLED, ...input });
  if (!result.ok) throw new Error(result.detail);
  return result.sample;
}

const judge = (spec: VerifySpec, { headers, body, url }: Sample, now = NOW) =>
  outcome(verify(spec, arrive(headers, body, url), now));

const PRESETS = samplePresets();

test.each([
  [{}],
  [{ timestampHeader: "X-Acme-Time" }],
  [{ timestampHeader: "X-Acme-Signature" }],
])("a sample passes a rule of hookbridge-inbound with %p", (timed) => {
  const spec: VerifySpec = { scheme: "hookbridge-inbound", header: "X-Acme-Signature", secrets, ...timed };
  const sample = make({ preset: "plain", verify: [spec] });
  expect(judge(spec, sample)).toBe("ok");
  const isTimed = spec.timestampHeader !== undefined;
  expect(judge(spec, sample, NOW + 6 * 60_000)).toBe(isTimed ? "timestamp_out_of_tolerance" : "ok");
});

describe.each(PRESETS)("a sample of $preset", ({ preset, types }) => {
  const specs = preset === "plain" ? [HMAC] : [SPECS[preset]];
  const [spec = HMAC] = specs;

  test.each([...types, "something.else", "x"])("of type %p passes its source's rule", (type) => {
    const sample = make({ preset, type, verify: specs });
    expect(judge(spec, sample)).toBe("ok");
    expect(sample.body + JSON.stringify(sample.headers)).toContain(type.split(/[./]/).at(-1) as string);
  });

  test("does not pass when a byte changes, or under another secret", () => {
    const sample = make({ preset, verify: specs });
    const others = make({ preset, verify: [{ ...spec, secrets: [{ value: "other" }] } as VerifySpec] });
    expect(judge(spec, others)).not.toBe("ok");
    if (preset === "gitlab") return;
    expect(judge(spec, { ...sample, body: flip(sample.body, 20) })).toBe("signature_mismatch");
  });

  test("is the same for the same seed, and another for another id", () => {
    const sample = make({ preset, verify: specs });
    expect(make({ preset, verify: specs })).toEqual(sample);
    expect(make({ preset, verify: specs, id: "other" })).not.toEqual(sample);
  });

  test("can be sent to a source with any other rule", () => {
    const rules: VerifySpec[] = [
      HMAC,
      { scheme: "basic", username: "u", secrets },
      SPECS.standard,
      SPECS.stripe,
    ];
    const sample = make({ preset, verify: rules });
    for (const rule of rules) expect(judge(rule, sample)).toBe("ok");
  });
});

describe("the providers' libraries accept", () => {
  test("what is signed for Stripe, and read it as an event", async () => {
    const { headers, body } = make({ preset: "stripe", verify: [SPECS.stripe] });
    const event = await new Stripe("sk_test_unused").webhooks.constructEventAsync(
      body,
      headers["Stripe-Signature"] ?? "",
      SECRET,
      300,
      undefined,
      NOW,
    );
    expect(event).toMatchObject({ object: "event", type: "invoice.paid", livemode: false });
    expect(event.data.object).toMatchObject({ object: "invoice", status: "paid", amount_paid: 2_000 });
  });

  test("what is signed for GitHub", async () => {
    const { headers, body } = make({ preset: "github", type: "push", verify: [SPECS.github] });
    expect(await verifyGithub(SECRET, body, headers["X-Hub-Signature-256"] ?? "")).toBe(true);
    expect(headers["X-GitHub-Event"]).toBe("push");
  });

  test.each<["standard" | "svix"]>([["standard"], ["svix"]])("what is signed for %p", (preset) => {
    setSystemTime(NOW);
    const { headers, body } = make({ preset, verify: [SPECS[preset]] });
    const named = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.replace("svix-", "webhook-"), value]),
    );
    expect(new Webhook(SECRET).verify(body, named)).toMatchObject({ type: "invoice.paid" });
  });
});

describe("signatures match vectors", () => {
  const sign = (spec: VerifySpec, request: Partial<SampleRequest> & { readonly text: string }) => {
    const body = Buffer.from(request.text);
    const signature = signSample(spec, { id: "i", now: NOW, url: URL_CALLED, form: null, ...request, body });
    return Object.fromEntries(signature?.headers ?? []);
  };

  // Stripe and GitHub: computed for section 9.3 of the description of PyFly's inbound part.
  test("of Stripe and GitHub", () => {
    const text = '{"type":"invoice.paid"}';
    const v1 = "f914d7be46044a2c02b73f7b14a0bfcf9be837106696ba2cbb86f9ccba4ac911";
    expect(sign({ scheme: "stripe", secrets: [{ value: "whsec_x" }] }, { text })).toEqual({
      "Stripe-Signature": `t=${NOW_SECONDS},v1=${v1}`,
    });
    expect(sign({ scheme: "github", secrets: [{ value: "ghsecret" }] }, { text })).toEqual({
      "X-Hub-Signature-256": "sha256=b522e34940ee575fb3be09929429d102874d15d9955f377f8821a7bb3a55a1d8",
    });
  });

  // The same section.
  test("of Twilio", () => {
    const form = { To: "+15550002", Body: "Hi", From: "+15550001" };
    const spec: VerifySpec = { scheme: "twilio", secrets: [{ value: "twtoken" }] };
    expect(sign(spec, { text: "", form, url: "https://hooks.example.com/twilio" })).toEqual({
      "X-Twilio-Signature": "+s7Schvh/QBZF+1n1abcoyhOrGg=",
    });
  });

  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, "Testing the webhook".
  test("of GitHub's documentation", () => {
    const spec: VerifySpec = { scheme: "github", secrets: [{ value: "It's a Secret to Everybody" }] };
    expect(sign(spec, { text: "Hello, World!" })).toEqual({
      "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    });
  });

  // https://docs.slack.dev/authentication/verifying-requests-from-slack
  test("of Slack's documentation", () => {
    const text =
      "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&" +
      "channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&" +
      "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F" +
      "96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const spec: VerifySpec = { scheme: "slack", secrets: [{ value: "8f742231b10e8888abcd99yyyzzz85a5" }] };
    expect(sign(spec, { text, now: 1_531_420_618_000 })).toMatchObject({
      "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    });
  });

  const TIMED = JSON.stringify({ webhookTimestamp: NOW });
  test.each<[VerifySpec["scheme"], string, string]>([
    ["zoom", "x-zm-signature", `v0:${NOW_SECONDS}:${TIMED}`],
    ["linear", "Linear-Signature", TIMED],
    ["paddle", "Paddle-Signature", `${NOW_SECONDS}:${TIMED}`],
    ["hookbridge", "X-Webhook-Signature", `${NOW_SECONDS}.${TIMED}`],
    ["posthook", "Posthook-Signature", `${NOW_SECONDS}.${TIMED}`],
    ["pyfly", "X-Signature", TIMED],
  ])("of %p made apart", (scheme, header, signed) => {
    const expected = createHmac("sha256", SECRET).update(signed).digest("hex");
    expect(sign({ scheme, secrets } as VerifySpec, { text: TIMED })[header]).toEndWith(expected);
  });
});

test("a token goes into the header or the query that the source reads", () => {
  const header: VerifySpec = { scheme: "token", header: "X-Token", secrets };
  expect(make({ preset: "plain", verify: [header] })).toMatchObject({
    url: URL_CALLED,
    headers: { "X-Token": SECRET },
  });
  const query: VerifySpec = { scheme: "token", query: "key", secrets: [{ value: "a b&c" }] };
  const sample = make({ preset: "plain", verify: [query], url: `${URL_CALLED}?x=1` });
  expect(sample.url).toBe(`${URL_CALLED}?x=1&key=a+b%26c`);
  expect(judge(query, sample)).toBe("ok");
  expect(make({ preset: "plain", verify: [{ scheme: "none" }] }).url).toBe(URL_CALLED);
});

test("the first valid secret signs, and an expired one when there is no other", () => {
  const rotated: VerifySpec = {
    scheme: "github",
    secrets: [{ value: "a", until: NOW - 1 }, { value: "b" }, { value: "c" }],
  };
  const alone = (value: string): VerifySpec => ({ scheme: "github", secrets: [{ value }] });
  expect(judge(alone("b"), make({ preset: "github", verify: [rotated] }))).toBe("ok");
  const expired: VerifySpec = { scheme: "github", secrets: [{ value: "a", until: NOW - 1 }] };
  expect(judge(alone("a"), make({ preset: "github", verify: [expired] }))).toBe("ok");
});

test.each<[string, Partial<SampleInput>]>([
  ["a rule with a public key", { verify: [{ scheme: "discord", secrets }] }],
  ["a Standard Webhooks rule with a public key", { verify: [{ scheme: "standard-ed25519", secrets }] }],
  ["Twilio, when its body is no form", { verify: [SPECS.twilio] }],
  ["a rule that cannot work", { verify: [{ scheme: "standard", secrets: [{ value: "whsec_?" }] }] }],
  ["a rule without a secret", { verify: [{ scheme: "github", secrets: [] }] }],
  ["a type with a line break", { type: "a\r\nX-Evil: 1" }],
  ["an empty type", { type: "" }],
])("there is no sample for %s", (_, input) => {
  const result = sampleEvent({
    preset: "stripe",
    type: "invoice.paid",
    verify: [],
    id: "i",
    now: NOW,
    url: URL_CALLED,
    ...input,
  });
  expect(result.ok).toBe(false);
  expect(JSON.stringify(result)).not.toContain(SECRET);
});

test.each<[string, ReturnType<typeof readSampleName>]>([
  ["stripe:charge.refunded", { preset: "stripe", type: "charge.refunded" }],
  ["shopify:orders/create", { preset: "shopify", type: "orders/create" }],
  ["slack", { preset: "slack", type: "app_mention" }],
  ["github:", { preset: "github", type: "push" }],
  ["unknown:x", null],
  ["", null],
  ["constructor:x", null],
])("the name %p is read", (text, expected) => {
  expect(readSampleName(text)).toEqual(expected);
});

test("whatever is asked for, the answer is a sample that passes or a reason", () => {
  const preset = fc.constantFrom(...PRESETS.map((entry) => entry.preset));
  const rules = fc.subarray([...Object.values(SPECS).filter(({ scheme }) => scheme !== "twilio"), HMAC]);
  fc.assert(
    fc.property(preset, fc.string(), fc.string(), rules, (name, type, seed, specs) => {
      const id = Buffer.from(seed).toString("hex");
      const result = sampleEvent({ preset: name, type, verify: specs, id, now: NOW, url: URL_CALLED });
      if (!result.ok) return;
      for (const spec of specs) {
        // An empty id is none to a scheme that signs it.
        if (id !== "") expect(judge(spec, result.sample)).toBe("ok");
      }
    }),
    { seed: 20_260_501, numRuns: 300 },
  );
});
