import { describe, expect, test } from "bun:test";
import { AppError } from "../../../src/domain/errors.ts";
import { prepareSign, type SignSpec } from "../../../src/domain/signature/index.ts";
import { newSecret } from "../../../src/domain/signature/new-secret.ts";
import {
  addSecret,
  removeSecret,
  rotateSecret,
  SECRETS_MAX,
  secretName,
} from "../../../src/domain/signature/signing-keys.ts";

const NOW = 1_000_000;
const old = { value: "whsec_b2xk" };
const fresh = { value: "whsec_bmV3" };
const STANDARD: SignSpec = { scheme: "standard", secrets: [old] };

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return "fine";
}

function signatures(specs: readonly SignSpec[], now: number): string[] {
  const input = { id: "evt_1", timestamp: 1, body: Buffer.from("{}"), now };
  return specs.flatMap((spec) => prepareSign(spec)(input).flatMap(([, value]) => value.split(" ")));
}

describe("A rotation", () => {
  const rotated = rotateSecret([STANDARD], { scheme: "standard", secret: fresh, now: NOW, until: NOW + 10 });

  test("signs with both until its end, and with the new secret alone from then on", () => {
    const alone = (secret: typeof old) => signatures([{ scheme: "standard", secrets: [secret] }], NOW).at(-1);
    expect(signatures(rotated, NOW + 10).filter((text) => text.startsWith("v1,"))).toEqual([
      alone(old) ?? "",
      alone(fresh) ?? "",
    ]);
    expect(signatures(rotated, NOW + 11).filter((text) => text.startsWith("v1,"))).toEqual([
      alone(fresh) ?? "",
    ]);
  });

  test("leaves a scheme with one signature at the old secret until its end", () => {
    const spec: SignSpec = { scheme: "github", secrets: [{ value: "old" }] };
    const secret = { value: "new" };
    const next = rotateSecret([spec], { scheme: "github", secret, now: NOW, until: NOW + 10 });
    expect(signatures(next, NOW + 10)).toEqual(signatures([spec], NOW));
    expect(signatures(next, NOW + 11)).toEqual(signatures([{ scheme: "github", secrets: [secret] }], NOW));
  });

  test("drops what an earlier one has ended, and lengthens no other's time", () => {
    const third = { value: "whsec_M3Jk" };
    const again = { scheme: "standard", secret: third } as const;
    expect(rotateSecret(rotated, { ...again, now: NOW + 5, until: NOW + 50 })[0]?.secrets).toEqual([
      { ...old, until: NOW + 10 },
      { ...fresh, until: NOW + 50 },
      third,
    ]);
    expect(rotateSecret(rotated, { ...again, now: NOW + 20, until: NOW + 50 })[0]?.secrets).toEqual([
      { ...fresh, until: NOW + 50 },
      third,
    ]);
  });

  test("without an overlap ends the old secret at once", () => {
    const next = rotateSecret([STANDARD], { scheme: "standard", secret: fresh, now: NOW, until: NOW });
    expect(next[0]?.secrets).toEqual([fresh]);
  });

  test("is refused for a scheme that is not there, and for the secret that is", () => {
    const rotation = { now: NOW, until: NOW + 10 };
    expect(codeOf(() => rotateSecret([STANDARD], { ...rotation, scheme: "stripe", secret: fresh }))).toBe(
      "invalid_request",
    );
    expect(codeOf(() => rotateSecret([STANDARD], { ...rotation, scheme: "standard", secret: old }))).toBe(
      "invalid_request",
    );
  });
});

describe("Secrets", () => {
  test("are added to their scheme, or with it", () => {
    const added = addSecret([STANDARD], { scheme: "standard", secret: fresh, now: NOW });
    expect(added[0]?.secrets).toEqual([old, fresh]);
    const both = addSecret([STANDARD], { scheme: "github", secret: fresh, now: NOW });
    expect(both.map(({ scheme }) => scheme)).toEqual(["standard", "github"]);
    expect(codeOf(() => addSecret([], { scheme: "custom", secret: fresh, now: NOW }))).toBe(
      "invalid_request",
    );
  });

  test("are bounded in number", () => {
    const secrets = Array.from({ length: SECRETS_MAX }, (_, n) => ({ value: `secret-${n}` }));
    const full: SignSpec = { scheme: "github", secrets };
    expect(codeOf(() => addSecret([full], { scheme: "github", secret: fresh, now: NOW }))).toBe(
      "invalid_request",
    );
  });

  test("are removed by name, and the last one with its scheme", () => {
    const two = addSecret([STANDARD], { scheme: "standard", secret: fresh, now: NOW });
    const one = removeSecret(two, secretName(old));
    expect(one[0]?.secrets).toEqual([fresh]);
    expect(removeSecret(one, secretName(fresh))).toEqual([]);
    expect(codeOf(() => removeSecret(one, secretName(old)))).toBe("not_found");
  });

  test.each([
    ["standard", /^whsec_[A-Za-z0-9+/]{43}=$/],
    ["standard-ed25519", /^whsk_[A-Za-z0-9+/]{43}=$/],
    ["github", /^[0-9a-f]{64}$/],
  ] as const)("that are made for %s sign", (scheme, form) => {
    const value = newSecret(scheme, (length) => new Uint8Array(length).fill(7));
    expect(value).toMatch(form);
    expect(signatures([{ scheme, secrets: [{ value }] }], NOW).length).toBeGreaterThan(0);
  });
});
