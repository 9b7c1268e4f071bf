import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AppError } from "../../src/domain/errors.ts";
import { DEPTH_MAX, JsonText, type Span } from "../../src/domain/json-span.ts";

const SEED = { seed: 20_260_601, numRuns: 300 };

function read(text: string): JsonText {
  return JsonText.read(Buffer.from(text));
}

function textsOf(json: JsonText, spans: Iterable<Span>): string[] {
  return [...spans].map((span) => json.text(span));
}

/** The same value with white space wherever JSON allows it. */
function spread(value: unknown, blanks: () => string): string {
  const around = (text: string) => blanks() + text + blanks();
  if (Array.isArray(value)) {
    return around(`[${value.map((item) => spread(item, blanks)).join(",") || blanks()}]`);
  }
  if (typeof value !== "object" || value === null) return around(JSON.stringify(value));
  const members = Object.entries(value).map(
    ([name, inner]) => `${around(JSON.stringify(name))}:${spread(inner, blanks)}`,
  );
  return around(`{${members.join(",") || blanks()}}`);
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return "fine";
}

test("The text of a member is what the caller wrote, white space around it aside", () => {
  const json = read(' {"a" : 9007199254740993 ,"b\\u0062":[1.0, {"c":"}"}],"d":"é\\"," } ');
  expect([...json.members()].map(([name, span]) => [name, json.text(span)])).toEqual([
    ["a", "9007199254740993"],
    ["bb", '[1.0, {"c":"}"}]'],
    ["d", '"é\\","'],
  ]);
});

test("Parts of parts are found by their spans", () => {
  const json = read('{"events":[ {"data":1e400}, 2 ,"]"]}');
  const list = json.members().get("events") as Span;
  const items = json.items(list);
  expect(textsOf(json, items)).toEqual(['{"data":1e400}', "2", '"]"']);
  expect(textsOf(json, json.members(items[0] as Span).values())).toEqual(["1e400"]);
});

test("Members named like those of every object are members", () => {
  const json = read('{"__proto__":1,"constructor":2}');
  expect([...json.members().keys()]).toEqual(["__proto__", "constructor"]);
});

describe("It refuses", () => {
  const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  test.each([
    ["nothing", ""],
    ["blanks", "  "],
    ["two values", "1 2"],
    ["a comma too many", "[1,]"],
    ["single quotes", "{'a':1}"],
    ["a number with a leading zero", "[01]"],
    ["NaN", "[NaN]"],
    ["an open string", '{"a":"'],
    ["an open object", '{"a":1'],
    ["a raw line break in a string", '"a\nb"'],
    ["a byte order mark", "\u{feff}{}"],
    ["one level too many", deep(DEPTH_MAX + 1)],
    ["very many levels", deep(500_000)],
    ["only opening ones", "[".repeat(500_000)],
  ])("%s", (_name, text) => {
    expect(codeOf(() => read(text))).toBe("invalid_request");
  });

  test("bytes that are no UTF-8", () => {
    expect(codeOf(() => JsonText.read(Buffer.from([0x22, 0xff, 0x22])))).toBe("invalid_request");
  });

  test("a member that stands twice, however it is spelled", () => {
    expect(codeOf(() => read('{"a":1,"\\u0061":2}').members())).toBe("invalid_request");
    expect(codeOf(() => read('{"x":{"a":1,"a":2}}').members())).toBe("fine");
  });

  test("members of what is no object, items of what is no list", () => {
    expect(codeOf(() => read("[]").members())).toBe("invalid_request");
    expect(codeOf(() => read("{}").items())).toBe("invalid_request");
  });
});

test("It takes the deepest nesting that it allows", () => {
  expect(codeOf(() => read("[".repeat(DEPTH_MAX) + "]".repeat(DEPTH_MAX)))).toBe("fine");
});

test("Every member and item parses to what it is part of, wherever blanks stand", () => {
  const blanks = fc.array(fc.constantFrom(" ", "\t", "\n", "\r"), { maxLength: 2 });
  fc.assert(
    fc.property(fc.jsonValue(), fc.infiniteStream(blanks), (value, stream) => {
      const json = read(spread(value, () => (stream.next().value as string[]).join("")));
      expect(JSON.parse(json.text(json.root))).toEqual(value);
      if (Array.isArray(value)) {
        expect(textsOf(json, json.items()).map((text) => JSON.parse(text))).toEqual(value);
      } else if (typeof value === "object" && value !== null) {
        const members = [...json.members()].map(([name, span]) => [name, JSON.parse(json.text(span))]);
        expect(members).toEqual(Object.entries(JSON.parse(json.text(json.root)) as object));
      }
    }),
    SEED,
  );
});

test("What was damaged is read exactly when the parser of the language reads it", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(), fc.constantFrom(...'{}[]",:\\0-.e tnu'), (value, place, char) => {
      const text = JSON.stringify({ value });
      const at = place % text.length;
      const damaged = text.slice(0, at) + char + text.slice(at + 1);
      let parsed: { readonly value?: unknown } | null = null;
      try {
        parsed = JSON.parse(damaged) as typeof parsed;
      } catch {
        // No JSON any more.
      }
      if (parsed === null) return expect(codeOf(() => read(damaged))).toBe("invalid_request");
      const json = read(damaged);
      for (const [name, span] of json.members()) {
        expect(JSON.parse(json.text(span))).toEqual((parsed as Record<string, unknown>)[name]);
      }
    }),
    SEED,
  );
});
