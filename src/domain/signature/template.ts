/** What a configurable scheme signs: literal text with {timestamp}, {id}, {url} and {body} in it. */

import { AppError } from "../errors.ts";
import type { SignedParts } from "./keyed-hash.ts";

interface TemplateValues {
  readonly timestamp: string;
  readonly id: string;
  readonly url: string;
  readonly body: Uint8Array;
}

type Placeholder = keyof TemplateValues;
type TemplatePart = { readonly literal: string } | { readonly placeholder: Placeholder };

export interface Template {
  readonly uses: ReadonlySet<Placeholder>;
  fill(values: TemplateValues): SignedParts;
}

const PLACEHOLDER = /\{([^{}]*)\}/;
const NAMES: ReadonlySet<string> = new Set<Placeholder>(["timestamp", "id", "url", "body"]);

/**
 * Parses a template. Throws `invalid_request` for an unknown placeholder, or when the body would not be
 * signed.
 */
export function parseTemplate(text: string): Template {
  // Splitting by a pattern with one group leaves literals at even places and placeholder names at odd ones.
  const parts = text.split(PLACEHOLDER).map((piece, place): TemplatePart => {
    if (place % 2 === 0) return { literal: piece };
    if (isPlaceholder(piece)) return { placeholder: piece };
    throw new AppError("invalid_request", `Unknown placeholder {${piece}} in the signature template.`);
  });
  const uses = new Set(parts.flatMap((part) => ("placeholder" in part ? [part.placeholder] : [])));
  if (!uses.has("body")) throw new AppError("invalid_request", "The signature template must contain {body}.");
  const used = parts.filter((part) => "placeholder" in part || part.literal !== "");
  return {
    uses,
    fill: (values) => used.map((part) => ("literal" in part ? part.literal : values[part.placeholder])),
  };
}

function isPlaceholder(name: string): name is Placeholder {
  return NAMES.has(name);
}
