import { describe, expect, test } from "bun:test";
import { Kind, type TSchema } from "@sinclair/typebox";
import { formatIssue } from "../../src/config/issue.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { ConfigSchema } from "../../src/config/schema.ts";
import { checkSigning } from "../../src/domain/header-rules.ts";
import { checkSchedule } from "../../src/domain/schedule-check.ts";
import { checkSource } from "../../src/domain/source-check.ts";

const PATH = new URL("../../config.toml", import.meta.url).pathname;
const MANUAL = await Bun.file(PATH).text();
const LINES = MANUAL.split("\n");

function configOf(text: string, env: Record<string, string> = {}) {
  const loaded = parseConfig({
    text,
    path: PATH,
    env,
    readFile: () => "",
    judgeSource: checkSource,
    judgeEndpoint: checkSigning,
    judgeSchedule: checkSchedule,
  });
  if (!loaded.ok) throw new Error(loaded.errors.map((issue) => formatIssue(issue, "config.toml")).join("\n"));
  return loaded.config;
}

/**
 * The manual with one commented-out line switched on, and the line that sets the same key in its table off.
 */
function switchOn(index: number): string {
  const line = LINES[index]?.replace(/^# ?/, "") ?? "";
  const key = /^\w+/.exec(line)?.[0] ?? "";
  const start = LINES.findLastIndex((text, place) => place < index && text.startsWith("["));
  const end = LINES.findIndex((text, place) => place > index && text.startsWith("["));
  const isRival = (text: string, place: number) =>
    place > start && (end === -1 || place < end) && text.startsWith(`${key} =`);
  return LINES.map((text, place) => (place === index ? line : isRival(text, place) ? `#${text}` : text)).join(
    "\n",
  );
}

const numbered = LINES.map((line, index) => [line, index] as const);
const defaults = numbered.filter(([line]) => /^#\w+ = /.test(line));
const examples = numbered.filter(([line]) => /^# \w+ = (?!value)/.test(line));

/** Every key that the schema knows, wherever it stands. */
function keysOf(schema: TSchema): string[] {
  if (schema[Kind] === "Array") return keysOf(schema.items);
  if (schema[Kind] === "Union") return (schema.anyOf as TSchema[]).flatMap(keysOf);
  if (schema[Kind] !== "Object") return [];
  return Object.entries(schema.properties as Record<string, TSchema>).flatMap(([key, value]) => [
    key,
    ...keysOf(value),
  ]);
}

test("The shipped file loads with an empty environment, and warns of nothing but its development key", () => {
  const loaded = loadConfig({
    path: PATH,
    env: {},
    judgeSource: checkSource,
    judgeEndpoint: checkSigning,
    judgeSchedule: checkSchedule,
  });
  expect(loaded.ok).toBe(true);
  expect(loaded.warnings.map(({ key }) => key)).toEqual(["project[0].api_keys[0]"]);
});

test("The shipped file shows the main job on its own echo receiver", () => {
  const { dev, sources, endpoints } = configOf(MANUAL);
  expect(dev.echo).toBe(true);
  expect(sources).toMatchObject([{ name: "demo", verify: [{ scheme: "hmac" }], to: [{ name: "echo" }] }]);
  expect(endpoints).toMatchObject([{ url: "http://127.0.0.1:8420/_/echo", sign: [{ scheme: "standard" }] }]);
});

describe("Each documented default is the real one", () => {
  test.each(defaults)("%s", (_line, index) => {
    expect(configOf(switchOn(index))).toEqual(configOf(MANUAL));
  });
});

describe("Each commented-out example is valid, given an API key of one's own", () => {
  const env = { POSTERN_API_KEY: "0123456789abcdef" };
  test.each(examples)("%s", (_line, index) => {
    expect(() => configOf(switchOn(index), env)).not.toThrow();
  });
});

test("The file names every key there is", () => {
  const missing = [...new Set(keysOf(ConfigSchema))].filter(
    (key) => !new RegExp(`\\b${key}\\b`).test(MANUAL),
  );
  expect(missing).toEqual([]);
});

test("The two lists above are not empty by accident", () => {
  expect(defaults.length).toBeGreaterThan(20);
  expect(examples.length).toBeGreaterThan(10);
});
