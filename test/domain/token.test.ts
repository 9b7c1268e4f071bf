import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ackDeadline, issueAck, readAck, reportText } from "../../src/domain/acknowledgement.ts";
import { createTokens } from "../../src/domain/token.ts";
import { NOW, newId } from "../support/factory.ts";

const tokens = createTokens(new Uint8Array(32).fill(3));
const claim = { deliveryId: newId(), attempt: 7, isAck: true, expiresAt: NOW + 0.5 };

describe("A token", () => {
  test("gives back its claim, and only for its purpose and key", () => {
    const bytes = Buffer.from("a claim of some bytes");
    const token = tokens.issue("ticket", bytes);
    expect(tokens.read("ticket", token)).toEqual(bytes);
    expect(tokens.read("download", token)).toBeNull();
    expect(createTokens(new Uint8Array(32)).read("ticket", token)).toBeNull();
  });

  test("is one word for a URL", () => {
    expect(issueAck(tokens, claim)).toMatch(/^[A-Za-z0-9_-]{60}$/);
  });

  test("is refused with any character changed, added or taken away", () => {
    const token = issueAck(tokens, claim);
    const replaced = [...token].map(
      (char, at) => token.slice(0, at) + (char === "A" ? "B" : "A") + token.slice(at + 1),
    );
    for (const other of [...replaced, `${token}A`, token.slice(0, -1), `${token}=`, "", "x".repeat(2_000)]) {
      expect(readAck(tokens, other)).toBeNull();
    }
  });

  test("has one form: bits that mean nothing are not taken in another", () => {
    const token = tokens.issue("ticket", Buffer.from("seven77"));
    const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const accepted = [...last].filter((char) => tokens.read("ticket", token.slice(0, -1) + char) !== null);
    expect(accepted).toEqual([token.at(-1) ?? ""]);
  });

  test("never throws, whatever comes", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => readAck(tokens, text) === null));
  });
});

describe("An acknowledgement's token", () => {
  test("tells delivery, attempt, verb and expiry", () => {
    expect(readAck(tokens, issueAck(tokens, claim))).toEqual(claim);
    const nack = { ...claim, isAck: false, attempt: 4_294_967_295 };
    expect(readAck(tokens, issueAck(tokens, nack))).toEqual(nack);
  });

  test("of one verb is not that of the other with a byte edited", () => {
    const bytes = Buffer.from(issueAck(tokens, claim), "base64url");
    bytes[0] = 0;
    expect(readAck(tokens, bytes.toString("base64url"))).toBeNull();
  });
});

describe("The deadline of a promise", () => {
  const rule = { deadlineMs: 300_000, deadlineMaxMs: 3_600_000 };
  test.each([
    [null, null],
    ["60", 60_000],
    [" 60 ", 60_000],
    ["0", 300_000],
    ["", 300_000],
    ["soon", 300_000],
    ["-5", 300_000],
    ["999999999", 3_600_000],
    ["99999999999999999999", 300_000],
  ])("asked for as %p", (header, waitMs) => {
    const headers = new Headers(header === null ? {} : { "postern-ack-deadline": header });
    expect(ackDeadline(rule, { headers, body: new Uint8Array(0) }, NOW)).toBe(
      waitMs === null ? null : NOW + waitMs,
    );
  });
});

describe("The reason of a receiver", () => {
  test.each([
    ["", null],
    ["  \n", null],
    ["disk full", "disk full"],
    ['{"error":"disk full"}', "disk full"],
    ['{"message":"disk full"}', "disk full"],
    ['{"error":{"message":"disk full","code":3}}', "disk full"],
    ['{"reason":"disk full"}', '{"reason":"disk full"}'],
    ['{"error":', '{"error":'],
    ["[1]", "[1]"],
  ])("in %p is %p", (body, text) => {
    expect(reportText(Buffer.from(body))).toBe(text);
  });

  test("is cut at 8,192 bytes", () => {
    expect(reportText(Buffer.from("x".repeat(9_000)))).toHaveLength(8_192);
  });
});
