/** One wrong thing at a time, signed by the providers' own libraries or by node:crypto, and what is found. */
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { sign as signGithub } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { diagnose, type Finding } from "../../src/domain/diagnosis/index.ts";
import {
  type Secret,
  type SignedRequest,
  type VerifySpec,
  verify,
} from "../../src/domain/signature/index.ts";
import { arrive, type HeaderList, NOW, NOW_SECONDS } from "./signature/requests.ts";

const SECRET = "gh-secret";
const BODY = '{"id":"evt_1","amount":12.50,"note":"Zoë 😀/é","list":[1,{"b":2,"a":null}]}';
const secrets = (...values: string[]): Secret[] => values.map((value) => ({ value }));

function hmac(
  text: string | Uint8Array,
  key: string | Uint8Array = SECRET,
  encoding: "hex" | "base64" = "hex",
) {
  return createHmac("sha256", key).update(text).digest(encoding);
}

/** Refuses the request as a source would, and explains that. */
function explain(spec: VerifySpec | VerifySpec[], request: SignedRequest, now = NOW): Finding | null {
  const rules = Array.isArray(spec) ? spec : [spec];
  for (const rule of rules) {
    const refusal = verify(rule, request, now);
    if (!refusal.ok) return diagnose({ refusal, verify: rules, request, now });
  }
  throw new Error("The request was accepted.");
}

const GITHUB: VerifySpec = { scheme: "github", secrets: secrets(SECRET) };

/** What GitHub would send had it signed another text. */
function github(signed: string | Uint8Array, received: string | Uint8Array = BODY): SignedRequest {
  return arrive({ "X-Hub-Signature-256": `sha256=${hmac(signed)}` }, received);
}

describe("time", () => {
  const at = (seconds: number) => {
    const signature = new Webhook(key).sign("msg_1", new Date(seconds * 1_000), BODY);
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(seconds),
      "webhook-signature": signature,
    };
    return explain({ scheme: "standard", secrets: secrets(key) }, arrive(headers, BODY));
  };
  const key = `whsec_${Buffer.from("current key of 24 bytes!").toString("base64")}`;

  test.each([
    [-600, "600 s behind our clock: an old request was sent again"],
    [600, "600 s ahead of our clock: the sender's clock is fast"],
    [-7_205, "7205 s behind our clock: whole hours"],
    [3_600, "3600 s ahead of our clock: whole hours"],
    [20 * 3_600, "72000 s ahead of our clock: the sender's clock is fast"],
  ])("that is off by %p s is told with its likely cause", (skewSeconds, words) => {
    expect(at(NOW_SECONDS + skewSeconds)).toEqual({
      code: "clock_skew",
      sentence: expect.stringContaining(words),
      skewSeconds,
      toleranceSeconds: 300,
    });
  });

  test("in milliseconds is told apart from a clock that is wrong", () => {
    expect(at(NOW)).toMatchObject({ code: "timestamp_unit" });
  });
});

describe("secrets", () => {
  test("that are old are named with their end", async () => {
    const until = NOW - 1;
    const rotated: VerifySpec = { scheme: "github", secrets: [{ value: "new" }, { value: SECRET, until }] };
    const request = arrive({ "X-Hub-Signature-256": await signGithub(SECRET, BODY) }, BODY);
    expect(explain(rotated, request)).toMatchObject({ code: "old_secret", oldSecretUntil: until });
  });

  test.each<[string, string, string]>([
    [` ${SECRET}`, SECRET, "trimmed"],
    [`${SECRET}\n`, SECRET, "trimmed"],
    [`"${SECRET}"`, SECRET, "unquoted"],
    [SECRET, `${SECRET}\n`, "newline_added"],
    ["whsec_abc", "abc", "prefix_removed"],
    ["abc", "whsec_abc", "prefix_added"],
  ])("written %j here and %j there are found", (ours, theirs, change) => {
    const spec: VerifySpec = { scheme: "github", secrets: secrets("first", ours) };
    const request = arrive({ "X-Hub-Signature-256": `sha256=${hmac(BODY, theirs)}` }, BODY);
    expect(explain(spec, request)).toMatchObject({ code: "secret_spelling", change, secretNumber: 2 });
  });

  test("of other presets are found when they are written with white space", async () => {
    const stripe = new Stripe("sk_test_unused");
    const header = await stripe.webhooks.generateTestHeaderStringAsync({
      payload: BODY,
      secret: "whsec_current",
      timestamp: NOW_SECONDS,
    });
    const spec: VerifySpec = { scheme: "stripe", secrets: secrets("whsec_current ") };
    const finding = explain(spec, arrive({ "Stripe-Signature": header }, BODY));
    expect(finding).toMatchObject({ code: "secret_spelling", change: "trimmed" });
  });

  const raw = Buffer.from("a key of 24 bytes, no more");
  const encoded = raw.toString("base64");
  const standard = (key: string | Uint8Array) => {
    const signature = `v1,${hmac(`msg_1.${NOW_SECONDS}.${BODY}`, key, "base64")}`;
    const names = {
      "webhook-id": "msg_1",
      "webhook-timestamp": `${NOW_SECONDS}`,
      "webhook-signature": signature,
    };
    return explain({ scheme: "standard", secrets: secrets(`whsec_${encoded}`) }, arrive(names, BODY));
  };

  test("that a sender of Standard Webhooks does not decode are found", () => {
    expect(standard(`whsec_${encoded}`)).toMatchObject({ code: "secret_decoding", change: "as_text" });
    expect(standard(encoded)).toMatchObject({ code: "secret_decoding", change: "as_text_without_prefix" });
  });

  test.each<[string, string]>([
    [encoded, "from_base64"],
    [`whsec_${encoded}`, "from_base64"],
    [raw.toString("hex"), "from_hex"],
  ])("that only the sender decodes are found: %s", (secret, change) => {
    const schemes: VerifySpec[] = [
      { scheme: "github", secrets: secrets(secret) },
      {
        scheme: "hmac",
        header: "X-Hub-Signature-256",
        algorithm: "sha256",
        encoding: "hex",
        prefix: "sha256=",
        secrets: secrets(secret),
      },
    ];
    const request = arrive({ "X-Hub-Signature-256": `sha256=${hmac(BODY, raw)}` }, BODY);
    for (const spec of schemes)
      expect(explain(spec, request)).toMatchObject({ code: "secret_decoding", change });
  });

  test("that are simply others are told last", () => {
    const request = arrive({ "X-Hub-Signature-256": `sha256=${hmac(BODY, "other")}` }, BODY);
    expect(explain(GITHUB, request)).toMatchObject({ code: "unknown_secret" });
  });
});

describe("the body", () => {
  test.each<[string, string, string]>([
    ["{}", "{}\n", "trailing_newline_removed"],
    ["{}", "{}\r\n", "trailing_newline_removed"],
    ["{}\n", "{}", "trailing_newline_added"],
    ["{}\r\n", "{}", "trailing_crlf_added"],
    ["a\nb\nc", "a\r\nb\r\nc", "crlf_to_lf"],
    ["a\r\nb\r\nc", "a\nb\nc", "lf_to_crlf"],
    ["{}", " {}\n\n", "trimmed"],
    ["é{}\xa0", "\ufeffé{}\xa0", "byte_order_mark_removed"],
  ])("signed as %j and received as %j is found", (signed, received, change) => {
    expect(explain(GITHUB, github(signed, received))).toMatchObject({ code: "body_changed", change });
  });

  test("that is no text is compared byte for byte", () => {
    const signed = Buffer.from([0xff, 0x00, 0xc3, 0x0a, 0xa0]);
    const finding = explain(GITHUB, github(signed, Buffer.concat([signed, Buffer.from("\n")])));
    expect(finding).toMatchObject({ code: "body_changed", change: "trailing_newline_removed" });
  });

  test("that was not there when it was signed is found", () => {
    expect(explain(GITHUB, github(""))).toMatchObject({ code: "empty_body_signed" });
  });

  const value = JSON.parse(BODY) as unknown;
  const sorted = '{"amount":12.50,"id":"evt_1","list":[1,{"a":null,"b":2}],"note":"Zoë 😀/é"}';
  const ascii = (text: string) =>
    text.replace(/[\u0080-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const spaced = '{"id": "evt_1", "amount": 12.50, "note": "Zoë 😀/é", "list": [1, {"b": 2, "a": null}]}';
  const indented = (width: number) => JSON.stringify(value, null, width).replace("12.5", "12.50");

  test.each<[string, string]>([
    ["javascript", JSON.stringify(value)],
    ["python", ascii(spaced)],
    ["python-unescaped", spaced],
    ["sorted", sorted],
    ["python-sorted-compact", ascii(sorted)],
    ["indented-2", indented(2)],
    ["indented-4", indented(4)],
    ["php", ascii(BODY).replaceAll("/", "\\/")],
    ["ascii", ascii(BODY)],
  ])("that was signed in the form %p is found", (form, signed) => {
    expect(explain(GITHUB, github(signed))).toMatchObject({ code: "body_reserialized", form });
  });

  test.each<[string, string, string]>([
    ["compact", '{"a":[],"b":{},"c":1e5}', '{ "a": [ ], "b": { }, "c": 1e5 }'],
    ["javascript", '{"a":100000,"b":1}', '{"a":1e5,"b":1.0}'],
    ["go", '{"a":"\\u003cb\\u003e \\u0026","z":1}', '{"z":1,"a":"<b> &"}'],
    ["python-sorted", '{"a": [1, 2], "z": "\\u00e9"}', '{"z":"é","a":[1,2]}'],
    ["indented-2", '{\n  "a": [],\n  "b": {\n    "c": [\n      1\n    ]\n  }\n}', '{"a":[],"b":{"c":[1]}}'],
  ])("in the form %p is found behind another text", (form, signed, received) => {
    expect(explain(GITHUB, github(signed, received))).toMatchObject({ code: "body_reserialized", form });
  });

  test("may have been serialized again under any preset", () => {
    const signature = hmac(`v0:${NOW_SECONDS}:${JSON.stringify(value)}`);
    const headers = { "X-Slack-Signature": `v0=${signature}`, "X-Slack-Request-Timestamp": `${NOW_SECONDS}` };
    const finding = explain({ scheme: "slack", secrets: secrets(SECRET) }, arrive(headers, BODY));
    expect(finding).toMatchObject({ code: "body_reserialized", form: "javascript" });
  });

  test("is found although the request is stale as well", () => {
    const seconds = NOW_SECONDS - 3_000;
    const headers = {
      "X-Slack-Signature": `v0=${hmac(`v0:${seconds}:{}`)}`,
      "X-Slack-Request-Timestamp": `${seconds}`,
    };
    const finding = explain({ scheme: "slack", secrets: secrets(SECRET) }, arrive(headers, "{}\n"));
    expect(finding).toMatchObject({ code: "body_changed" });
  });

  test("that is very large is not examined", () => {
    const large = "x".repeat(1_048_577);
    expect(explain(GITHUB, github(large, `${large}\n`))).toMatchObject({ code: "unknown_secret" });
  });
});

describe("the signature", () => {
  const digest = createHmac("sha256", SECRET).update(BODY);
  const bytes = digest.digest();
  const send = (value: string) => arrive({ "X-Hub-Signature-256": value }, BODY);

  test.each<[string, string, string]>([
    ["upper-case hexadecimal", `sha256=${bytes.toString("hex").toUpperCase()}`, "lower-case hexadecimal"],
    ["base64", `sha256=${bytes.toString("base64")}`, "lower-case hexadecimal"],
    ["base64url", `sha256=${bytes.toString("base64url")}`, "lower-case hexadecimal"],
    [
      "the base64 of hexadecimal text",
      `sha256=${Buffer.from(bytes.toString("hex")).toString("base64")}`,
      "lower-case hexadecimal",
    ],
  ])("in %s is found", (sent, value, expected) => {
    expect(explain(GITHUB, send(value))).toMatchObject({ code: "signature_encoding", sent, expected });
  });

  test("in hexadecimal is found where base64 is expected", () => {
    const finding = explain(
      { scheme: "shopify", secrets: secrets(SECRET) },
      arrive({ "X-Shopify-Hmac-Sha256": bytes.toString("hex") }, BODY),
    );
    expect(finding).toMatchObject({ code: "signature_encoding", expected: "base64" });
  });

  test.each([
    ["without its prefix", bytes.toString("hex")],
    ["with its prefix in capitals", `SHA256=${bytes.toString("hex")}`],
    ["with another prefix", `v1=${bytes.toString("hex")}`],
  ])("%s is found", (_, value) => {
    expect(explain(GITHUB, send(value))).toMatchObject({ code: "signature_prefix", expected: "sha256=" });
  });

  test("with a prefix that is not expected is found", () => {
    const spec: VerifySpec = {
      scheme: "hmac",
      header: "X-Hub-Signature-256",
      algorithm: "sha256",
      encoding: "hex",
      secrets: secrets(SECRET),
    };
    const finding = explain(spec, send(`sha256=${bytes.toString("hex")}`));
    expect(finding).toMatchObject({ code: "signature_prefix", expected: "" });
  });

  test("that is garbage leaves nothing to add", () => {
    expect(explain(GITHUB, send("garbage"))).toBeNull();
  });
});

describe("a token", () => {
  const spec = (...values: string[]): VerifySpec => ({
    scheme: "token",
    header: "Authorization",
    secrets: secrets(...values),
  });

  test("behind a word that is not expected is found, and one without it", () => {
    expect(explain(spec("abc"), arrive({ Authorization: "Bearer abc" }))).toMatchObject({
      code: "signature_prefix",
      sentence: expect.stringContaining("nothing is expected"),
    });
    expect(explain(spec("Bearer abc"), arrive({ Authorization: "abc" }))).toMatchObject({
      code: "signature_prefix",
      sentence: expect.stringContaining('"Bearer"'),
    });
  });

  test("with white space here is found, also for GitLab and Basic", () => {
    const basic = `Basic ${btoa("u:abc")}`;
    expect(explain(spec("abc\n"), arrive({ Authorization: "abc" }))?.code).toBe("secret_spelling");
    expect(
      explain({ scheme: "gitlab", secrets: secrets("abc ") }, arrive({ "X-Gitlab-Token": "abc" }))?.code,
    ).toBe("secret_spelling");
    expect(
      explain({ scheme: "basic", username: "u", secrets: secrets("abc ") }, arrive({ Authorization: basic }))
        ?.code,
    ).toBe("secret_spelling");
  });

  test("that is missing is told", () => {
    expect(explain(spec("abc"), arrive({}))).toMatchObject({ code: "not_signed" });
  });
});

describe("another scheme", () => {
  test("is named when the request passes under it", async () => {
    const request = arrive({ "X-Hub-Signature-256": await signGithub(SECRET, BODY) }, BODY);
    const specs: VerifySpec[] = [
      { scheme: "stripe", secrets: secrets(SECRET) },
      { scheme: "token", header: "X-Token", secrets: secrets(SECRET) },
      {
        scheme: "hmac",
        header: "X-Hub-Signature-256",
        algorithm: "sha512",
        encoding: "base64",
        secrets: secrets(SECRET),
      },
    ];
    for (const spec of specs) {
      expect(explain(spec, request)).toMatchObject({
        code: "other_scheme",
        scheme: "github",
        isVerified: true,
      });
    }
  });

  test("is named when the request has its header, although its secret is another", () => {
    const request = arrive({ "Stripe-Signature": `t=${NOW_SECONDS},v1=${hmac(BODY, "other")}` }, BODY);
    expect(explain(GITHUB, request)).toMatchObject({
      code: "other_scheme",
      scheme: "stripe",
      header: "Stripe-Signature",
      isVerified: false,
    });
  });

  test("is not read into a header that anybody may use", () => {
    for (const header of ["X-Signature", "X-Hub-Signature-256", "X-Webhook-Signature"]) {
      const spec: VerifySpec = { scheme: "stripe", secrets: secrets(SECRET) };
      const request = arrive({ [header]: `sha256=${hmac(BODY, "other")}` }, BODY);
      expect(explain(spec, request)).toMatchObject({ code: "other_header", header, isVerified: false });
    }
  });

  test("is not suspected when nothing is signed", () => {
    expect(explain(GITHUB, arrive({ "User-Agent": "x" }, BODY))).toMatchObject({ code: "not_signed" });
  });
});

describe("the options of a home-made scheme", () => {
  const spec: VerifySpec = {
    scheme: "hmac",
    header: "X-Acme-Signature",
    algorithm: "sha256",
    encoding: "hex",
    timestampHeader: "X-Acme-Timestamp",
    template: "{timestamp}.{body}",
    secrets: secrets(SECRET),
  };
  const send = (signature: string, more: HeaderList = {}) =>
    arrive({ "X-Acme-Signature": signature, "X-Acme-Timestamp": `${NOW_SECONDS}`, ...more }, BODY);

  test.each([
    ["{body}", BODY],
    ["{timestamp}{body}", NOW_SECONDS + BODY],
    ["{timestamp}:{body}", `${NOW_SECONDS}:${BODY}`],
  ])("may miss the template %p", (template, signed) => {
    expect(explain(spec, send(hmac(signed)))).toMatchObject({ code: "other_template", template });
  });

  test("may miss the algorithm", () => {
    const signature = createHmac("sha512", SECRET).update(`${NOW_SECONDS}.${BODY}`).digest("hex");
    expect(explain(spec, send(signature))).toMatchObject({ code: "other_algorithm", algorithm: "sha512" });
    const prefixed = { ...spec, prefix: "sha256=" } as const;
    expect(explain(prefixed, send(`sha512=${signature}`))).toMatchObject({ code: "other_algorithm" });
  });

  test("may miss the header", () => {
    const request = send("", { "X-Signature": hmac(`${NOW_SECONDS}.${BODY}`) });
    expect(explain(spec, request)).toMatchObject({ code: "other_header", header: "X-Signature" });
  });
});

describe("the URL that is signed", () => {
  const url = "https://hooks.example.com/in/square";
  const sign = (called: string) =>
    arrive(
      { "x-square-hmacsha256-signature": hmac(called + BODY, SECRET, "base64") },
      BODY,
      "/in/square?a=1",
    );

  test.each<[string, string]>([
    ["https", url],
    ["slash_added", "http://hooks.example.com/in/square/"],
    ["port_added", "http://hooks.example.com:80/in/square"],
    ["query_added", "http://hooks.example.com/in/square?a=1"],
  ])("may differ in %p", (change, called) => {
    const spec: VerifySpec = {
      scheme: "square",
      publicUrl: "http://hooks.example.com/in/square",
      secrets: secrets(SECRET),
    };
    expect(explain(spec, sign(called))).toMatchObject({ code: "other_url", change });
  });

  test.each<[string, string, string]>([
    ["http", url, "http://hooks.example.com/in/square"],
    ["slash_removed", `${url}/`, url],
    ["port_removed", "https://hooks.example.com:443/in/square", url],
    ["query_removed", `${url}?a=1`, url],
  ])("may differ in %p", (change, publicUrl, called) => {
    const spec: VerifySpec = { scheme: "square", publicUrl, secrets: secrets(SECRET) };
    expect(explain(spec, sign(called))).toMatchObject({ code: "other_url", change });
  });

  test("may be that of the host which was called", () => {
    const signature = createHmac("sha1", SECRET).update(
      "https://hooks.example.com/in/twilio?a=1Body=Hi".replace("=Hi", "Hi"),
    );
    const headers = {
      "X-Twilio-Signature": signature.digest("base64"),
      "Content-Type": "application/x-www-form-urlencoded",
      Host: "hooks.example.com",
    };
    const spec: VerifySpec = {
      scheme: "twilio",
      publicUrl: "https://localhost:8420/in/twilio",
      secrets: secrets(SECRET),
    };
    expect(explain(spec, arrive(headers, "Body=Hi", "/in/twilio?a=1"))).toMatchObject({
      code: "other_url",
      change: "host",
    });
  });
});

test("of several rules the one that refuses is examined", () => {
  const rules: VerifySpec[] = [
    { scheme: "none" },
    { scheme: "token", header: "X-Token", secrets: secrets("t") },
    GITHUB,
  ];
  const request = arrive({ "X-Token": "t", "X-Hub-Signature-256": `sha256=${hmac("{}")}` }, "{}\n");
  expect(explain(rules, request)).toMatchObject({ code: "body_changed" });
});

test("refusals that are about no credential are left alone, and so is a request that would pass now", () => {
  const request = github(BODY);
  const input = { verify: [GITHUB], request, now: NOW };
  expect(diagnose({ ...input, refusal: { reason: "ip_not_allowed" } })).toBeNull();
  expect(diagnose({ ...input, refusal: { reason: "signature_mismatch" } })).toBeNull();
});
