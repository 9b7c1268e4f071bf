/**
 * The rules of [[source]].verify. The presets are a table: a provider that signs in a way of its own is one
 * entry here and one in domain/signature.
 */

import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { ONE_SECRET, oneOf, secretKeys, secretOf, tolerance } from "./schema-parts.ts";
import {
  anyText,
  basicUsername,
  headerName,
  httpUrl,
  nonEmpty,
  SECRET,
  type SecretFormat,
  signatureTemplate,
} from "./values.ts";

interface PresetShape {
  /** What its secrets look like; any text when omitted. */
  readonly secret?: SecretFormat;
  /** The provider sends a signed time. */
  readonly isTimed?: true;
  /** The provider signs the URL that it calls. */
  readonly signsUrl?: true;
}

const PRESETS = {
  standard: { secret: SECRET.standard, isTimed: true },
  "standard-ed25519": { isTimed: true },
  stripe: { isTimed: true },
  github: {},
  gitlab: {},
  shopify: {},
  slack: { isTimed: true },
  twilio: { signsUrl: true },
  paddle: { isTimed: true },
  linear: { isTimed: true },
  discord: { isTimed: true },
  zoom: { isTimed: true },
  square: { signsUrl: true },
  svix: { secret: SECRET.standard, isTimed: true },
  hookbridge: { isTimed: true },
  posthook: { isTimed: true },
  pyfly: {},
} as const satisfies Record<string, PresetShape>;

export type PresetScheme = keyof typeof PRESETS;

/** Returns whether the rule's signature covers the URL that was called. */
export function signsUrl(scheme: string | undefined): boolean {
  const shapes: Readonly<Record<string, PresetShape>> = PRESETS;
  return scheme !== undefined && Object.hasOwn(shapes, scheme) && shapes[scheme]?.signsUrl === true;
}

const PRESET_KEYS = {
  ...secretKeys(SECRET.any),
  tolerance: Type.Optional(tolerance()),
  public_url: Type.Optional(httpUrl()),
};
const AnyPreset = Type.Object({
  scheme: Type.Unsafe<PresetScheme>(Type.String()),
  ...PRESET_KEYS,
});

/** The keys of a rule are those that mean something for its scheme; any other is reported as unknown. */
function presetRule([scheme, shape]: readonly [string, PresetShape]): TSchema {
  return Type.Object(
    {
      scheme: Type.Literal(scheme),
      ...secretKeys(shape.secret ?? SECRET.any),
      ...(shape.isTimed ? { tolerance: tolerance() } : {}),
      ...(shape.signsUrl ? { public_url: PRESET_KEYS.public_url } : {}),
    },
    ONE_SECRET,
  );
}

const None = Type.Object({ scheme: Type.Literal("none") });

const Token = Type.Object(
  {
    scheme: Type.Literal("token"),
    header: Type.Optional(headerName()),
    query: Type.Optional(nonEmpty("the name of a query parameter")),
    ...secretKeys(SECRET.any),
  },
  {
    exactlyOne: [
      ["header", "query"],
      ["secret", "secrets"],
    ],
  },
);

const Basic = Type.Object(
  {
    scheme: Type.Literal("basic"),
    username: basicUsername(),
    password: Type.Optional(secretOf(SECRET.any)),
    secrets: Type.Optional(Type.Array(secretOf(SECRET.any), { minItems: 1 })),
  },
  { exactlyOne: [["password", "secrets"]] },
);

const Hmac = Type.Object(
  {
    scheme: Type.Literal("hmac"),
    header: headerName(),
    algorithm: oneOf(["sha1", "sha256", "sha512"], { default: "sha256" }),
    encoding: oneOf(["hex", "base64", "base64url"], { default: "hex" }),
    prefix: anyText({ default: "" }),
    prefix_optional: Type.Boolean({ default: false }),
    separator: Type.Optional(oneOf([",", " "])),
    template: signatureTemplate({ default: "{body}" }),
    timestamp_header: Type.Optional(headerName()),
    id_header: Type.Optional(headerName()),
    public_url: Type.Optional(httpUrl()),
    tolerance: tolerance(),
    ...secretKeys(SECRET.any),
  },
  ONE_SECRET,
);

const HookbridgeInbound = Type.Object(
  {
    scheme: Type.Literal("hookbridge-inbound"),
    header: headerName(),
    timestamp_header: Type.Optional(headerName()),
    tolerance: tolerance(),
    ...secretKeys(SECRET.any),
  },
  ONE_SECRET,
);

type AnyRule = Static<
  typeof None | typeof Token | typeof Basic | typeof Hmac | typeof HookbridgeInbound | typeof AnyPreset
>;

export const VerifyRule = Type.Unsafe<AnyRule>(
  Type.Union([None, Token, Basic, Hmac, ...Object.entries(PRESETS).map(presetRule), HookbridgeInbound]),
);

export type DeclaredVerify = AnyRule;
