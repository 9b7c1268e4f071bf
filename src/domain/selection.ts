/**
 * Reads single values out of a request: the dedupe key and the event type. A value that is missing, empty or
 * no scalar counts as absent, and so does any JSON path into a body that is no JSON: such a request is
 * accepted like one without the value.
 */
import type { HeaderReader } from "./signature/index.ts";
import type { DedupeRule, Selector } from "./source.ts";

export interface Selectable {
  readonly headers: HeaderReader;
  readonly body: Uint8Array;
}

/** Longer keys are stored as their hash, so that a sender cannot make the index large. */
const KEY_CHARS_MAX = 128;
/** Between the selector's index and the value. */
const JOIN = "\u001f";

const decoder = new TextDecoder();

/** A reader over one request that parses the body at most once, and only when a selector asks for it. */
export class Selection {
  readonly #request: Selectable;
  #json: { readonly value: unknown } | null = null;

  constructor(request: Selectable) {
    this.#request = request;
  }

  /** Returns the value as text, or null when absent. */
  read(selector: Selector): string | null {
    if (selector.kind === "header") return this.#request.headers.get(selector.name) || null;
    let value = memberAt(this.#parsed(), selector.path);
    if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
      // Different ids above 2^53 read as the same number; their digits do not.
      value = memberAt(parseOrNull(this.#request.body, digitsOf), selector.path);
    }
    if (typeof value === "string") return value || null;
    return typeof value === "number" || typeof value === "boolean" ? String(value) : null;
  }

  /** Returns the key under which this request is remembered, or null when no selector is present. */
  dedupeKey(rule: DedupeRule): string | null {
    for (const [index, parts] of rule.selectors.entries()) {
      const values = parts.map((part) => this.read(part));
      if (values.length === 0 || values.includes(null)) continue;
      // The index keeps the values of different selectors apart.
      const key = `${index}${JOIN}${values.length === 1 ? values[0] : JSON.stringify(values)}`;
      return key.length <= KEY_CHARS_MAX ? key : new Bun.CryptoHasher("sha256").update(key).digest("hex");
    }
    return null;
  }

  #parsed(): unknown {
    if (this.#json === null) this.#json = { value: parseOrNull(this.#request.body) };
    return this.#json.value;
  }
}

function memberAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return null;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

const digitsOf: Reviver = (_key, value, { source }) =>
  typeof value === "number" && source !== undefined ? source : value;

function parseOrNull(body: Uint8Array, reviver?: Reviver): unknown {
  try {
    return JSON.parse(decoder.decode(body), reviver as Parameters<typeof JSON.parse>[1]);
  } catch {
    return null;
  }
}
