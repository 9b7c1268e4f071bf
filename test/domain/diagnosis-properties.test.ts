/** What must hold for a diagnosis of anything: it is there or not, it is small, it gives nothing away. */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { diagnose } from "../../src/domain/diagnosis/index.ts";
import { jsonForms } from "../../src/domain/diagnosis/json-forms.ts";
import { type VerifySpec, verify } from "../../src/domain/signature/index.ts";
import { arrive, NOW, NOW_SECONDS } from "./signature/requests.ts";

const SEED = { seed: 20_260_501, numRuns: 150 };
const SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const secrets = [{ value: SECRET }, { value: `${SECRET} ` }, { value: "old-secret-value", until: NOW - 1 }];
/** The standard's own schemes take no white space in a secret to begin with. */
const clean = [{ value: SECRET }];
const PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const publicUrl = "https://hooks.example.com/in/s";

const SPECS: readonly VerifySpec[] = [
  { scheme: "stripe", secrets },
  { scheme: "github", secrets },
  { scheme: "gitlab", secrets },
  { scheme: "shopify", secrets },
  { scheme: "slack", secrets },
  { scheme: "twilio", secrets, publicUrl },
  { scheme: "paddle", secrets },
  { scheme: "linear", secrets },
  { scheme: "discord", secrets: [{ value: PUBLIC_KEY }] },
  { scheme: "zoom", secrets },
  { scheme: "square", secrets, publicUrl },
  { scheme: "svix", secrets: clean },
  { scheme: "standard", secrets: clean },
  { scheme: "hookbridge", secrets },
  { scheme: "posthook", secrets },
  { scheme: "pyfly", secrets },
  { scheme: "token", header: "x-token", query: "token", secrets },
  { scheme: "basic", username: "u", secrets },
  { scheme: "hmac", header: "x-signature", algorithm: "sha256", encoding: "base64", secrets },
];

const digest = createHmac("sha256", "other").update("x").digest("hex");
const fragment = fc.oneof(
  fc.constantFrom(
    "t=",
    "v1=",
    "v1,",
    "sha256=",
    "Bearer ",
    "Basic ",
    ",",
    "=",
    " ",
    `${NOW_SECONDS}`,
    digest,
  ),
  fc.constantFrom("\u0000", "\ud800", "/", "x".repeat(5_000), `${"A".repeat(43)}=`, digest.toUpperCase()),
  fc.string(),
);
const value = fc.array(fragment, { maxLength: 5 }).map((parts) => parts.join(""));
const body = fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from), value.map(Buffer.from));

test("no request makes a diagnosis throw, and no finding holds a secret or anything that was sent", () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), body, value, (values, bytes, query) => {
      for (const spec of SPECS) {
        let reads = 0;
        const headers = { get: () => values[reads++ % values.length] ?? null };
        const request = { headers, body: bytes, url: `/in/s?${query}` };
        const refusal = verify(spec, request, NOW);
        if (refusal.ok) continue;
        const finding = diagnose({ refusal, verify: [spec], request, now: NOW });
        const text = JSON.stringify(finding);
        expect(text.length).toBeLessThan(1_000);
        expect(text).not.toContain("C2FVsBQI");
        expect(text).not.toContain(digest);
        expect(JSON.parse(text)).toEqual(finding);
      }
    }),
    SEED,
  );
});

test("a request with every header and a large body is given up within bounds", () => {
  const headers = {
    get: (name: string) => (name.includes("imestamp") ? `${NOW_SECONDS}` : `sha256=${digest}`),
  };
  const request = { headers, body: Buffer.from(`[${"1,".repeat(500_000)}1]`), url: "/in/s" };
  for (const spec of SPECS.filter(({ scheme }) => scheme === "github" || scheme === "hmac")) {
    const refusal = { reason: "signature_mismatch" } as const;
    expect(diagnose({ refusal, verify: [spec], request, now: NOW })?.code).toBe(
      spec.scheme === "github" ? "unknown_secret" : undefined,
    );
  }
});

test("every form of a JSON text means the same", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const forms = [...jsonForms(Buffer.from(text))];
      for (const form of forms) expect(JSON.parse(form.text)).toEqual(JSON.parse(text));
      expect(new Set(forms.map((form) => form.text)).size).toBe(forms.length);
    }),
    SEED,
  );
});

test("the form of JavaScript is that of JSON.stringify, indented or not", () => {
  const record = fc.oneof(
    fc.dictionary(fc.string(), fc.jsonValue()),
    fc.array(fc.jsonValue(), { minLength: 1 }),
  );
  fc.assert(
    fc.property(record, (given) => {
      const compact = JSON.stringify(given);
      const indented = JSON.stringify(given, null, 2);
      const forms = [...jsonForms(Buffer.from(indented))].map(({ text }) => text);
      if (compact !== indented) expect(forms).toContain(compact);
      if (compact !== indented && !/\d[eE]|-0|\d{16}/.test(compact)) {
        expect([...jsonForms(Buffer.from(compact))].map(({ text }) => text)).toContain(indented);
      }
    }),
    SEED,
  );
});

test.each([
  "",
  "null",
  "5",
  '"x"',
  "a=b",
  "{",
  `${"[".repeat(100_000)}`,
  `${"[".repeat(300)}1${"]".repeat(300)}`,
])("a body that is no JSON object or list, or too deep, has no forms", (text) => {
  expect([...jsonForms(Buffer.from(text))]).toEqual([]);
});

test("an old secret that matches is told for tokens too", () => {
  const spec: VerifySpec = { scheme: "token", header: "x-token", secrets };
  const request = arrive({ "x-token": "old-secret-value" });
  const refusal = verify(spec, request, NOW);
  if (refusal.ok) throw new Error("The request was accepted.");
  expect(diagnose({ refusal, verify: [spec], request, now: NOW })).toMatchObject({
    code: "old_secret",
    oldSecretUntil: NOW - 1,
  });
});
