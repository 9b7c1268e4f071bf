import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkFilter, compileFilter, type Filter, type FilterSubject } from "../../src/domain/filter.ts";
import { Selection } from "../../src/domain/selection.ts";

const BODY = {
  amount: 250,
  fee: "12.50",
  name: "Zoë",
  empty: "",
  nothing: null,
  isLive: true,
  id: "evt_1",
  data: { object: { status: "paid", tags: ["new", "vip"] } },
};

function subject(type: string | null = "invoice.paid", body: unknown = BODY): FilterSubject {
  const headers = new Headers({ "X-Env": "live", "X-Count": "7", "X-Empty": "" });
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { type, values: new Selection({ headers, body: Buffer.from(text), url: "/in/s?mode=test&flag=" }) };
}

function passes(filter: Filter, given = subject()): boolean {
  return compileFilter(filter)(given);
}

describe("a condition", () => {
  test.each<[Filter, boolean]>([
    [{ type: "invoice.paid" }, true],
    [{ type: "invoice" }, false],
    [{ type: "Invoice.paid" }, false],
    [{ type: "invoice.*" }, true],
    [{ type: "inv*" }, true],
    [{ type: "*" }, true],
    [{ type: "order.*" }, false],
    [{ type: ["order.*", "invoice.paid"] }, true],
    [{ type: ["order.*", "charge.*"] }, false],
    [{ type: { not: "invoice.*" } }, false],
    [{ type: { equals: "invoice.*" } }, false],
    [{ type: { in: ["invoice.*"] } }, false],
    [{ type: { prefix: "invoice." } }, true],
    [{ type: { exists: true } }, true],
  ])("on the type: %j: %p", (filter, expected) => {
    expect(passes(filter)).toBe(expected);
  });

  test.each<[Filter, boolean]>([
    [{ "json:name": "Zoë" }, true],
    [{ "json:name": "Zo*" }, false],
    [{ "json:name": { prefix: "Zo" } }, true],
    [{ "json:name": { prefix: "zo" } }, false],
    [{ "json:name": { equals: "Zoë" } }, true],
    [{ "json:name": ["Ada", "Zoë"] }, true],
    [{ "json:name": { in: ["Ada", "Eve"] } }, false],
    [{ "json:empty": "" }, true],
    [{ "json:empty": { exists: true } }, true],
    [{ "json:isLive": true }, true],
    [{ "json:isLive": false }, false],
    [{ "json:isLive": "true" }, true],
    [{ "json:data.object.status": "paid" }, true],
    [{ "json:data.object.tags.1": "vip" }, true],
    [{ "json:data.object.tags.2": "vip" }, false],
    [{ "json:data.object.tags.2": { exists: false } }, true],
    [{ "json:data.object": { exists: true } }, true],
    [{ "json:data.object.tags": { exists: true } }, true],
    [{ "json:nothing": { exists: true } }, false],
    [{ "json:constructor": { exists: true } }, false],
    [{ "json:data.object": "[object Object]" }, false],
  ])("on the body: %j: %p", (filter, expected) => {
    expect(passes(filter)).toBe(expected);
  });

  test.each<[Filter, boolean]>([
    [{ "json:amount": 250 }, true],
    [{ "json:amount": "250" }, true],
    [{ "json:amount": [1, 250] }, true],
    [{ "json:amount": { gt: 249.5 } }, true],
    [{ "json:amount": { gt: 250 } }, false],
    [{ "json:amount": { gte: 250 } }, true],
    [{ "json:amount": { lt: 250 } }, false],
    [{ "json:amount": { lte: 250 } }, true],
    [{ "json:amount": { gte: 100, lt: 1_000 } }, true],
    [{ "json:amount": { gte: 100, lt: 200 } }, false],
    [{ "json:fee": { gt: 12 } }, true],
    [{ "json:fee": 12.5 }, true],
    [{ "json:fee": "12.5" }, false],
    [{ "json:name": { gt: 0 } }, false],
    [{ "json:name": { lte: 0 } }, false],
    [{ "json:empty": { lte: 0 } }, false],
    [{ "json:isLive": { gt: 0 } }, false],
    [{ "json:missing": { lt: 5 } }, false],
    [{ "header:x-count": { gte: 7 } }, true],
  ])("on a number: %j: %p", (filter, expected) => {
    expect(passes(filter)).toBe(expected);
  });

  test.each<[Filter, boolean]>([
    [{ "header:X-Env": "live" }, true],
    [{ "header:x-env": "live" }, true],
    [{ "header:X-Env": "Live" }, false],
    [{ "header:X-Empty": { exists: true } }, false],
    [{ "header:X-Missing": { exists: false } }, true],
    [{ "query:mode": "test" }, true],
    [{ "query:mode": { prefix: "t" } }, true],
    [{ "query:flag": { exists: true } }, true],
    [{ "query:flag": "" }, true],
    [{ "query:other": { exists: true } }, false],
  ])("on a header or the query: %j: %p", (filter, expected) => {
    expect(passes(filter)).toBe(expected);
  });

  test("reads an id above 2^53 digit for digit", () => {
    const given = subject(null, '{"id":12345678901234567891}');
    expect(passes({ "json:id": "12345678901234567891" }, given)).toBe(true);
    expect(passes({ "json:id": "12345678901234567892" }, given)).toBe(false);
  });

  test("on a value that is missing holds for nothing but its absence", () => {
    for (const condition of ["", 0, false, ["x"], { gt: 0 }, { prefix: "x" }, { exists: true }] as const) {
      expect(passes({ "json:missing": condition })).toBe(false);
      expect(passes({ "json:missing": { not: condition } })).toBe(true);
    }
    expect(passes({ "json:missing": { exists: false } })).toBe(true);
  });

  test("on an event without a type holds for nothing but its absence", () => {
    const untyped = subject(null);
    expect(passes({ type: "*" }, untyped)).toBe(false);
    expect(passes({ type: { exists: false } }, untyped)).toBe(true);
  });

  test("on the body of a request that is no JSON finds nothing", () => {
    expect(passes({ "json:amount": { exists: true } }, subject("x", "amount=250"))).toBe(false);
  });
});

describe("a filter", () => {
  const yes: Filter = { type: "invoice.*" };
  const no: Filter = { type: "order.*" };

  test.each<[Filter, boolean]>([
    [{ ...yes, "json:amount": { gt: 100 } }, true],
    [{ ...yes, "json:amount": { gt: 300 } }, false],
    [{ all: [yes, { "json:isLive": true }] }, true],
    [{ all: [yes, no] }, false],
    [{ any: [no, yes] }, true],
    [{ any: [no, no] }, false],
    [{ not: no }, true],
    [{ not: yes }, false],
    [{ not: { not: yes } }, true],
    [{ not: { ...yes, "json:amount": { gt: 300 } } }, true],
    [{ "json:amount": { gt: 100, not: { in: [250, 300] } } }, false],
    [
      { ...yes, any: [no, { "json:data.object.status": ["paid", "open"] }], not: { "json:name": "Ada" } },
      true,
    ],
  ])("combines conditions: %j: %p", (filter, expected) => {
    expect(passes(filter)).toBe(expected);
  });

  test("stands in TOML as it is", () => {
    const { when } = Bun.TOML.parse(`
      [when]
      type = ["invoice.*", "charge.refunded"]
      "json:amount" = { gte = 100, lt = 10_000 }
      "header:X-Env" = "live"
      any = [{ "json:name" = "Ada" }, { "json:name" = { prefix = "Zo" } }]
    `) as { when: unknown };
    expect(checkFilter(when)).toEqual([]);
    expect(compileFilter(when)(subject())).toBe(true);
  });
});

describe("a filter that cannot be used", () => {
  test.each<[string, unknown, (string | number)[], string]>([
    ["is no table", "invoice.*", [], "got text, expected a table of conditions"],
    ["is a list", [{ type: "x" }], [], "got a list, expected a table of conditions"],
    ["is missing", undefined, [], "got nothing, expected a table of conditions"],
    ["is empty", {}, [], "is empty, which would let everything pass"],
    ["has an unknown key", { typ: "x" }, ["typ"], "is no key of a filter"],
    ["selects the body", { body: "x" }, ["body"], "is no key of a filter"],
    ["has a path with an empty step", { "json:a..b": 1 }, ["json:a..b"], "has an empty step"],
    ["has no path", { "json:": 1 }, ["json:"], "has an empty step"],
    [
      "has a long path",
      { [`json:${"a.".repeat(32)}a`]: 1 },
      [`json:${"a.".repeat(32)}a`],
      "more than 32 steps",
    ],
    ["names an impossible header", { "header:a b": 1 }, ["header:a b"], "names no possible header"],
    ["names no parameter", { "query:": 1 }, ["query:"], "names no query parameter"],
    ["has an empty list", { type: [] }, ["type"], "got an empty list, expected a list of values"],
    ["has a list in a list", { type: ["a", ["b"]] }, ["type", 1], "got a list, expected text, a number"],
    ["has an empty condition", { "json:a": {} }, ["json:a"], "is empty, expected operators"],
    ["has an unknown operator", { "json:a": { above: 1 } }, ["json:a", "above"], "is no operator"],
    ["compares with text", { "json:a": { gt: "1" } }, ["json:a", "gt"], "got text, expected a number"],
    ["compares with nan", { "json:a": { gt: Number.NaN } }, ["json:a", "gt"], "is no finite number"],
    ["has an inexact number", { "json:a": 2 ** 53 }, ["json:a"], "is too large to be exact"],
    ["has an inexact bigint", { "json:a": [2n ** 60n] }, ["json:a", 0], "is too large to be exact"],
    ["has an empty prefix", { "json:a": { prefix: "" } }, ["json:a", "prefix"], "expected a non-empty text"],
    [
      "asks for a strange presence",
      { "json:a": { exists: "no" } },
      ["json:a", "exists"],
      "expected true or false",
    ],
    ["has a star in the middle", { type: "a.*.b" }, ["type"], "has a * that is not at its end"],
    ["has an any that is no list", { any: { type: "x" } }, ["any"], "got a table, expected a list of tables"],
    ["has an empty all", { all: [] }, ["all"], "got an empty list, expected a list of tables"],
    [
      "has a wrong filter inside",
      { any: [{ type: "x" }, { not: { a: 1 } }] },
      ["any", 1, "not", "a"],
      "is no key",
    ],
    ["has a long text", { "json:a": "x".repeat(1_025) }, ["json:a"], "is longer than 1024 characters"],
    ["has null", { "json:a": null }, ["json:a"], "got nothing, expected text, a number, true or false"],
  ])("%s", (_, filter, path, message) => {
    const problems = checkFilter(filter);
    expect(problems).toEqual([{ path, message: expect.stringContaining(message) }]);
    expect(() => compileFilter(filter)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  test("shows all that is wrong at once, in order", () => {
    const problems = checkFilter({ typ: 1, "json:a": { gt: "x", lt: 5 }, any: [{ type: "**" }] });
    expect(problems.map(({ path }) => path)).toEqual([["typ"], ["json:a", "gt"], ["any", 0, "type"]]);
  });

  test("may be nested and long, within bounds", () => {
    const nested = (depth: number): unknown => (depth === 0 ? { type: "x" } : { not: nested(depth - 1) });
    const long = (count: number) => ({ type: Array.from({ length: count }, (_, index) => `t${index}`) });
    expect(checkFilter(nested(7))).toEqual([]);
    expect(checkFilter(nested(8))).toHaveLength(1);
    expect(checkFilter(nested(1_000))).toHaveLength(1);
    expect(checkFilter(long(255))).toEqual([]);
    expect(checkFilter(long(256))).toHaveLength(1);
    expect(checkFilter({ any: Array.from({ length: 100_000 }, () => long(2)) })).toHaveLength(1);
  });
});

const SEED = { seed: 20_260_501, numRuns: 500 };

test("whatever a filter is, it is either refused or compiles", () => {
  const key = fc.oneof(
    fc.constantFrom("type", "any", "all", "not", "json:a.b", "header:x", "query:q", "gt", "in", "exists"),
    fc.string(),
  );
  const filter = fc.anything({ key, maxDepth: 5, withBigInt: true, withDate: true, withSparseArray: true });
  fc.assert(
    fc.property(filter, (given) => {
      if (checkFilter(given).length > 0) expect(() => compileFilter(given)).toThrow();
      else expect(typeof compileFilter(given)(subject())).toBe("boolean");
    }),
    SEED,
  );
});

test("whatever a request holds, a filter gives an answer, and a not the other one", () => {
  const filter: Filter = {
    type: ["a*", "b"],
    any: [{ "json:a.0.b": { gt: 1 } }, { "json:a": { exists: false } }, { "query:q": "x" }],
    "header:x": { not: { prefix: "y" } },
  };
  const positive = compileFilter(filter);
  const negative = compileFilter({ not: filter });
  const body = fc.oneof(fc.json(), fc.string());
  fc.assert(
    fc.property(fc.option(fc.string()), body, fc.string(), fc.string(), (type, text, url, header) => {
      const headers = { get: () => header };
      const given = { type, values: new Selection({ headers, body: Buffer.from(text), url: `/?${url}` }) };
      expect(negative(given)).toBe(!positive(given));
    }),
    SEED,
  );
});

test("a long text is compared with a number in no time", () => {
  const given = subject(null, JSON.stringify({ a: `${"1".repeat(500_000)}x` }));
  expect(passes({ "json:a": { gt: 1 } }, given)).toBe(false);
});
