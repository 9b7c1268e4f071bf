/** Suspicions about the configured secret: right, but for how it is written or turned into a key. */
import type { SecretSpec, Suspect, Trial } from "./types.ts";

const PREFIX = "whsec_";
const BASE64 = /^(?:[A-Za-z0-9+/]{4}){4,}(?:[A-Za-z0-9+/]{2,3})?={0,2}$/;
const HEX = /^(?:[0-9a-fA-F]{2}){16,}$/;

interface Respelling {
  readonly change: string;
  /** Completes "The signature matches once ...". */
  readonly words: string;
  /** Returns the secret itself when there is nothing to change. */
  readonly respell: (secret: string) => string;
}

const RESPELLINGS: readonly Respelling[] = [
  {
    change: "trimmed",
    words: "the white space around the configured secret is taken off",
    respell: (secret) => secret.trim(),
  },
  {
    change: "unquoted",
    words: "the quotes around the configured secret are taken off",
    respell: (secret) => /^(["'])(.+)\1$/s.exec(secret)?.[2] ?? secret,
  },
  {
    change: "newline_added",
    words: "a newline is added to the secret: the sender read its own from a file and kept the line's end",
    respell: (secret) => `${secret}\n`,
  },
  {
    change: "prefix_removed",
    words: `"${PREFIX}" is taken off the secret: the sender signs with what stands behind it`,
    respell: (secret) => (secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret),
  },
  {
    change: "prefix_added",
    words: `"${PREFIX}" is put before the secret: it was left off when it was copied`,
    respell: (secret) => (secret.startsWith(PREFIX) ? secret : PREFIX + secret),
  },
];

export function* respelledSecrets({ spec, secrets, request }: Suspect): Iterable<Trial> {
  for (const { number, ...secret } of secrets) {
    for (const { change, words, respell } of RESPELLINGS) {
      const value = respell(secret.value);
      if (value === secret.value || value === "") continue;
      const sentence = `The signature matches once ${words}.`;
      yield {
        spec: { ...spec, secrets: [{ ...secret, value }] },
        request,
        finding: { code: "secret_spelling", sentence, change, secretNumber: number },
      };
    }
  }
}

interface Decoding {
  readonly change: string;
  readonly words: string;
  /** Null when the secret cannot be read like that. */
  readonly decode: (secret: string) => Uint8Array | null;
}

const DECODINGS: readonly Decoding[] = [
  {
    change: "as_text",
    words: "the secret is used as text, and not as the base64 of a key",
    decode: (secret) => Buffer.from(secret),
  },
  {
    change: "as_text_without_prefix",
    words: `what stands behind "${PREFIX}" is used as text, and not as the base64 of a key`,
    decode: (secret) => (secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length)) : null),
  },
  {
    change: "from_base64",
    words: "the secret is decoded from base64 before use",
    decode: (secret) => {
      const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
      return BASE64.test(text) ? Buffer.from(text, "base64") : null;
    },
  },
  {
    change: "from_hex",
    words: "the secret is decoded from hexadecimal digits before use",
    decode: (secret) => (HEX.test(secret) ? Buffer.from(secret, "hex") : null),
  },
];

/** The sender turns the secret into another key than the scheme does. */
export function* decodedSecrets({ spec, secrets, request }: Suspect): Iterable<Trial> {
  for (const secret of secrets) {
    for (const { change, words, decode } of DECODINGS) {
      const key = decode(secret.value);
      if (key === null) continue;
      const sentence = `The signature matches when ${words}: sender and source do not agree on that.`;
      yield {
        spec: withKey({ ...spec, secrets: [secret] }, key),
        request,
        finding: { code: "secret_decoding", sentence, change, secretNumber: secret.number },
      };
    }
  }
}

/** Replaces the secret of a rule by the bytes of a key. */
function withKey(spec: SecretSpec, key: Uint8Array): SecretSpec {
  if (spec.scheme === "standard" || spec.scheme === "svix") {
    return { ...spec, secrets: [{ value: PREFIX + Buffer.from(key).toString("base64") }] };
  }
  // The schemes that are a set of options of `hmac` hand this on to the keyed hash; others ignore it.
  const keyed = { ...spec, deriveKey: () => key };
  return keyed;
}
