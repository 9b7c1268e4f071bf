/** What a request may say of an endpoint, and the way from there to a definition. */
import { type Static, Type } from "@sinclair/typebox";
import type { Endpoint } from "../../domain/endpoint.ts";
import { NATIVE_PROFILE } from "../../domain/native-profile.ts";
import { ORDERINGS } from "../../domain/pacing.ts";
import { STANDARD_RETRY } from "../../domain/policy.ts";
import { DEFAULT_BREAKER } from "../../domain/pressure.ts";
import type { Secret, SignSpec } from "../../domain/signature/index.ts";
import { newSecret } from "../../domain/signature/new-secret.ts";
import { SECRETS_MAX } from "../../domain/signature/signing-keys.ts";
import type { EndpointChange } from "../../runtime/objects.ts";
import type { DeclaredEndpoint } from "../../runtime/reconcile.ts";
import { MOMENT, nullable, oneOf, readMoment } from "./schemas.ts";

const CLOSED = { additionalProperties: false } as const;
const COUNT = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const DAYS_MS = 30 * 86_400_000;
const DURATION_MS = Type.Integer({ minimum: 0, maximum: DAYS_MS });
const JITTER = Type.Optional(Type.Number({ minimum: 0, maximum: 1 }));

export const NAME = Type.String({ pattern: "^[A-Za-z0-9_-]{1,64}$" });

const NEW_RETRY = Type.Union([
  Type.Object({ kind: Type.Literal("standard") }, CLOSED),
  Type.Object(
    { kind: Type.Literal("ladder"), delaysMs: Type.Array(DURATION_MS, { maxItems: 100 }), jitter: JITTER },
    { ...CLOSED, description: "Attempts: one more than there are delays." },
  ),
  Type.Object(
    {
      kind: Type.Literal("exponential"),
      delayMs: DURATION_MS,
      factor: Type.Optional(Type.Number({ minimum: 1, maximum: 100 })),
      delayMaxMs: Type.Optional(DURATION_MS),
      attemptsMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
      ageMaxMs: Type.Optional(nullable(Type.Integer({ minimum: 1 }))),
      jitter: JITTER,
    },
    CLOSED,
  ),
]);

export const SCHEMES = [
  "standard",
  "standard-ed25519",
  "hookbridge",
  "posthook",
  "pingback",
  "pyfly",
  "github",
  "stripe",
  "custom",
] as const satisfies readonly SignSpec["scheme"][];

export const SECRET_TEXT = Type.String({ minLength: 1, maxLength: 4_096 });

const SECRETS = Type.Optional(
  Type.Array(Type.Object({ value: SECRET_TEXT, until: Type.Optional(MOMENT) }, CLOSED), {
    minItems: 1,
    maxItems: SECRETS_MAX,
    description: "Made for you when left out.",
  }),
);

const HEADER = Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$" });

const NEW_SIGN = Type.Union([
  Type.Object({ scheme: oneOf(SCHEMES.filter((scheme) => scheme !== "custom")), secrets: SECRETS }, CLOSED),
  Type.Object(
    {
      scheme: Type.Literal("custom"),
      secrets: SECRETS,
      header: HEADER,
      algorithm: oneOf(["sha1", "sha256", "sha512"]),
      encoding: oneOf(["hex", "base64", "base64url"]),
      prefix: Type.Optional(Type.String({ maxLength: 128 })),
      template: Type.Optional(Type.String({ maxLength: 1_024 })),
      timestampHeader: Type.Optional(HEADER),
      idHeader: Type.Optional(HEADER),
      separator: Type.Optional(oneOf([",", " "])),
    },
    CLOSED,
  ),
]);

const RATE = Type.Object(
  {
    perSecond: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }),
    burst: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  },
  CLOSED,
);

const FAILURE_RATE = Type.Object(
  {
    ratio: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
    windowMs: Type.Integer({ minimum: 1, maximum: DAYS_MS }),
    samplesMin: COUNT,
  },
  { ...CLOSED, description: "This share of failures within a window opens it, too." },
);

const POISON = Type.Union([
  Type.Object({ kind: oneOf(["block", "park"]) }, CLOSED),
  Type.Object({ kind: Type.Literal("skip"), after: Type.Optional(nullable(COUNT)) }, CLOSED),
]);

const PACING = Type.Object(
  {
    ordering: Type.Optional(oneOf(ORDERINGS)),
    poison: Type.Optional(POISON),
    keyRate: Type.Optional(nullable(RATE)),
    slowStart: Type.Optional(Type.Boolean()),
    drainPerSecond: Type.Optional(nullable(Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }))),
    disableAfterMs: Type.Optional(nullable(Type.Integer({ minimum: 1 }))),
  },
  { ...CLOSED, description: "Given anew as a whole." },
);

/** A chain of some certificates; what is in it is for the endpoint's own check to judge. */
const PEM = Type.String({ maxLength: 65_536, description: "PEM." });

const CHANGE_MEMBERS = {
  url: Type.Optional(Type.String({ maxLength: 2_048 })),
  headers: Type.Optional(
    Type.Record(Type.String(), Type.String({ maxLength: 8_192 }), { description: "Replaces all of them." }),
  ),
  sign: Type.Optional(
    Type.Array(NEW_SIGN, { maxItems: 10, description: "Replaces all of them; [] sends unsigned." }),
  ),
  retry: Type.Optional(NEW_RETRY),
  concurrency: Type.Optional(COUNT),
  rate: Type.Optional(nullable(RATE)),
  timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600_000 })),
  breaker: Type.Optional(
    Type.Object(
      {
        failures: Type.Optional(
          Type.Integer({ minimum: 0, maximum: 1_000_000, description: "In a row; 0: never opens." }),
        ),
        recoveryMs: Type.Optional(Type.Integer({ minimum: 1, maximum: DAYS_MS })),
        recoveryMaxMs: Type.Optional(
          Type.Integer({ minimum: 1, maximum: DAYS_MS, description: "The wait grows up to this." }),
        ),
        rate: Type.Optional(FAILURE_RATE),
      },
      CLOSED,
    ),
  ),
  ack: Type.Optional(
    nullable(
      Type.Object(
        {
          deadlineMs: Type.Integer({ minimum: 1, maximum: DAYS_MS }),
          deadlineMaxMs: Type.Integer({ minimum: 1, maximum: DAYS_MS }),
        },
        CLOSED,
      ),
    ),
  ),
  pacing: Type.Optional(PACING),
  resultTo: Type.Optional(
    nullable(
      Type.String({
        maxLength: 2_048,
        description: "The endpoint or URL that is told how each delivery ended.",
      }),
    ),
  ),
  tls: Type.Optional(
    nullable(
      Type.Object(
        { cert: PEM, key: PEM, ca: Type.Optional(nullable(PEM)) },
        { ...CLOSED, description: "A client certificate. It is never shown again." },
      ),
    ),
  ),
};

export const NEW_ENDPOINT = Type.Object(
  { name: NAME, ...CHANGE_MEMBERS, url: Type.String({ maxLength: 2_048 }) },
  { ...CLOSED, description: "Without sign, it signs under Standard Webhooks with a secret made for it." },
);

export const ENDPOINT_CHANGE = Type.Object(CHANGE_MEMBERS, {
  ...CLOSED,
  description: "What is left out stays.",
});

type RandomBytes = (length: number) => Uint8Array;
type Words = Static<typeof ENDPOINT_CHANGE>;

export interface EndpointDefaults {
  readonly timeoutMs: number;
  readonly randomBytes: RandomBytes;
}

/** Returns the definition behind a request for a new endpoint. */
export function readNewEndpoint(
  project: string,
  { name, url, ...words }: Static<typeof NEW_ENDPOINT>,
  { timeoutMs, randomBytes }: EndpointDefaults,
): DeclaredEndpoint {
  return {
    ...{ project, name, url, profile: NATIVE_PROFILE.name, headers: {}, sign: [], retry: STANDARD_RETRY },
    ...{ concurrency: 16, rate: null, timeoutMs, breaker: DEFAULT_BREAKER },
    ...readEndpointChange(
      { sign: [{ scheme: "standard" }], ...words },
      { breaker: DEFAULT_BREAKER, randomBytes },
    ),
  };
}

/** Returns what a request wants to be different. */
export function readEndpointChange(
  { sign, retry, rate, breaker, pacing, tls, ...rest }: Words,
  { breaker: known, randomBytes }: Pick<Endpoint, "breaker"> & { readonly randomBytes: RandomBytes },
): EndpointChange {
  return {
    ...present(rest),
    ...(sign === undefined ? {} : { sign: sign.map((words) => readSign(words, randomBytes)) }),
    ...(retry === undefined ? {} : { retry: readRetry(retry) }),
    ...(rate === undefined ? {} : { rate: rate && readRate(rate) }),
    ...(breaker === undefined ? {} : { breaker: { ...known, ...present(breaker) } }),
    ...(pacing === undefined ? {} : { pacing: readPacing(pacing) }),
    ...(tls === undefined ? {} : { tls: tls && { ...tls, ca: tls.ca ?? null } }),
  };
}

type Present<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Without the members that are there and undefined. */
function present<T extends object>(words: T): Present<T> {
  return Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined)) as Present<T>;
}

function readSign({ secrets, ...spec }: Static<typeof NEW_SIGN>, randomBytes: RandomBytes): SignSpec {
  const given = secrets?.map(({ value, until }) => ({
    value,
    ...(until === undefined ? {} : { until: readMoment("until", until) }),
  }));
  const made: readonly Secret[] = given ?? [{ value: newSecret(spec.scheme, randomBytes) }];
  return { ...present(spec), secrets: made } as SignSpec;
}

function readRetry(retry: Static<typeof NEW_RETRY>): Endpoint["retry"] {
  switch (retry.kind) {
    case "standard":
      return STANDARD_RETRY;
    case "ladder":
      return { kind: "ladder", delaysMs: retry.delaysMs, jitter: retry.jitter ?? 0 };
    case "exponential": {
      const { kind, delayMs, factor = 2, delayMaxMs = 3_600_000, attemptsMax = 10 } = retry;
      const { ageMaxMs = null, jitter = 0.2 } = retry;
      return { kind, delayMs, factor, delayMaxMs, attemptsMax, ageMaxMs, jitter };
    }
    default:
      return retry satisfies never;
  }
}

function readRate({ perSecond, burst }: Static<typeof RATE>) {
  return { perSecond, burst: burst ?? Math.ceil(perSecond) };
}

function readPacing({ poison, keyRate, ...rest }: Static<typeof PACING>): NonNullable<Endpoint["pacing"]> {
  return {
    ...present(rest),
    ...(poison === undefined
      ? {}
      : { poison: poison.kind === "skip" ? { kind: "skip", after: poison.after ?? null } : poison }),
    ...(keyRate === undefined ? {} : { keyRate: keyRate && readRate(keyRate) }),
  };
}
