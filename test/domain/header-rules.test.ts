import { describe, expect, test } from "bun:test";
import { checkSigning, isReservedHeader } from "../../src/domain/header-rules.ts";
import type { SignSpec } from "../../src/domain/signature/index.ts";

const secrets = [{ value: "s3cret" }];
const faults = (sign: readonly SignSpec[], headers: Record<string, string> = {}) =>
  checkSigning({ sign, headers }).map(({ path, message }) => `${path.join(".")}: ${message}`);
const custom = (header: string): SignSpec => {
  return { scheme: "custom", header, algorithm: "sha256", encoding: "hex", secrets };
};

describe("an endpoint's headers", () => {
  test.each([
    "Host",
    "content-length",
    "Transfer-Encoding",
    "Connection",
    "TE",
    "Webhook-Id",
    "webhook-signature",
  ])("cannot set %s", (name) => {
    expect(isReservedHeader(name.toLowerCase())).toBe(true);
    expect(faults([], { [name]: "x" })).toEqual([`headers.${name}: cannot be set: Postern sets it itself`]);
  });

  test("cannot take a signature's place, under any spelling", () => {
    expect(faults([{ scheme: "github", secrets }], { "x-hub-signature-256": "forged" })).toEqual([
      "headers.x-hub-signature-256: cannot be set: it carries the github signature",
    ]);
    expect(faults([custom("X-Acme")], { "X-ACME": "forged" })).toEqual([
      "headers.X-ACME: cannot be set: it carries the custom signature",
    ]);
  });

  test("may set anything else", () => {
    const headers = {
      Authorization: "Bearer x",
      "X-Hub-Signature-256": "of another making",
      "Content-Type": "a/b",
    };
    expect(faults([{ scheme: "stripe", secrets }], headers)).toEqual([]);
  });
});

describe("several signatures", () => {
  test("of both kinds of Standard Webhooks go together", () => {
    const ed25519 = { scheme: "standard-ed25519", secrets: [{ value: `whsk_${"A".repeat(43)}=` }] } as const;
    expect(faults([{ scheme: "standard", secrets }, ed25519])).toEqual([]);
  });

  test("cannot share a header otherwise", () => {
    expect(faults([{ scheme: "github", secrets }, custom("X-Hub-Signature-256")])).toEqual([
      "sign.1: sets X-Hub-Signature-256, as the github rule before it does",
    ]);
  });

  test("a custom one cannot use a header of the connection", () => {
    expect(faults([custom("Host")])).toEqual([
      "sign.0: cannot write its signature to Host, which Postern sets itself",
    ]);
  });

  test("one that cannot work is named by its place", () => {
    expect(
      faults([
        { scheme: "stripe", secrets },
        { scheme: "github", secrets: [] },
      ]),
    ).toEqual(["sign.1: At least one secret is needed."]);
  });
});
