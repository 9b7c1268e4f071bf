/**
 * The `posthook` table of a [[project]]: what the file may say in it, and what the program sees of it. Pure.
 */
import { type Static, Type } from "@sinclair/typebox";
import { count, oneOf, secretOf } from "./schema-parts.ts";
import { baseUrl, duration, headerValue, nonEmpty, SECRET } from "./values.ts";

/** The figures of Posthook's documented example; it names no defaults. */
const Retry = Type.Object(
  {
    retries: Type.Integer({ minimum: 1, maximum: 15, default: 5 }),
    strategy: oneOf(["fixed", "exponential"], { default: "exponential" }),
    delay: duration({ default: "15s" }),
    factor: Type.Number({ minimum: 1.1, maximum: 4, default: 2 }),
    max_delay: duration({ default: "1h" }),
    jitter: Type.Boolean({ default: true }),
  },
  { default: {} },
);

export const Posthook = Type.Object({
  name: Type.Optional(nonEmpty("a name that listeners are told")),
  domain: Type.Optional(baseUrl()),
  signing_keys: Type.Array(secretOf(SECRET.any), {
    minItems: 1,
    expected: 'a list of signing keys such as ["ph_sk_..."]',
  }),
  authorization: Type.Optional(headerValue()),
  async: Type.Boolean({ default: false }),
  websocket: Type.Boolean({ default: true }),
  retry: Retry,
  quota: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
  concurrency: count(64),
});

type DeclaredPosthook = Static<typeof Posthook>;

interface SigningKey {
  readonly value: string;
  readonly until?: number;
}

export interface PosthookConfig {
  readonly name: string | null;
  readonly domain: string | null;
  readonly signingKeys: readonly SigningKey[];
  readonly authorization: string | null;
  readonly isAsync: boolean;
  readonly hasWebsocket: boolean;
  readonly retry: {
    readonly retries: number;
    readonly strategy: "fixed" | "exponential";
    readonly delayMs: number;
    readonly factor: number;
    readonly delayMaxMs: number;
    readonly hasJitter: boolean;
  };
  readonly quota: number | null;
  readonly concurrency: number;
}

/** `signingKeys` are those of the table, read. */
export function toPosthook(declared: DeclaredPosthook, signingKeys: readonly SigningKey[]): PosthookConfig {
  const { retry } = declared;
  return {
    name: declared.name ?? null,
    domain: declared.domain ?? null,
    signingKeys,
    authorization: declared.authorization ?? null,
    isAsync: declared.async,
    hasWebsocket: declared.websocket,
    retry: {
      retries: retry.retries,
      strategy: retry.strategy,
      delayMs: retry.delay,
      factor: retry.factor,
      delayMaxMs: retry.max_delay,
      hasJitter: retry.jitter,
    },
    quota: declared.quota ?? null,
    concurrency: declared.concurrency,
  };
}
