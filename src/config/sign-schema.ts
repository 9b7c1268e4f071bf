/** The rules of [[endpoint]].sign: how what is sent is signed. */

import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { ONE_SECRET, oneOf, secretKeys } from "./schema-parts.ts";
import { anyText, headerName, SECRET, type SecretFormat, sentTemplate } from "./values.ts";

/** Schemes of a fixed form, with what their secrets look like. */
const PRESETS = {
  standard: SECRET.standard,
  "standard-ed25519": SECRET.ed25519Private,
  hookbridge: SECRET.any,
  posthook: SECRET.any,
  pingback: SECRET.any,
  pyfly: SECRET.any,
  github: SECRET.any,
  stripe: SECRET.any,
} as const satisfies Record<string, SecretFormat>;

export type SignPreset = keyof typeof PRESETS;

const AnyPreset = Type.Object({
  scheme: Type.Unsafe<SignPreset>(Type.String()),
  ...secretKeys(SECRET.any),
});

const Custom = Type.Object(
  {
    scheme: Type.Literal("custom"),
    header: headerName(),
    algorithm: oneOf(["sha1", "sha256", "sha512"], { default: "sha256" }),
    encoding: oneOf(["hex", "base64", "base64url"], { default: "hex" }),
    prefix: anyText({ default: "" }),
    template: sentTemplate({ default: "{body}" }),
    timestamp_header: Type.Optional(headerName()),
    id_header: Type.Optional(headerName()),
    separator: Type.Optional(oneOf([",", " "])),
    ...secretKeys(SECRET.any),
  },
  ONE_SECRET,
);

function presetRule([scheme, secret]: readonly [string, SecretFormat]): TSchema {
  return Type.Object({ scheme: Type.Literal(scheme), ...secretKeys(secret) }, ONE_SECRET);
}

export const SignRule = Type.Unsafe<Static<typeof AnyPreset | typeof Custom>>(
  Type.Union([...Object.entries(PRESETS).map(presetRule), Custom], {
    expected: 'a table such as { scheme = "standard", secret = "whsec_..." }',
  }),
);

export type DeclaredSign = Static<typeof SignRule>;
