/** Each preset against an independent signer. */

import { describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { prepareVerify, type Secret, type VerifySpec, verify } from "../../../src/domain/signature/index.ts";
import { arrive, type HeaderList, NOW, NOW_SECONDS, outcome } from "./requests.ts";
import { hex, PRESETS } from "./signers.ts";

const BODY = JSON.stringify({ event: "invoice.paid", note: "Zoë 😀", webhookTimestamp: NOW });

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
      const empty = preset.sign(right.signs, String(NOW_SECONDS), "");
      expect(judge(empty, "")).toBe(preset.isTimeInBody === true ? "malformed_signature" : "ok");
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
    ["text", '{"webhookTimestamp":"now"}', "malformed_signature"],
    ["absent", "{}", "malformed_signature"],
    ["absent from null", "null", "malformed_signature"],
    ["absent from what is no JSON", "{", "malformed_signature"],
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
      name: "signs the values of a repeated field once each and sorted",
      url: bare,
      body: "b=1&a=3&a=2&a=3&B=0",
      signature: sha1(`${bare}B0a2a3b1`),
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
    {
      ...right,
      name: "refuses a byte order mark before the fields",
      body: `\ufeff${fields}`,
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
