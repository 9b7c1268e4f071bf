/**
 * Reads single values out of a request: the dedupe key, the event type, what filters look at. A value that is
 * missing, empty or no scalar counts as absent, and so does any JSON path into a body that is no JSON: such a
 * request is accepted like one without the value.
 */

import type { DedupeRule, Selector } from "./selector.ts";
import type { HeaderReader } from "./signature/index.ts";

export interface Selectable {
  readonly headers: HeaderReader;
  readonly body: Uint8Array;
  /** Absolute or from the path on; without it there are no query parameters. */
  readonly url?: string;
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
  /** The body once more, with numbers as the digits that were sent. */
  #digits: { readonly value: unknown } | null = null;

  constructor(request: Selectable) {
    this.#request = request;
  }

  /** Returns the value as text, or null when absent. */
  read(selector: Selector): string | null {
    return this.text(selector) || null;
  }

  /** As read, but the empty text of a JSON member or a query parameter is a value. */
  text(selector: Selector): string | null {
    switch (selector.kind) {
      case "header":
        return this.#request.headers.get(selector.name) || null;
      case "query":
        return readQuery(this.#request.url ?? "", selector.name);
      case "json":
        return this.#memberText(selector.path);
      case "body":
        // Requests without a body are not copies of one another.
        return this.#request.body.length === 0 ? null : sha256(this.#request.body);
    }
  }

  /** Whether anything stands there: an object and a list count, JSON null and an empty header do not. */
  has(selector: Selector): boolean {
    if (selector.kind !== "json") return this.text(selector) !== null;
    return memberAt(this.#parsed(), selector.path) !== null;
  }

  /** Returns the key under which this request is remembered, or null when no selector is present. */
  dedupeKey(rule: DedupeRule): string | null {
    for (const [index, parts] of rule.selectors.entries()) {
      const values = parts.map((part) => this.read(part));
      if (values.length === 0 || values.includes(null)) continue;
      // The index keeps the values of different selectors apart.
      const key = `${index}${JOIN}${values.length === 1 ? values[0] : JSON.stringify(values)}`;
      return key.length <= KEY_CHARS_MAX ? key : sha256(key);
    }
    return null;
  }

  #memberText(path: readonly string[]): string | null {
    let value = memberAt(this.#parsed(), path);
    if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
      // Different ids above 2^53 read as the same number; their digits do not.
      this.#digits ??= { value: parseOrNull(this.#request.body, digitsOf) };
      value = memberAt(this.#digits.value, path);
    }
    if (typeof value === "string") return value;
    return typeof value === "number" || typeof value === "boolean" ? String(value) : null;
  }

  #parsed(): unknown {
    this.#json ??= { value: parseOrNull(this.#request.body) };
    return this.#json.value;
  }
}

/** Returns the first parameter of that name in an absolute or relative URL, or null when there is none. */
export function readQuery(url: string, name: string): string | null {
  const start = url.indexOf("?");
  if (start === -1) return null;
  const end = url.indexOf("#", start);
  return new URLSearchParams(url.slice(start + 1, end === -1 ? url.length : end)).get(name);
}

function sha256(input: string | Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(input).digest("hex");
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
