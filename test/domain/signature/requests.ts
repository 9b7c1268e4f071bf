/** What the signature suites share: requests as they arrive, and a clock reading to judge them at. */

import type { SignedRequest, VerifyResult } from "../../../src/domain/signature/index.ts";

/** 2026-05-01T03:00:00Z, the instant of the published vectors. */
export const NOW_SECONDS = 1_777_604_400;
export const NOW = NOW_SECONDS * 1_000;

export type HeaderList = Readonly<Record<string, string>>;

/** Builds a request; text becomes UTF-8. The header lookup is the platform's own. */
export function arrive(
  headers: HeaderList,
  body: string | Uint8Array = "",
  url = "/in/source",
): SignedRequest {
  return { body: typeof body === "string" ? Buffer.from(body) : body, headers: new Headers(headers), url };
}

/** "ok", or the reason of the refusal: what a table row names. */
export function outcome(result: VerifyResult): string {
  return result.ok ? "ok" : result.reason;
}

/** Changes the character at `place` into another one of the same kind, so that only its value is wrong. */
export function flip(text: string, place: number): string {
  const old = text[place] ?? "";
  return text.slice(0, place) + (old === "1" ? "2" : "1") + text.slice(place + 1);
}
