import { expect, test } from "bun:test";
import { Selection } from "../../src/domain/selection.ts";
import type { Selector } from "../../src/domain/source.ts";

function select(body: string | Uint8Array, headers: Record<string, string> = {}): Selection {
  return new Selection({ headers: new Headers(headers), body: Buffer.from(body) });
}

const json = (...path: string[]): Selector => ({ kind: "json", path });
const header = (name: string): Selector => ({ kind: "header", name });

test.each<[string, string, string | null]>([
  ["a string", '{"a":{"b":"x"}}', "x"],
  ["a number", '{"a":{"b":1.50}}', "1.5"],
  ["a number above 2^53, digit for digit", '{"a":{"b":12345678901234567891}}', "12345678901234567891"],
  ["a negative number below -2^53", '{"a":{"b":-9007199254740993}}', "-9007199254740993"],
  ["a boolean", '{"a":{"b":false}}', "false"],
  ["an empty string", '{"a":{"b":""}}', null],
  ["null", '{"a":{"b":null}}', null],
  ["an object", '{"a":{"b":{}}}', null],
  ["an array", '{"a":{"b":[1]}}', null],
  ["a missing member", '{"a":{}}', null],
  ["a path through a string", '{"a":"b"}', null],
  ["a path through null", '{"a":null}', null],
  ["a name that every object inherits", '{"a":[]}', null],
  ["no JSON", "a=b", null],
  ["nothing", "", null],
  ["a byte order mark before the JSON", '\ufeff{"a":{"b":"x"}}', "x"],
])("a JSON path into %s", (_, body, expected) => {
  expect(select(body).read(json("a", "b"))).toBe(expected);
});

test("a JSON path may go through an array by its index", () => {
  expect(select('{"a":[{"b":"x"}]}').read(json("a", "0", "b"))).toBe("x");
  expect(select('{"a":[1]}').read(json("a", "length"))).toBe("1");
});

test("inherited names are not members", () => {
  expect(select("{}").read(json("constructor"))).toBeNull();
  expect(select("{}").read(json("__proto__"))).toBeNull();
});

test("a header is found under any spelling, and an empty one is absent", () => {
  expect(select("", { "X-Event": "push" }).read(header("x-event"))).toBe("push");
  expect(select("", { "x-event": "" }).read(header("X-Event"))).toBeNull();
});

const rule = (...selectors: Selector[][]) => ({ selectors, windowMs: 1 });

test("the first selector that is present makes the key", () => {
  const request = select('{"id":"x"}', { "x-key": "k" });
  const both = rule([header("x-key")], [json("id")]);
  expect(request.dedupeKey(both)).toBe(request.dedupeKey(rule([header("x-key")])) as string);
  expect(select('{"id":"x"}').dedupeKey(both)).toContain("x");
  expect(select("{}").dedupeKey(both)).toBeNull();
});

test("joined parts stay apart, whatever stands in them", () => {
  const joined = rule([json("a"), json("b")]);
  const key = (a: string, b: string) => select(JSON.stringify({ a, b })).dedupeKey(joined);
  expect(key("x\u001fy", "z")).not.toBe(key("x", "y\u001fz") as string);
  expect(key('x","y', "z")).not.toBe(key("x", 'y","z') as string);
});

test("a long key is kept as its hash", () => {
  const key = (text: string) => select(JSON.stringify({ id: text })).dedupeKey(rule([json("id")]));
  expect(key("x".repeat(10_000))).toHaveLength(64);
  expect(key("x".repeat(10_000))).not.toBe(key("x".repeat(10_001)) as string);
});

test("a group without parts never makes a key", () => {
  expect(select("{}").dedupeKey(rule([]))).toBeNull();
});

test("a query parameter is found in a relative and an absolute URL, the first when repeated", () => {
  const read = (url: string | undefined, name = "id") => {
    const request = { headers: new Headers(), body: new Uint8Array(), ...(url === undefined ? {} : { url }) };
    return new Selection(request).read({ kind: "query", name });
  };
  expect(read("/in/s?a=1&id=x%20y&id=z")).toBe("x y");
  expect(read("https://localhost/in/s?id=x#id=y")).toBe("x");
  expect(read("/in/s?id=")).toBeNull();
  expect(read("/in/s?ID=x")).toBeNull();
  expect(read("/in/s")).toBeNull();
  expect(read(undefined)).toBeNull();
});

test("the body is told by its hash, and an empty one is absent", () => {
  const body: Selector = { kind: "body" };
  expect(select("abc").read(body)).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(select("").read(body)).toBeNull();
  expect(select("x").dedupeKey(rule([body]))).not.toBe(select("x\n").dedupeKey(rule([body])) as string);
});

test.each<[string, boolean, string | null]>([
  ['{"a":{"b":""}}', true, ""],
  ['{"a":{"b":{}}}', true, null],
  ['{"a":{"b":[]}}', true, null],
  ['{"a":{"b":false}}', true, "false"],
  ['{"a":{"b":null}}', false, null],
  ['{"a":{}}', false, null],
  ["no JSON", false, null],
])("in %j something stands there: %p, as text: %j", (body, isThere, text) => {
  expect(select(body).has(json("a", "b"))).toBe(isThere);
  expect(select(body).text(json("a", "b"))).toBe(text);
});
