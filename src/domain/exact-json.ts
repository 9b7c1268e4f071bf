/**
 * JSON in the form that JSON.stringify gives it, but with whole numbers that a double cannot hold kept digit
 * for digit: for payloads that a receiver may parse and write again before it checks a signature. Pure.
 */

/** ES2025 JSON.parse source text access; the library types do not have it yet. */
interface SourceContext {
  readonly source?: string;
}
type SourceReviver = (this: unknown, key: string, value: unknown, context: SourceContext) => unknown;
interface SourceJson {
  parse(text: string, reviver: SourceReviver): unknown;
  rawJSON(text: string): object;
}

const JSON_WITH_SOURCE = JSON as unknown as SourceJson;
/** 2^53 has 16 digits. Most texts have no such run and need no reviver, which is slow. */
const LONG_NUMBER = /\d{16}/;
const WHOLE = /^-?\d+$/;

const keepDigits: SourceReviver = (_key, value, { source }) => {
  if (typeof value !== "number" || source === undefined) return value;
  if (Number.isSafeInteger(value) || !WHOLE.test(source)) return value;
  return JSON_WITH_SOURCE.rawJSON(source);
};

/**
 * Returns the value of a text; what was too long for a number only writes itself again. Throws SyntaxError,
 * and RangeError for what is nested too deeply.
 */
export function parseJson(text: string): unknown {
  return LONG_NUMBER.test(text) ? JSON_WITH_SOURCE.parse(text, keepDigits) : JSON.parse(text);
}

/** Returns the one text of a JSON value. */
export function writeJson(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}
