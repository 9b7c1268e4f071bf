import { afterAll, beforeAll, describe, expect, setSystemTime, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { type Secret, type SignSpec, signHeaders, verify } from "../../../src/domain/signature/index.ts";
import { NOW, NOW_SECONDS } from "./requests.ts";

const BODY = Buffer.from('{"type":"order.placed","city":"Zürich 😀"}');
const FIRST = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

function sign(secrets: readonly Secret[], body: Uint8Array = BODY, id = "evt_1"): Record<string, string> {
  const spec: SignSpec = { scheme: "standard", secrets };
  return Object.fromEntries(signHeaders(spec, { id, timestamp: NOW_SECONDS, body, now: NOW }));
}

function libraryAccepts(secret: string, headers: Record<string, string>, body = BODY): boolean {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    return true;
  } catch {
    return false;
  }
}

describe("sign standard", () => {
  // The receiving library reads the machine's clock itself.
  beforeAll(() => setSystemTime(new Date(NOW)));
  afterAll(() => setSystemTime());

  test("makes three headers in a stable order", () => {
    const spec: SignSpec = { scheme: "standard", secrets: [{ value: FIRST }] };
    const headers = signHeaders(spec, { id: "evt_1", timestamp: NOW_SECONDS, body: BODY, now: NOW });
    expect(headers).toEqual([
      ["webhook-id", "evt_1"],
      ["webhook-timestamp", "1777604400"],
      ["webhook-signature", new Webhook(FIRST).sign("evt_1", new Date(NOW), BODY)],
    ]);
  });

  test("is accepted by standardwebhooks, with its own key only", () => {
    const headers = sign([{ value: FIRST }]);
    expect(libraryAccepts(FIRST, headers)).toBe(true);
    expect(libraryAccepts(SECOND, headers)).toBe(false);
    expect(libraryAccepts(FIRST, headers, Buffer.from("other"))).toBe(false);
  });

  test.each([
    ["an empty body", ""],
    ["a body that is no JSON", "plain text"],
    ["a body of 1 MiB", "x".repeat(1_048_576)],
  ])("is accepted by standardwebhooks for %s", (_name, text) => {
    const body = Buffer.from(text);
    expect(libraryAccepts(FIRST, sign([{ value: FIRST }], body), body)).toBe(true);
  });

  test("signs with both secrets during a rotation, the first one first", () => {
    const headers = sign([{ value: FIRST }, { value: SECOND, until: NOW }]);
    expect(libraryAccepts(FIRST, headers)).toBe(true);
    expect(libraryAccepts(SECOND, headers)).toBe(true);
    const alone = sign([{ value: FIRST }])["webhook-signature"] ?? "";
    expect(headers["webhook-signature"]).toStartWith(`${alone} v1,`);
  });

  test("stops signing with the old secret after its date", () => {
    const headers = sign([{ value: FIRST }, { value: SECOND, until: NOW - 1 }]);
    expect(headers).toEqual(sign([{ value: FIRST }]));
    expect(libraryAccepts(SECOND, headers)).toBe(false);
  });

  test("signs with the first secret when all have expired", () => {
    const headers = sign([
      { value: FIRST, until: NOW - 2 },
      { value: SECOND, until: NOW - 1 },
    ]);
    expect(headers).toEqual(sign([{ value: FIRST }]));
  });

  test("the same attempt is signed the same way, another attempt is not", () => {
    const spec: SignSpec = { scheme: "standard", secrets: [{ value: FIRST }] };
    const input = { id: "evt_1", timestamp: NOW_SECONDS, body: BODY, now: NOW };
    expect(signHeaders(spec, input)).toEqual(signHeaders(spec, input));
    expect(signHeaders(spec, { ...input, timestamp: NOW_SECONDS + 1 })).not.toEqual(signHeaders(spec, input));
  });

  test("is accepted by our own verification", () => {
    const headers = new Headers(sign([{ value: FIRST }]));
    const request = { body: BODY, headers, url: "/in/source" };
    expect(verify({ scheme: "standard", secrets: [{ value: FIRST }] }, request, NOW)).toEqual({ ok: true });
  });
});
