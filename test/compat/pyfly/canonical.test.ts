/** Canonical JSON and domain rules beside what Python itself makes of the same input (checks 7, 22, 23). */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalJson, parseJson } from "../../../src/dialects/pyfly/canonical.ts";
import { signCallback } from "../../../src/dialects/pyfly/dispatch.ts";
import { isAuthorized } from "../../../src/dialects/pyfly/domains.ts";

const canonical = (text: string) => canonicalJson(parseJson(text));

/** Reads lines of JSON; writes the canonical form of each and the signature of that. */
const PYTHON = `
import hashlib, hmac, json, sys
for line in sys.stdin:
    value = json.loads(line)
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    mac = hmac.new(b"topsecret", text.encode(), hashlib.sha256).hexdigest()
    print(text + "\\t" + mac)
`;

const python = Bun.which("python3");
if (python === null && process.env.CI === "1") throw new Error("python3 is needed to judge canonical JSON");

function askPython(lines: readonly string[]): string[][] {
  const run = Bun.spawnSync([python ?? "", "-c", PYTHON], { stdin: Buffer.from(`${lines.join("\n")}\n`) });
  if (!run.success) throw new Error(run.stderr.toString());
  return run.stdout
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));
}

const HAND_MADE = [
  '{"z":1,"a":{"y":[3,2,1],"x":null}}',
  '{"emoji":"😀 Zoë \\u2028","quote":"\\"\\\\/"}',
  '{"f":[1.0,-0.0,0.1,1e-7,0.0001,0.00001,1e15,1e16,123456789.0,1.7976931348623157e308,5e-324,2.5E+3]}',
  '{"i":[0,-0,12345678901234567890,-99999999999999999999999999]}',
  '{"dup":1,"dup":2,"nested":{"b":1,"a":2,"b":3}}',
  '{"\\ud83d\\ude00":1,"\\uffff":2,"\\ue000":3,"~":4,"\\u007f":5}',
  '{"10":1,"9":2,"a":3,"A":4,"":5}',
  '{"__proto__":{"x":1},"constructor":2}',
];

/** Any JSON, its floats written as JavaScript writes them. */
const anyJson = fc
  .dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ stringUnit: "grapheme", maxDepth: 4 }))
  .map((value) => JSON.stringify(value));
const anyFloat = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .map((value) => `{"f":${value.toExponential()}}`);

describe("canonical JSON", () => {
  test.skipIf(python === null)("checks 7 and 8: Python writes the same text and the same signature", () => {
    const sampled = fc.sample(fc.oneof(anyJson, anyFloat), { numRuns: 2_000, seed: 20_260_717 });
    const lines = [...HAND_MADE, ...sampled];
    const answers = askPython(lines);
    expect(answers).toHaveLength(lines.length);
    for (const [index, line] of lines.entries()) {
      const text = canonical(line);
      expect([text, signCallback("topsecret", Buffer.from(text))]).toEqual([
        answers[index]?.[0] ?? "",
        `sha256=${answers[index]?.[1]}`,
      ]);
    }
  });

  test("check 7: it is a fixed point", () => {
    fc.assert(
      fc.property(fc.oneof(anyJson, anyFloat), (text) => {
        expect(canonical(canonical(text))).toBe(canonical(text));
      }),
    );
  });

  test("check 8: another secret or another byte has another signature", () => {
    const body = Buffer.from('{"a":1}');
    const signature = signCallback("topsecret", body);
    expect(signCallback("other", body)).not.toBe(signature);
    expect(signCallback("topsecret", Buffer.from('{"a":2}'))).not.toBe(signature);
  });

  test.each(["1e400", "-1e999"])("the number %s has none", (number) => {
    expect(() => canonical(`{"a":${number}}`)).toThrow("overflows");
  });

  test("neither has what is nested beyond what Python reads", () => {
    expect(() => canonical(`${"[".repeat(600)}${"]".repeat(600)}`)).toThrow("nested");
  });
});

describe("authorized domains", () => {
  const entry = " Example.com ";

  test.each([
    ["https://example.com/x", true],
    ["https://EXAMPLE.com", true],
    ["https://a.b.example.com:8443/", true],
    ["https://user:pw@example.com/", true],
    ["http://example.com?q=1", true],
    ["https://badexample.com", false],
    ["https://example.com.evil.org", false],
    ["https://example.com@evil.org/", false],
    ["https://example.com./", false],
    ["example.com/x", false],
    ["ftp://example.com/", false],
    ["https:///x", false],
    ["https://evil.org/https://example.com", false],
    ["https://evil.org#@example.com/", false],
    ["https://evil.org?@example.com/", false],
    ["https://evil.org\\@example.com/", false],
  ])("check 22: the entry Example.com and %s: %p", (url, isAllowed) => {
    expect(isAuthorized(url, [entry])).toBe(isAllowed);
  });

  test("an empty list allows everything", () => {
    expect(isAuthorized("https://anything.test/", [])).toBe(true);
  });

  test.each([
    ["http://10.0.0.1/", "0.0.1", false],
    ["http://10.0.0.1/", "10.0.0.1", true],
    ["http://[::1]/", "[::1]", true],
    ["https://x.example.com/", "*.example.com", false],
    ["https://example.com/", "example.com.", true],
    ["https://anything.test./", "", false],
  ])("check 23: %s under the entry %p: %p", (url, domain, isAllowed) => {
    expect(isAuthorized(url, [domain])).toBe(isAllowed);
  });
});
