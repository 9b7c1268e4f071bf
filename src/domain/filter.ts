/**
 * Filters: which events of a source a target gets. A filter is plain data, as the configuration writes it
 * under `when` and the store keeps it:
 *
 *   { type: "invoice.*", "json:data.amount": { gte: 100 }, "header:X-Env": ["live", "test"], not: { ... } }
 *
 * All entries of a table must hold. An entry is a condition on the event's type or on a value of the request
 * (`json:` path, `header:` or `query:` name), or combines filters: `all`, `any`, `not`. A condition is a
 * value that must be equal, a list of them of which one must, or operators that must all hold. Texts under
 * `type` are patterns, where a `*` at the end stands for any rest.
 *
 * Values are compared as text, numbers by size. A value that is missing fails every condition but `exists =
 * false`, so that it passes a `not`. One walk both checks a filter and compiles it, which keeps the two from
 * drifting apart.
 */
import { AppError } from "./errors.ts";
import type { Selector } from "./selector.ts";

type Scalar = string | number | boolean;

interface Operators {
  readonly equals?: Scalar;
  readonly in?: readonly Scalar[];
  readonly prefix?: string;
  readonly exists?: boolean;
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
  readonly not?: Condition;
}

type Condition = Scalar | readonly Scalar[] | Operators;

export interface Filter {
  readonly all?: readonly Filter[];
  readonly any?: readonly Filter[];
  readonly not?: Filter;
  readonly type?: Condition;
  readonly [place: `json:${string}` | `header:${string}` | `query:${string}`]: Condition;
}

/** What is wrong with a filter, and where in it: ["any", 0, "json:amount", "gt"]. */
export interface FilterProblem {
  readonly path: readonly (string | number)[];
  /** Completes a line that names the place: "got X, expected Y". Repeats no values but names of keys. */
  readonly message: string;
}

/** Where conditions find their values; a Selection is one. */
export interface ValueReader {
  text(selector: Selector): string | null;
  has(selector: Selector): boolean;
}

export interface FilterSubject {
  /** The event's type, as the source determined it. */
  readonly type: string | null;
  readonly values: ValueReader;
}

/** Whether an event passes. Never throws. */
export type EventTest = (subject: FilterSubject) => boolean;

/** One value of a subject: as text, and whether anything is there at all. */
interface Place {
  readonly isType: boolean;
  readonly text: (subject: FilterSubject) => string | null;
  readonly has: (subject: FilterSubject) => boolean;
}

type Path = FilterProblem["path"];

/** Bounds that nobody meets who writes filters by hand; they keep a made-up one from costing much. */
const DEPTH_MAX = 8;
const ENTRIES_MAX = 256;
const STEPS_MAX = 32;
const CHARS_MAX = 1_024;

/** RFC 9110 section 5.6.2: the characters of a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
/** No amount needs more. */
const DECIMAL_CHARS_MAX = 128;

/** Returns what is wrong with a filter, in the order in which it is written; nothing when it can be used. */
export function checkFilter(filter: unknown): readonly FilterProblem[] {
  const walk = new Walk();
  walk.filter(filter, [], 0);
  return walk.problems;
}

/** Returns the test that a filter stands for. Throws `invalid_request` for one with problems. */
export function compileFilter(filter: unknown): EventTest {
  const walk = new Walk();
  const test = walk.filter(filter, [], 0);
  const [first] = walk.problems;
  if (first === undefined) return test;
  throw new AppError(
    "invalid_request",
    `The filter cannot be used: ${first.path.join(" ")} ${first.message}.`,
    {
      details: walk.problems,
    },
  );
}

const NEVER: EventTest = () => false;

class Walk {
  readonly problems: FilterProblem[] = [];
  #entryCount = 0;

  filter(value: unknown, path: Path, depth: number): EventTest {
    if (depth > DEPTH_MAX) return this.#fail(path, `is nested deeper than ${DEPTH_MAX} levels`);
    if (!isTable(value)) return this.#fail(path, `got ${kindOf(value)}, expected a table of conditions`);
    const entries = Object.entries(value);
    if (entries.length === 0) return this.#fail(path, "is empty, which would let everything pass");
    return every(entries.map(([key, entry]) => this.#entry(key, entry, { path: [...path, key], depth })));
  }

  #entry(key: string, value: unknown, { path, depth }: { path: Path; depth: number }): EventTest {
    if (!this.#isCounted(path)) return NEVER;
    if (key === "all") return every(this.#filters(value, path, depth + 1));
    if (key === "any") return some(this.#filters(value, path, depth + 1));
    if (key === "not") return negate(this.filter(value, path, depth + 1));
    const place = readPlace(key);
    if (typeof place === "string") return this.#fail(path, place);
    return this.#condition(place, value, { path, depth: depth + 1 });
  }

  #filters(value: unknown, path: Path, depth: number): EventTest[] {
    if (!Array.isArray(value) || value.length === 0) {
      return [this.#fail(path, `got ${kindOf(value)}, expected a list of tables`)];
    }
    return value.slice(0, ENTRIES_MAX + 1).map((item: unknown, index) => {
      const here = [...path, index];
      return this.#isCounted(here) ? this.filter(item, here, depth) : NEVER;
    });
  }

  #condition(place: Place, value: unknown, at: { path: Path; depth: number }): EventTest {
    const { path, depth } = at;
    if (depth > DEPTH_MAX) return this.#fail(path, `is nested deeper than ${DEPTH_MAX} levels`);
    if (!isTable(value)) {
      const accepts = Array.isArray(value) ? this.#anyOf(value, path, place.isType) : undefined;
      return onText(place, accepts ?? this.#oneOf(value, path, place.isType));
    }
    const entries = Object.entries(value);
    if (entries.length === 0) return this.#fail(path, "is empty, expected operators such as { gt = 100 }");
    return every(
      entries.map(([key, operand]) => this.#operator(place, [key, operand], { path: [...path, key], depth })),
    );
  }

  #operator(
    place: Place,
    [key, operand]: readonly [string, unknown],
    { path, depth }: { path: Path; depth: number },
  ): EventTest {
    if (!this.#isCounted(path)) return NEVER;
    switch (key) {
      case "equals":
        return onText(place, this.#oneOf(operand, path, false));
      case "in":
        return onText(place, this.#anyOf(operand, path, false));
      case "prefix":
        return onText(place, this.#prefix(operand, path));
      case "gt":
      case "gte":
      case "lt":
      case "lte":
        return onText(place, this.#comparison(key, operand, path));
      case "exists":
        if (typeof operand !== "boolean") return this.#expected(path, operand, "true or false");
        return operand ? place.has : negate(place.has);
      case "not":
        return negate(this.#condition(place, operand, { path, depth: depth + 1 }));
      default:
        return this.#fail(path, `is no operator, expected one of ${OPERATORS.join(", ")}`);
    }
  }

  #anyOf(value: unknown, path: Path, isPattern: boolean): TextTest {
    if (!Array.isArray(value) || value.length === 0) return this.#expected(path, value, "a list of values");
    const tests = value.slice(0, ENTRIES_MAX + 1).map((item: unknown, index) => {
      const here = [...path, index];
      return this.#isCounted(here) ? this.#oneOf(item, here, isPattern) : NEVER_TEXT;
    });
    return (text) => tests.some((test) => test(text));
  }

  #oneOf(value: unknown, path: Path, isPattern: boolean): TextTest {
    switch (typeof value) {
      case "boolean":
        return (text) => text === String(value);
      case "number":
      case "bigint": {
        const number = this.#number(value, path);
        return number === null ? NEVER_TEXT : (text) => toNumber(text) === number;
      }
      case "string":
        if (!this.#isShort(value, path)) return NEVER_TEXT;
        return isPattern ? this.#pattern(value, path) : (text) => text === value;
      default:
        return this.#expected(path, value, "text, a number, true or false");
    }
  }

  #pattern(value: string, path: Path): TextTest {
    const star = value.indexOf("*");
    if (star === -1) return (text) => text === value;
    if (star < value.length - 1) return this.#fail(path, "has a * that is not at its end");
    const prefix = value.slice(0, -1);
    return (text) => text.startsWith(prefix);
  }

  #prefix(value: unknown, path: Path): TextTest {
    if (typeof value !== "string" || value === "") return this.#expected(path, value, "a non-empty text");
    return this.#isShort(value, path) ? (text) => text.startsWith(value) : NEVER_TEXT;
  }

  #comparison(key: keyof typeof COMPARISONS, value: unknown, path: Path): TextTest {
    if (typeof value !== "number" && typeof value !== "bigint")
      return this.#expected(path, value, "a number");
    const bound = this.#number(value, path);
    if (bound === null) return NEVER_TEXT;
    const compare = COMPARISONS[key];
    return (text) => {
      const number = toNumber(text);
      return number !== null && compare(number, bound);
    };
  }

  #number(value: number | bigint, path: Path): number | null {
    const number = Number(value);
    if (!Number.isFinite(number)) return this.#nothing(path, "is no finite number");
    if (Number.isInteger(number) && !Number.isSafeInteger(number)) {
      return this.#nothing(path, "is too large to be exact, write it as text");
    }
    return number;
  }

  #isShort(text: string, path: Path): boolean {
    if (text.length <= CHARS_MAX) return true;
    this.#fail(path, `is longer than ${CHARS_MAX} characters`);
    return false;
  }

  /**
   * Counts an entry. Reports the first one that is too many; the rest of the filter is then not looked at.
   */
  #isCounted(path: Path): boolean {
    this.#entryCount += 1;
    if (this.#entryCount === ENTRIES_MAX + 1)
      this.#fail(path, `is one entry more than the ${ENTRIES_MAX} allowed`);
    return this.#entryCount <= ENTRIES_MAX;
  }

  #expected(path: Path, value: unknown, expected: string): () => false {
    return this.#fail(path, `got ${kindOf(value)}, expected ${expected}`);
  }

  #fail(path: Path, message: string): () => false {
    this.problems.push({ path, message });
    return () => false;
  }

  #nothing(path: Path, message: string): null {
    this.problems.push({ path, message });
    return null;
  }
}

const OPERATORS = ["equals", "in", "prefix", "exists", "gt", "gte", "lt", "lte", "not"] as const;

const COMPARISONS = {
  gt: (left: number, right: number) => left > right,
  gte: (left: number, right: number) => left >= right,
  lt: (left: number, right: number) => left < right,
  lte: (left: number, right: number) => left <= right,
};

type TextTest = (text: string) => boolean;

const NEVER_TEXT: TextTest = () => false;

function onText({ text: read }: Place, test: TextTest): EventTest {
  return (subject) => {
    const text = read(subject);
    return text !== null && test(text);
  };
}

function every(tests: readonly EventTest[]): EventTest {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (subject) => tests.every((test) => test(subject));
}

function some(tests: readonly EventTest[]): EventTest {
  return (subject) => tests.some((test) => test(subject));
}

function negate(test: EventTest): EventTest {
  return (subject) => !test(subject);
}

const TYPE: Place = {
  isType: true,
  text: ({ type }) => type,
  has: ({ type }) => type !== null,
};

/** Returns the place that a key names, or what is wrong with the key. */
function readPlace(key: string): Place | string {
  if (key === "type") return TYPE;
  const selector = readSelector(key);
  if (typeof selector === "string") return selector;
  return {
    isType: false,
    text: ({ values }) => values.text(selector),
    has: ({ values }) => values.has(selector),
  };
}

function readSelector(key: string): Selector | string {
  const colon = key.indexOf(":");
  const kind = key.slice(0, colon);
  const name = key.slice(colon + 1);
  if (name.length > CHARS_MAX) return `is longer than ${CHARS_MAX} characters`;
  if (kind === "header") return HEADER_NAME.test(name) ? { kind, name } : "names no possible header";
  if (kind === "query") return name === "" ? "names no query parameter" : { kind, name };
  if (kind !== "json") return 'is no key of a filter, expected type, all, any, not or "json:path.to.field"';
  const path = name.split(".");
  if (path.includes("")) return "has an empty step in its path";
  return path.length <= STEPS_MAX ? { kind, path } : `has more than ${STEPS_MAX} steps in its path`;
}

/** Returns a decimal number; senders also write amounts as text. */
function toNumber(text: string): number | null {
  return text.length <= DECIMAL_CHARS_MAX && DECIMAL.test(text) ? Number(text) : null;
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value === null || value === undefined) return "nothing";
  if (value === "") return "an empty text";
  const kinds = { string: "text", boolean: "true or false", object: "a table" } as const;
  return kinds[typeof value as keyof typeof kinds] ?? `a ${typeof value}`;
}
