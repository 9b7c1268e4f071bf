import { expect, test } from "bun:test";
import { formatFields, formatTable, showText, showValue } from "../../src/cli/table.ts";

const COLUMNS = [
  { title: "name", of: ({ name }: { name?: unknown }) => name },
  { title: "note", of: ({ note }: { note?: unknown }) => note },
] as const;

test("Columns are as wide as what is in them, wide characters included, and the last is not padded", () => {
  const rows = [
    { name: "short", note: "a" },
    { name: "\u6771\u4eac\u6771\u4eac", note: "b" },
  ];
  const lines = formatTable(COLUMNS, rows);
  expect(lines).toEqual(["NAME      NOTE", "short     a", "\u6771\u4eac\u6771\u4eac  b"]);
});

test("A cell that is too long is cut, the last column later", () => {
  const [, line = ""] = formatTable(COLUMNS, [{ name: "n".repeat(100), note: "x".repeat(100) }]);
  expect(line).toBe(`${"n".repeat(47)}\u2026  ${"x".repeat(100)}`);
});

test("A sparse column is shown when there is something in it", () => {
  const sparse = [
    { title: "id", of: ({ id }: { id?: unknown }) => id },
    { ...COLUMNS[1], isSparse: true },
  ];
  expect(formatTable(sparse, [{ id: 1 }, { id: 2, note: "" }])).toEqual(["ID", "1", "2"]);
  expect(formatTable(sparse, [{ id: 1 }, { id: 2, note: "a" }])).toEqual(["ID  NOTE", "1   -", "2   a"]);
});

test("Fields stand below each other", () => {
  expect(formatFields({ id: 1, state: "dead" })).toEqual(["id     1", "state  dead"]);
});

test.each<[unknown, string]>([
  [null, "-"],
  ["", "-"],
  [undefined, "-"],
  [[], "-"],
  [["a", "b"], "a, b"],
  [0, "0"],
  [false, "false"],
  [{ a: 1 }, '{"a":1}'],
  ["line\r\nbreak", "line\\u000d\\u000abreak"],
  ["\u001b]0;title\u0007", "\\u001b]0;title\\u0007"],
  ["\u009b31m", "\\u009b31m"],
  [["\u001b[2J"], "\\u001b[2J"],
  [{ a: "\u009b" }, '{"a":"\\u009b"}'],
])("%j is shown as %s", (value, text) => {
  expect(showValue(value)).toBe(text);
});

test("A text keeps its lines and tabs and nothing else that moves the cursor", () => {
  expect(showText("a\tb\nc\u001b[1A\rd\u0000")).toBe("a\tb\nc\\u001b[1A\\u000dd\\u0000");
});
