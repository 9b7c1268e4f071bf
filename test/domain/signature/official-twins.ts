/** A request that a provider's library accepts and twins that it refuses, judged by the library and by us. */

import { afterAll, beforeAll, describe, expect, setSystemTime, test } from "bun:test";
import { type VerifySpec, verify } from "../../../src/domain/signature/index.ts";
import { arrive, flip, type HeaderList, NOW, NOW_SECONDS, outcome } from "./requests.ts";
import { PRESETS } from "./signers.ts";

export interface Official {
  readonly spec: VerifySpec;
  readonly keys: { readonly right: string; readonly wrong: string };
  readonly signatureHeader: string;
  /** Made by the library where it can, else by the independent signer. */
  readonly sign: (key: string, seconds: number, body: string) => HeaderList | Promise<HeaderList>;
  /** What the library says of a request with those headers; it may throw to refuse. */
  readonly accepts: (headers: HeaderList, body: string) => unknown;
  /** False where the library leaves it to its caller to look at the time. */
  readonly isTimeChecked: boolean;
  /** Nothing says when a request was sent. */
  readonly isTimeless?: true;
}

const SKEW_SECONDS = 3_600;

/** A body as the provider might send it at that time, in every way that matters to a signature. */
function bodyAt(seconds: number): string {
  const webhookTimestamp = seconds * 1_000;
  return JSON.stringify({ event_type: "invoice.paid", note: "Zoë 😀", amount: "1.0", webhookTimestamp });
}

/** Declares the tests of one library. */
export function runTwins(official: Official): void {
  const { spec, keys, signatureHeader, sign, isTimeChecked, isTimeless = false } = official;
  const body = bodyAt(NOW_SECONDS);
  const signed = (key = keys.right) => sign(key, NOW_SECONDS, body);
  const judge = (headers: HeaderList, sent = body) => outcome(verify(spec, arrive(headers, sent), NOW));
  const refused = async (headers: HeaderList, sent: string, reason: string) => {
    expect(judge(headers, sent)).toBe(reason);
    expect(await isAccepted(official, headers, sent)).toBe(false);
  };

  describe(spec.scheme, () => {
    // The libraries ask the machine for the time.
    beforeAll(() => void setSystemTime(new Date(NOW)));
    afterAll(() => void setSystemTime());

    test("the library and we accept the same request", async () => {
      expect(judge(await signed())).toBe("ok");
      expect(await isAccepted(official, await signed(), body)).toBe(true);
    });

    test("both refuse another body, also when it means the same", async () => {
      for (const twin of [body.replace("1.0", "9.0"), `${body}\n`, ` ${body}`, body.replace("ë", "\\u00eb")])
        await refused(await signed(), twin, "signature_mismatch");
    });

    test("both refuse a wrong key", async () => {
      await refused(await signed(keys.wrong), body, "signature_mismatch");
    });

    test("both refuse a signature with one character changed", async () => {
      const headers = await signed();
      const value = headers[signatureHeader] ?? "";
      // Well inside the digest, whatever stands before and behind it.
      const spoilt = { ...headers, [signatureHeader]: flip(value, value.length - 12) };
      await refused(spoilt, body, "signature_mismatch");
    });

    test("both refuse a request without its signature", async () => {
      await refused({ ...(await signed()), [signatureHeader]: "" }, body, "missing_signature");
    });

    if (isTimeless) return;

    test("we refuse what is an hour old or ahead, and the library what it looks at", async () => {
      for (const skew of [-SKEW_SECONDS, SKEW_SECONDS]) {
        const sent = bodyAt(NOW_SECONDS + skew);
        const headers = await sign(keys.right, NOW_SECONDS + skew, sent);
        expect(judge(headers, sent)).toBe("timestamp_out_of_tolerance");
        if (isTimeChecked && skew < 0) expect(await isAccepted(official, headers, sent)).toBe(false);
      }
    });
  });
}

/** Libraries refuse by false or by throwing, and accept by true or by what they return. */
async function isAccepted(official: Official, headers: HeaderList, body: string): Promise<boolean> {
  try {
    return (await official.accepts(headers, body)) !== false;
  } catch {
    return false;
  }
}

/** What the independent signer makes of a scheme: for libraries that only verify. */
export function independently(
  scheme: VerifySpec["scheme"],
): Pick<Official, "spec" | "keys" | "signatureHeader" | "sign"> {
  const preset = PRESETS.find((one) => one.scheme === scheme);
  if (preset === undefined) throw new Error(`there is no independent signer for ${scheme}`);
  const [right, wrong] = preset.keys;
  const { publicUrl, signatureHeader } = preset;
  const url = publicUrl === undefined ? {} : { publicUrl };
  return {
    spec: { scheme: preset.scheme, secrets: [{ value: right.verifies }], ...url },
    keys: { right: right.signs, wrong: wrong.signs },
    signatureHeader,
    sign: (key, seconds, body) => preset.sign(key, String(seconds), body),
  };
}
