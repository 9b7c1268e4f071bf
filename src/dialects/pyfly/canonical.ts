/**
 * Canonical JSON: the text that Python's json.dumps(value, separators=(",", ":"), sort_keys=True) writes for
 * what its json.loads reads (PyFly reference, section 5). It is what is signed and what is sent, so that a
 * receiver may check the raw bytes or write the value again. Pure.
 */

/** A number as it was written: Python tells 99 from 99.0, and keeps integers of any size. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Json = null | boolean | string | NumberText | readonly Json[] | { readonly [name: string]: Json };

/** Deeper values could not be read by Python, whose own limit is about 1,000. */
const DEPTH_MAX = 500;

/** Says what is wrong with a value that has no canonical form; the message is safe to show. */
export class NotCanonicalError extends Error {
  override readonly name = "NotCanonicalError";
}

/** Reads JSON with its numbers as text. Throws SyntaxError. */
export function parseJson(text: string): Json {
  // Without its source text a number above 2^53 would already have lost digits.
  const keepNumber = (_name: string, value: unknown, context: { readonly source?: string }) =>
    typeof value === "number" ? new NumberText(context.source ?? String(value)) : value;
  return JSON.parse(text, keepNumber as (name: string, value: unknown) => unknown) as Json;
}

/** Throws NotCanonicalError for numbers that overflow, and for values nested too deeply. */
export function canonicalJson(value: Json, depth = 0): string {
  if (depth > DEPTH_MAX) throw new NotCanonicalError(`nested more than ${DEPTH_MAX} levels deep`);
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return canonicalString(value);
  if (value instanceof NumberText) return canonicalNumber(value.text);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(",")}]`;
  const members = value as { readonly [name: string]: Json };
  const names = Object.keys(members).sort(byCodePoint);
  const pair = (name: string) =>
    `${canonicalString(name)}:${canonicalJson(members[name] as Json, depth + 1)}`;
  return `{${names.map(pair).join(",")}}`;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\b": "\\b",
  "\f": "\\f",
};

function canonicalString(text: string): string {
  const escaped = text.replace(/["\\]|[^\x20-\x7e]/g, (unit) => SHORT_ESCAPES[unit] ?? unicodeEscape(unit));
  return `"${escaped}"`;
}

/** Without the flag u the pattern walks UTF-16 units, so astral characters come as their surrogate pair. */
function unicodeEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Python sorts by code point; JavaScript's own order is by UTF-16 unit and differs above U+D7FF. */
function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    if (a.charCodeAt(index) === b.charCodeAt(index)) continue;
    // Within a pair the first half decides, unless only the second differs: then it decides.
    return rank(a.charCodeAt(index)) - rank(b.charCodeAt(index));
  }
  return a.length - b.length;
}

/** Surrogates stand for characters above all that one unit can hold. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** A literal with a point or an exponent is a float for Python, any other an integer. */
function canonicalNumber(text: string): string {
  if (!/[.eE]/.test(text)) return text === "-0" ? "0" : text;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new NotCanonicalError(`the number ${text.slice(0, 40)} overflows`);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  // The shortest digits that read back the same, as Python's repr has them.
  const [mantissa = "", exponentText = "0"] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  const sign = mantissa.startsWith("-") ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  return sign + (exponent >= -4 && exponent < 16 ? plain(digits, exponent) : scientific(digits, exponent));
}

function plain(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${whole}.${digits.slice(exponent + 1) || "0"}`;
}

function scientific(digits: string, exponent: number): string {
  const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
  const power = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${power}`;
}
