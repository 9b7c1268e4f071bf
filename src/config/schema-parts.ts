/** Pieces that several tables of the schema share: closed sets, counts, secrets, rates. */

import { Type } from "@sinclair/typebox";
import { duration, instant, type SecretFormat, secretFile, secretText } from "./values.ts";

/** A bound for counts, so that a typing slip cannot exhaust memory. */
const COUNT_MAX = 1_000_000;

export function oneOf<const T extends readonly string[]>(values: T, options: { default?: T[number] } = {}) {
  return Type.Unsafe<T[number]>({ ...Type.Union(values.map((value) => Type.Literal(value))), ...options });
}

export function count(fallback: number, minimum = 1) {
  return Type.Integer({ minimum, maximum: COUNT_MAX, default: fallback });
}

/** A secret in place, or `{ value | file, until }`. */
export function secretOf(format: SecretFormat) {
  const table = Type.Object(
    {
      value: Type.Optional(secretText(format)),
      file: Type.Optional(secretFile(format)),
      until: Type.Optional(instant()),
    },
    { exactlyOne: [["value", "file"]] },
  );
  return Type.Union([secretText(format), table]);
}

/** The keys of a table that holds secrets: the list, or its one-element shorthand. */
export function secretKeys(format: SecretFormat) {
  return {
    secret: Type.Optional(secretOf(format)),
    secrets: Type.Optional(Type.Array(secretOf(format), { minItems: 1 })),
  };
}

export const ONE_SECRET = { exactlyOne: [["secret", "secrets"]] };

export const tolerance = () => duration({ default: "5m" });

export const Rate = Type.Object({
  per_second: Type.Number({ exclusiveMinimum: 0, maximum: COUNT_MAX }),
  burst: Type.Optional(Type.Integer({ minimum: 1, maximum: COUNT_MAX })),
});
