/** Pieces that the wire types of several nouns share. They describe JSON; they are not domain types. */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { parseInstant } from "../../domain/instant.ts";
import type { Page } from "../../domain/reads.ts";

export const INSTANT = Type.String({ format: "date-time", description: "ISO 8601 in UTC" });

/** A pattern: no control characters; the rest of the world's letters are welcome. */
export const PLAIN = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/** An instant in a request; readMoment() judges it. */
export const MOMENT = Type.String({ description: "RFC 3339, with an offset or Z" });

/** Returns epoch milliseconds; throws invalid_request, naming the member. */
export function readMoment(member: string, text: string): number {
  const at = parseInstant(text);
  if (at !== null) return at;
  throw new AppError("invalid_request", `${member}: an instant such as 2026-01-31T09:00:00Z is expected`);
}

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

/** A closed set of words. */
export function oneOf<const Words extends readonly string[]>(words: Words, description?: string) {
  const options = description === undefined ? {} : { description };
  return Type.Union(
    words.map((word) => Type.Literal(word as Words[number])),
    options,
  );
}

/** An object of these members, no others unless told, under its name in the OpenAPI document. */
export function named<Members extends Readonly<Record<string, TSchema>>>(
  id: string,
  members: Members,
  options: { readonly additionalProperties?: boolean; readonly description?: string } = {},
) {
  return Type.Object(members, { additionalProperties: false, ...options, $id: id });
}

/** A page of a list, as every list answers. */
export function pageOf<T extends TSchema>(item: T) {
  return Type.Object(
    {
      data: Type.Array(item),
      nextCursor: nullable(
        Type.String({ description: "Ask for it to get the next page; null on the last." }),
      ),
    },
    { additionalProperties: false },
  );
}

/** The envelope of every error. */
export const ERROR_ANSWER = named("Error", {
  error: Type.Object(
    {
      code: Type.String({ description: "Stable; what a program should look at." }),
      message: Type.String({ description: "For a person." }),
      details: Type.Unknown(),
    },
    { additionalProperties: false },
  ),
  requestId: Type.String(),
});

export const BODY_ENCODING = oneOf(["text", "base64"], "text when the bytes are UTF-8");

export type BodyEncoding = Static<typeof BODY_ENCODING>;

export function showInstant(at: number): string {
  return new Date(at).toISOString();
}

export function showOptionalInstant(at: number | null): string | null {
  return at === null ? null : showInstant(at);
}

/**
 * Returns bytes as JSON can carry them. `isCut`: the end may be missing, in the middle of a character even.
 */
export function showBody(bytes: Uint8Array, isCut = false): { text: string; encoding: BodyEncoding } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
    return { text, encoding: "text" };
  } catch {
    return { text: Buffer.from(bytes).toString("base64"), encoding: "base64" };
  }
}

/** Returns stored JSON as a value; the text itself should it be none. */
export function showJson(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export async function showPage<Row, Shown>(
  page: Promise<Page<Row>>,
  show: (row: Row) => Shown,
): Promise<{ data: Shown[]; nextCursor: string | null }> {
  const { data, nextCursor } = await page;
  return { data: data.map(show), nextCursor };
}
