import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import {
  prepareVerify,
  prepareVerifyAll,
  type VerifySpec,
  verify,
} from "../../../src/domain/signature/index.ts";
import { arrive, type HeaderList, NOW, NOW_SECONDS, outcome } from "./requests.ts";

type HmacSpec = Extract<VerifySpec, { scheme: "hmac" }>;

const BODY = '{"type":"invoice.paid"}';
const SECRET = "topsecret";

const plain: HmacSpec = {
  scheme: "hmac",
  header: "X-Signature",
  algorithm: "sha256",
  encoding: "hex",
  secrets: [{ value: SECRET }],
};
const prefixed: HmacSpec = { ...plain, prefix: "sha256=", prefixOptional: true };
const stamped: HmacSpec = { ...plain, template: "{timestamp}.{body}", timestampHeader: "X-Timestamp" };

/** The independent signer: one call to the platform's HMAC over the whole signed text. */
function digest(
  signed: string,
  encoding: "hex" | "base64" | "base64url" = "hex",
  algorithm = "sha256",
): string {
  return createHmac(algorithm, SECRET).update(signed).digest(encoding);
}

function judge(spec: VerifySpec, headers: HeaderList, body: string | Uint8Array = BODY): string {
  return outcome(verify(spec, arrive(headers, body), NOW));
}

describe("algorithms and encodings", () => {
  for (const algorithm of ["sha1", "sha256", "sha512"] as const) {
    for (const encoding of ["hex", "base64", "base64url"] as const) {
      test(`${algorithm} in ${encoding}`, () => {
        const spec: HmacSpec = { ...plain, algorithm, encoding };
        const signature = digest(BODY, encoding, algorithm);
        expect(judge(spec, { "x-signature": signature })).toBe("ok");
        expect(judge(spec, { "x-signature": signature }, `${BODY}.`)).toBe("signature_mismatch");
        expect(judge(spec, { "x-signature": signature.slice(1) })).toBe("malformed_signature");
      });
    }
  }

  test("base64url may carry its padding", () => {
    const spec: HmacSpec = { ...plain, encoding: "base64url" };
    expect(judge(spec, { "x-signature": `${digest(BODY, "base64url")}=` })).toBe("ok");
  });

  test("base64 whose unused last bits differ is another signature", () => {
    const signature = digest(BODY, "base64");
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const last = alphabet.indexOf(signature.at(-2) ?? "");
    const twin = `${signature.slice(0, -2)}${alphabet[last ^ 1]}=`;
    expect(Buffer.from(twin, "base64")).toEqual(Buffer.from(signature, "base64"));
    expect(judge({ ...plain, encoding: "base64" }, { "x-signature": twin })).toBe("signature_mismatch");
  });

  test("bytes that are no UTF-8 are hashed as they are", () => {
    const body = Uint8Array.of(0xff, 0x00, 0xfe, 0xc3);
    const signature = createHmac("sha256", SECRET).update(body).digest("hex");
    expect(judge(plain, { "x-signature": signature }, body)).toBe("ok");
  });

  test("a body that is a window into a larger buffer is hashed within its bounds", () => {
    const window = Buffer.from(`xx${BODY}yy`).subarray(2, 2 + BODY.length);
    expect(judge(plain, { "x-signature": digest(BODY) }, window)).toBe("ok");
  });
});

describe("prefix", () => {
  const right = digest(BODY);
  test.each([
    ["the prefixed value", `sha256=${right}`, "ok"],
    ["the bare value", right, "ok"],
    ["upper-case hex", `sha256=${right.toUpperCase()}`, "malformed_signature"],
    ["bare upper-case hex", right.toUpperCase(), "malformed_signature"],
    ["an upper-case prefix", `SHA256=${right}`, "malformed_signature"],
    ["the prefix twice", `sha256=sha256=${right}`, "malformed_signature"],
    ["the wrong key", createHmac("sha256", "other").update(BODY).digest("hex"), "signature_mismatch"],
    ["an empty header", "", "missing_signature"],
  ])("an optional one, given %s", (_name, value, expected) => {
    expect(judge(prefixed, { "x-signature": value })).toBe(expected);
  });

  test("one that is not optional must be there", () => {
    expect(judge({ ...plain, prefix: "v0=" }, { "x-signature": `v0=${right}` })).toBe("ok");
    expect(judge({ ...plain, prefix: "v0=" }, { "x-signature": right })).toBe("malformed_signature");
  });
});

describe("several signatures in one header", () => {
  const right = digest(BODY);
  const wrong = "0".repeat(64);
  test.each([
    [",", `${wrong},${right}`, "ok"],
    [",", `${right}, ${wrong}`, "ok"],
    [",", `garbage,${right},`, "ok"],
    [",", `${wrong},${wrong}`, "signature_mismatch"],
    [",", ",,,", "malformed_signature"],
    [" ", `${wrong} ${right}`, "ok"],
    [" ", `${wrong},${right}`, "malformed_signature"],
    [undefined, `${right},${right}`, "malformed_signature"],
  ] as const)("separated by %p: %s", (separator, value, expected) => {
    const spec = separator === undefined ? plain : { ...plain, separator };
    expect(judge(spec, { "x-signature": value })).toBe(expected);
  });
});

describe("template", () => {
  const id = "evt_1";
  const url = "https://hooks.example.com/in/source";
  const spec: HmacSpec = {
    ...stamped,
    template: "v0:{timestamp}:{id}:{url}:{body}:end",
    idHeader: "X-Id",
    publicUrl: url,
  };
  const right = digest(`v0:${NOW_SECONDS}:${id}:${url}:${BODY}:end`);
  const sent = { "x-signature": right, "x-timestamp": String(NOW_SECONDS), "x-id": id };

  test("signs literals, timestamp, id, configured URL and body in its order", () => {
    expect(judge(spec, sent)).toBe("ok");
    expect(judge(spec, { ...sent, "x-id": "evt_2" })).toBe("signature_mismatch");
    expect(judge({ ...spec, publicUrl: `${url}/` }, sent)).toBe("signature_mismatch");
  });

  test.each(["x-signature", "x-timestamp", "x-id"])("needs the header %s", (name) => {
    expect(judge(spec, { ...sent, [name]: "" })).toBe("missing_signature");
  });

  test.each([
    ["{timestamp}.{body}", "timestampHeader is needed"],
    ["{id}.{body}", "idHeader is needed"],
    ["{url}{body}", "publicUrl is needed"],
    ["{nonce}.{body}", "Unknown placeholder {nonce}"],
    ["signed", "must contain {body}"],
  ])("%s is refused with the reason", (template, reason) => {
    expect(() => prepareVerify({ ...plain, template })).toThrow(reason);
  });
});

describe("timestamp header", () => {
  const at = (timestamp: string) => ({
    "x-signature": digest(`${timestamp}.${BODY}`),
    "x-timestamp": timestamp,
  });
  test.each([
    ["seconds", String(NOW_SECONDS), "ok"],
    ["milliseconds", String(NOW), "ok"],
    ["milliseconds on the edge", String(NOW - 300_000), "ok"],
    ["milliseconds behind the edge", String(NOW - 300_001), "timestamp_out_of_tolerance"],
    ["milliseconds before the other edge", String(NOW + 300_001), "timestamp_out_of_tolerance"],
    ["seconds behind the edge", String(NOW_SECONDS - 301), "timestamp_out_of_tolerance"],
    ["zero", "0", "timestamp_out_of_tolerance"],
    ["a date", "2026-05-01T03:00:00Z", "malformed_signature"],
    ["an exponent", "1.7776044e9", "malformed_signature"],
    ["more digits than a time has", "1".repeat(40), "malformed_signature"],
  ])("given %s", (_name, timestamp, expected) => {
    expect(judge(stamped, at(timestamp))).toBe(expected);
  });

  test("tells a skew below one second", () => {
    const result = verify({ ...stamped, toleranceMs: 0 }, arrive(at(String(NOW + 250)), BODY), NOW);
    expect(result).toMatchObject({ diagnosis: { skewSeconds: 0.25, toleranceSeconds: 0 } });
  });
});

describe("specs that cannot work", () => {
  test.each<[string, VerifySpec]>([
    ["no secret", { ...plain, secrets: [] }],
    ["an empty secret", { ...plain, secrets: [{ value: SECRET }, { value: "" }] }],
    ["an impossible header name", { ...plain, header: "X Signature" }],
    ["an empty header name", { ...stamped, timestampHeader: "" }],
    ["a whsec_ secret that is no base64", { scheme: "standard", secrets: [{ value: "whsec_not base64" }] }],
    ["a whsec_ secret of nothing", { scheme: "standard", secrets: [{ value: "whsec_" }] }],
  ])("%s is refused before any request", (_name, spec) => {
    expect(() => prepareVerify(spec)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});

describe("several verifications", () => {
  const token: VerifySpec = { scheme: "token", header: "X-Token", secrets: [{ value: "t" }] };
  const both = prepareVerifyAll([token, plain]);
  test.each<[HeaderList, string]>([
    [{ "x-token": "t", "x-signature": digest(BODY) }, "ok"],
    [{ "x-token": "t" }, "missing_signature"],
    [{ "x-signature": digest(BODY) }, "missing_token"],
  ])("must all pass: %p", (headers, expected) => {
    expect(outcome(both(arrive(headers, BODY), NOW))).toBe(expected);
  });

  test("are at least one", () => {
    expect(() => prepareVerifyAll([])).toThrow("At least one verification");
  });
});
