import { describe, expect, test } from "bun:test";
import { configOf, errorsOf, warningsOf } from "./parse-text.ts";

const BASE =
  '[[project]]\nid = "default"\napi_keys = ["0123456789abcdef"]\n[[endpoint]]\nname = "app"\n' +
  'url = "https://app.example/"\n';
/** The table begins on line 7. */
const subscription = (...lines: string[]) => `${BASE}[[subscription]]\n${lines.join("\n")}\n`;
const WHOLE = ['name = "s"', 'event_types = ["*"]', 'endpoint = "app"'];
const changed = (line: string) => {
  const [key = ""] = line.split(" =");
  return subscription(...WHOLE.filter((other) => !other.startsWith(`${key} =`)), line);
};
const PATTERN = 'an event type, a prefix such as "invoice.*", or "*" for all';
const EVENT_TYPE = 'event_type = "json:type"';
const VERIFY = 'verify = { scheme = "github", secret = "s" }';
const source = (to: string, ...lines: string[]) =>
  ["[[source]]", 'name = "in"', `to = [${to}]`, VERIFY, ...lines].join("\n");

test("A subscription is read with its defaults", () => {
  expect(configOf(subscription(...WHOLE)).subscriptions).toEqual([
    { project: "default", name: "s", eventTypes: ["*"], tenant: "", endpoint: "app" },
  ]);
  expect(warningsOf(subscription(...WHOLE))).toEqual([]);
});

test("A tenant is any text, and patterns keep their case", () => {
  const text = subscription(...WHOLE.slice(0, 1), 'tenant = "Ac me/1:é"', 'endpoint = "app"').concat(
    'event_types = ["OrderPlaced", "invoice.*", "*"]',
  );
  expect(configOf(text).subscriptions).toMatchObject([
    { tenant: "Ac me/1:é", eventTypes: ["OrderPlaced", "invoice.*", "*"] },
  ]);
});

test.each([
  "*.paid",
  "invoice*",
  "inv*.paid",
  "**",
  ".*",
  "a.*.b",
  "a.*.*",
  "",
])("%j is no pattern", (pattern) => {
  expect(errorsOf(changed(`event_types = ["${pattern}"]`))).toEqual([
    `config.toml:10: subscription[0].event_types[0]: got "${pattern}", expected ${PATTERN}`,
  ]);
});

describe("A subscription that cannot be used is an error", () => {
  test.each([
    [
      changed("event_types = []"),
      '10: subscription[0].event_types: got an empty list, expected a list such as ["invoice.*"]',
    ],
    [
      changed('endpoint = "ap"'),
      '10: subscription[0].endpoint: there is no endpoint "ap", did you mean app?',
    ],
    [
      changed('event_type = "*"'),
      "11: subscription[0].event_type: is not a known key, did you mean event_types?",
    ],
    [
      changed('project = "defalt"'),
      '11: subscription[0].project: there is no project "defalt", did you mean default?',
    ],
    [
      changed('tenant = "a\\nb"'),
      '11: subscription[0].tenant: got "a\\nb", ' +
        "expected a tenant: at most 200 characters without line breaks",
    ],
    [
      `${subscription(...WHOLE)}${subscription(...WHOLE).slice(BASE.length)}`,
      '12: subscription[1].name: repeats "s", already used on line 8',
    ],
  ])("%#", (text, expected) => {
    expect(errorsOf(text)).toContain(`config.toml:${expected}`);
  });

  test("when its endpoint is another project's; the name may be the same there", () => {
    const other = `[[project]]\nid = "b"\n${subscription(...WHOLE, 'project = "b"').slice(BASE.length)}`;
    expect(errorsOf(subscription(...WHOLE) + other)).toEqual([
      'config.toml:16: subscription[1].endpoint: there is no endpoint "app", ' +
        "expected the name of a declared endpoint",
    ]);
  });
});

describe("A source may hand its events to a tenant", () => {
  const declared = subscription(...WHOLE, 'tenant = "acme"');

  test("by name, beside endpoints, or under conditions", () => {
    const sourceOf = (to: string) => configOf(declared + source(to, EVENT_TYPE)).sources[0]?.to;
    expect(sourceOf('"app", "events:acme"')).toEqual([
      { kind: "endpoint", name: "app", when: null },
      { kind: "events", tenant: "acme", when: null },
    ]);
    expect(sourceOf('{ events = "acme", when = { type = "a" } }')).toEqual([
      { kind: "events", tenant: "acme", when: { type: "a" } },
    ]);
    expect(sourceOf('"events:"')).toEqual([{ kind: "events", tenant: "", when: null }]);
  });

  test("that has subscriptions, or it is warned", () => {
    expect(warningsOf(declared + source('"events:acme"', EVENT_TYPE))).toEqual([]);
    expect(warningsOf(declared + source('"events:amce"', EVENT_TYPE))).toEqual([
      'config.toml:14: source[0].to[0]: has no subscriptions: none of this project has the tenant "amce"',
    ]);
  });

  test("with a type to match, or it is warned", () => {
    expect(warningsOf(declared + source('"events:acme"'))).toEqual([
      'config.toml:14: source[0].to[0]: gives events without a type to "*" only, ' +
        "because event_type is not set",
    ]);
  });
});
