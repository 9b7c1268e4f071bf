/** Suspicions about the header: the right signature or token, written otherwise than the scheme wants. */
import type { SignedRequest } from "../signature/index.ts";
import type { Finding, Suspect, Trial } from "./types.ts";

/** Longer values are made up. */
const VALUE_CHARS_MAX = 4_096;

const DIGEST_BYTES: ReadonlySet<number> = new Set([20, 32, 64]);

/** A digest in hex, base64 or base64url; it ends the header. */
const DIGEST_AT_END = /[A-Za-z0-9+/_-]{27,128}={0,2}$/;

const PREFIX = /^(?:(?:hmac-)?sha-?(?:1|256|512)[=: ]|v[01][=,]|Bearer +)/i;
const PREFIXES = ["", "sha256=", "sha1=", "sha512=", "v0=", "v1,"] as const;

/** The signature in another encoding, and with another prefix. */
export function* otherSignatures({ spec, secrets, request, refusal }: Suspect): Iterable<Trial> {
  const header = refusal.diagnosis?.field;
  const value = header === undefined ? null : readHeader(request, header);
  if (header === undefined || value === null) return;
  const base = { ...spec, secrets };
  for (const { sent, expected, text } of reencode(value)) {
    const sentence = `The signature is right, but it is sent as ${sent} where ${expected} is expected.`;
    const finding: Finding = { code: "signature_encoding", sentence, header, sent, expected };
    yield { spec: base, request: withHeader(request, header, text), finding };
  }
  const bare = value.replace(PREFIX, "");
  const own = spec.scheme === "hmac" && spec.prefix !== undefined ? [spec.prefix] : [];
  for (const prefix of new Set([...own, ...PREFIXES])) {
    if (prefix + bare === value) continue;
    const expected = prefix === "" ? "nothing" : `"${prefix}"`;
    const sentence = `The signature is right, but the scheme wants ${expected} before it in ${header}.`;
    const finding: Finding = { code: "signature_prefix", sentence, header, expected: prefix };
    yield { spec: base, request: withHeader(request, header, prefix + bare), finding };
  }
}

/** The token behind the name of an authentication scheme. */
export function* otherTokens({ spec, secrets, request, refusal }: Suspect): Iterable<Trial> {
  const header = refusal.diagnosis?.field;
  const value = header === undefined ? null : readHeader(request, header);
  if (header === undefined || value === null) return;
  const bare = value.replace(/^\w+ +/, "");
  const words = bare === value ? 'a word such as "Bearer" and a space are expected' : "nothing is expected";
  const sentence = `The token is right, but ${words} before it in ${header}.`;
  const finding: Finding = { code: "signature_prefix", sentence, header };
  const texts = bare === value ? [`Bearer ${value}`] : [bare];
  for (const text of texts) {
    yield { spec: { ...spec, secrets }, request: withHeader(request, header, text), finding };
  }
}

interface Reencoded {
  readonly sent: string;
  readonly expected: string;
  readonly text: string;
}

const ENCODINGS = ["hex", "base64", "base64url"] as const;
const ENCODING_WORDS = { hex: "lower-case hexadecimal", base64: "base64", base64url: "base64url" } as const;

/** Returns the value with the digest at its end in every other encoding. */
function reencode(value: string): Reencoded[] {
  const digest = DIGEST_AT_END.exec(value)?.[0];
  if (digest === undefined) return [];
  const read = readDigest(digest);
  if (read === null) return [];
  const start = value.slice(0, value.length - digest.length);
  return ENCODINGS.flatMap((encoding) => {
    const text = read.bytes.toString(encoding);
    if (text === digest) return [];
    return [{ sent: read.sent, expected: ENCODING_WORDS[encoding], text: start + text }];
  });
}

function readDigest(text: string): { readonly sent: string; readonly bytes: Buffer } | null {
  const fromHex = /^[0-9a-f]+$/i.test(text) ? Buffer.from(text, "hex") : null;
  if (fromHex !== null && text.length % 2 === 0 && DIGEST_BYTES.has(fromHex.length)) {
    return { sent: /[A-F]/.test(text) ? "upper-case hexadecimal" : "lower-case hexadecimal", bytes: fromHex };
  }
  const bytes = Buffer.from(text, "base64");
  const inner = bytes.toString("latin1");
  if (/^(?:[0-9a-f]{2})+$/i.test(inner) && DIGEST_BYTES.has(inner.length / 2)) {
    return { sent: "the base64 of hexadecimal text", bytes: Buffer.from(inner, "hex") };
  }
  if (!DIGEST_BYTES.has(bytes.length)) return null;
  return { sent: /[_-]/.test(text) || !text.endsWith("=") ? "base64url" : "base64", bytes };
}

function readHeader({ headers }: SignedRequest, name: string): string | null {
  // A refusal also names query parameters and pairs, which no header is called like.
  if (!/^[\w-]+$/.test(name)) return null;
  const value = headers.get(name);
  return value === null || value === "" || value.length > VALUE_CHARS_MAX ? null : value;
}

function withHeader(request: SignedRequest, name: string, value: string): SignedRequest {
  const { headers } = request;
  const lower = name.toLowerCase();
  return {
    ...request,
    headers: { get: (asked) => (asked.toLowerCase() === lower ? value : headers.get(asked)) },
  };
}
