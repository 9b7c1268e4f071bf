/**
 * What a request says, read strictly: every reader returns the value, or undefined where it is absent, and
 * throws INVALID_REQUEST for anything else. PHP writes an empty map as `[]`, so that stands for one
 * (protocol section 2.1).
 */
import { JsonText } from "../../domain/json-span.ts";
import { Fault } from "./answer.ts";
import { readTime } from "./wire.ts";

/** Reads a body; empty bytes are an empty object, whatever the content type says. */
export function readJson(body: Uint8Array): JsonText {
  return JsonText.read(body.byteLength === 0 ? EMPTY_OBJECT : body);
}

export function fieldsOf({ value }: JsonText): Fields {
  return new Fields(asMap("the body", value));
}

const EMPTY_OBJECT = Buffer.from("{}");

function asMap(name: string, value: unknown): Readonly<Record<string, unknown>> {
  if (Array.isArray(value) && value.length === 0) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Fault("INVALID_REQUEST", `${name} must be an object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** Whether it is there at all; null counts as absent, as the SDKs leave unset what they send as null. */
  has(name: string): boolean {
    return this.#raw(name) !== undefined;
  }

  text(name: string, charsMax = 2_048): string | undefined {
    const value = this.#raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw wrong(name, "a string");
    if (value.length > charsMax) throw wrong(name, `at most ${charsMax} characters long`);
    return value;
  }

  integer(name: string, { min = 0, max }: { min?: number; max: number }): number | undefined {
    const value = this.#raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      throw wrong(name, `an integer from ${min} to ${max}`);
    }
    return value;
  }

  flag(name: string): boolean | undefined {
    const value = this.#raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "boolean") throw wrong(name, "true or false");
    return value;
  }

  texts(name: string, { min = 0, max }: { min?: number; max: number }): string[] | undefined {
    const value = this.#raw(name);
    if (value === undefined) return undefined;
    const isList = Array.isArray(value) && value.every((item) => typeof item === "string");
    if (!isList) throw wrong(name, "a list of strings");
    if (value.length < min || value.length > max) throw wrong(name, `a list of ${min} to ${max}`);
    return value;
  }

  map(name: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.#raw(name);
    return value === undefined ? undefined : asMap(name, value);
  }

  time(name: string): number | undefined {
    const text = this.text(name, 64);
    return text === undefined ? undefined : readTime(name, text);
  }

  #raw(name: string): unknown {
    const value = Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
    return value === null ? undefined : value;
  }
}

export function wrong(name: string, what: string): Fault {
  return new Fault("INVALID_REQUEST", `${name} must be ${what}`, { details: { field: name } });
}

/** The query of a request. An empty value counts as absent: Go sends those for empty arguments. */
export class Query {
  readonly #values: URLSearchParams;

  constructor(search: string) {
    this.#values = new URLSearchParams(search);
  }

  text(name: string): string | undefined {
    return this.#values.get(name) || undefined;
  }

  integer(name: string, { min, max, usual }: { min: number; max: number; usual: number }): number {
    const text = this.text(name);
    if (text === undefined) return usual;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw wrong(name, `an integer from ${min} to ${max}`);
    return value;
  }

  time(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : readTime(name, text);
  }
}
