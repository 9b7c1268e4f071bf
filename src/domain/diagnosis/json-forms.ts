/**
 * The texts that common libraries make of one JSON value. A sender that signs one of them and sends another
 * has signed what nobody receives; the form that matches tells which library wrote it.
 */

interface JsonStyle {
  /** How a person would call it; completes "the same JSON written ...". */
  readonly words: string;
  /** Between members and between name and value; one line when `indent` is 0. */
  readonly comma: string;
  readonly colon: string;
  readonly indent: number;
  readonly isSorted: boolean;
  /** Numbers as JavaScript prints them, instead of digit for digit as they came. */
  readonly isNormalized: boolean;
  /** What is written as an escape besides what must be. */
  readonly escaped: RegExp | null;
}

const PLAIN: Omit<JsonStyle, "words"> = {
  comma: ",",
  colon: ":",
  indent: 0,
  isSorted: false,
  isNormalized: false,
  escaped: null,
};
const NON_ASCII = /[\u0080-\uffff]/g;
const PYTHON = { ...PLAIN, comma: ", ", colon: ": ", escaped: NON_ASCII };

const JSON_FORMS = {
  compact: { ...PLAIN, words: "without spaces" },
  javascript: { ...PLAIN, words: "as JavaScript's JSON.stringify writes it", isNormalized: true },
  python: { ...PYTHON, words: "as Python's json.dumps writes it, with spaces and \\u escapes" },
  "python-unescaped": { ...PYTHON, words: "with a space after each comma and colon", escaped: null },
  sorted: { ...PLAIN, words: "without spaces and with sorted names", isSorted: true },
  "python-sorted-compact": {
    ...PLAIN,
    words: "without spaces, with sorted names and \\u escapes",
    isSorted: true,
    escaped: NON_ASCII,
  },
  "python-sorted": {
    ...PYTHON,
    words: "as Python's json.dumps writes it with sort_keys",
    isSorted: true,
  },
  "indented-2": { ...PLAIN, words: "indented by two spaces", colon: ": ", indent: 2 },
  "indented-4": { ...PLAIN, words: "indented by four spaces", colon: ": ", indent: 4 },
  // json_encode without flags; the slash has an escape of its own.
  php: { ...PLAIN, words: "as PHP's json_encode writes it", escaped: /[/\u0080-\uffff]/g },
  // encoding/json sorts the names of maps and escapes for HTML.
  go: { ...PLAIN, words: "as Go's json.Marshal writes it", isSorted: true, escaped: /[<>&\u2028\u2029]/g },
  ascii: { ...PLAIN, words: "without spaces and with \\u escapes", escaped: NON_ASCII },
} as const satisfies Record<string, JsonStyle>;

export type JsonFormName = keyof typeof JSON_FORMS;

export interface JsonForm {
  readonly name: JsonFormName;
  readonly words: string;
  readonly text: string;
}

/** Deeper values are left alone: nobody signs them, and the writer is recursive. */
const DEPTH_MAX = 200;

/** A number with the digits that were sent. */
class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * May find more than there is, in strings, but misses no number that JavaScript would print otherwise: -0,
 * one that ends in zeros behind the point, with an exponent, or with more digits than a double keeps. Keeping
 * digits makes parsing ten times as dear.
 */
const UNUSUAL_NUMBER = /[:,[\s](?:-0(?=[\s,\]}])|-?(?:\d+\.\d*0(?!\d)|[\d.]+[eE]|[\d.]{16}))/;

const NUMBERS: Parameters<typeof JSON.parse>[1] = (
  _name: string,
  value: unknown,
  context?: { readonly source?: string },
) => (typeof value === "number" && context?.source !== undefined ? new Digits(context.source) : value);

/** Some 25 ms for all forms of that much; larger bodies are as rare as they are dear. */
const BODY_BYTES_MAX = 65_536;

/**
 * Yields every form of a body, each text once and never the body's own; nothing for a body that is large, or
 * no JSON object or list.
 */
export function* jsonForms(body: Uint8Array): Iterable<JsonForm> {
  if (body.length > BODY_BYTES_MAX) return;
  const own = new TextDecoder().decode(body);
  if (!/^\s*[[{]/.test(own)) return;
  const value = parse(own);
  if (value === null) return;
  const seen = new Set([own]);
  for (const [name, style] of Object.entries(JSON_FORMS)) {
    const text = write(value, style);
    if (text === null) return;
    if (seen.has(text)) continue;
    seen.add(text);
    // Object.entries forgets the names that it was given.
    yield { name: name as JsonFormName, words: style.words, text };
  }
}

function parse(text: string): unknown {
  try {
    return UNUSUAL_NUMBER.test(text) ? JSON.parse(text, NUMBERS) : JSON.parse(text);
  } catch {
    return null;
  }
}

function write(value: unknown, style: JsonStyle): string | null {
  const parts: string[] = [];
  return writeInto(parts, value, { style, depth: 0 }) ? parts.join("") : null;
}

interface Place {
  readonly style: JsonStyle;
  readonly depth: number;
}

/** Returns false when the value is too deep. */
function writeInto(parts: string[], value: unknown, { style, depth }: Place): boolean {
  if (depth > DEPTH_MAX) return false;
  if (value instanceof Digits)
    parts.push(style.isNormalized ? JSON.stringify(Number(value.text)) : value.text);
  else if (typeof value === "string") parts.push(quote(value, style));
  else if (typeof value !== "object" || value === null) parts.push(JSON.stringify(value));
  else return writeAll(parts, value, { style, depth });
  return true;
}

function writeAll(parts: string[], value: object, { style, depth }: Place): boolean {
  const margin = style.indent === 0 ? "" : `\n${" ".repeat(style.indent * (depth + 1))}`;
  const inner = { style, depth: depth + 1 };
  const [start, end] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  let separator = start + margin;
  for (const [name, member] of membersOf(value, style)) {
    parts.push(separator);
    separator = style.comma + margin;
    if (name !== null) parts.push(quote(name, style), style.colon);
    if (!writeInto(parts, member, inner)) return false;
  }
  const isEmpty = separator === start + margin;
  parts.push(isEmpty ? start + end : margin.slice(0, margin.length - style.indent) + end);
  return true;
}

/** The members of an object with their names, those of a list without. */
function membersOf(value: object, { isSorted }: JsonStyle): (readonly [string | null, unknown])[] {
  if (Array.isArray(value)) return value.map((member: unknown) => [null, member]);
  const members = Object.entries(value as Readonly<Record<string, unknown>>);
  return isSorted ? members.sort(([left], [right]) => (left < right ? -1 : 1)) : members;
}

function quote(text: string, { escaped }: JsonStyle): string {
  const quoted = JSON.stringify(text);
  return escaped === null ? quoted : quoted.replace(escaped, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === "/") return "\\/";
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
