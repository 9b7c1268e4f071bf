import { expect, test } from "bun:test";
import { toDeclarations } from "../../src/declarations.ts";
import { NOTICE_TYPES } from "../../src/domain/notice.ts";
import { configOf, errorsOf } from "./parse-text.ts";

const BASE =
  '[[project]]\nid = "default"\napi_keys = ["0123456789abcdef"]\n[[endpoint]]\nname = "ops"\n' +
  'url = "https://ops.example/"\n';
/** The table begins on line 7. */
const alert = (...lines: string[]) => `${BASE}[[alert]]\n${lines.join("\n")}\n`;

test("An alert is a subscription to all of Postern's own events", () => {
  const config = configOf(alert('name = "pager"', 'endpoint = "ops"'));
  expect(config.alerts).toEqual([
    { project: "default", name: "pager", on: [...NOTICE_TYPES], endpoint: "ops" },
  ]);
  expect(toDeclarations(config).subscriptions).toEqual([
    {
      ...{ project: "default", name: "alert:pager", tenant: "postern" },
      ...{ eventTypes: [...NOTICE_TYPES], endpoint: "ops" },
    },
  ]);
});

test("A project says when it is told of its dead letters", () => {
  const config = configOf('[[project]]\nid = "default"\ndead_letters = { count = 5, window = "10m" }');
  expect(toDeclarations(config).deadLetters).toEqual([{ project: "default", count: 5, windowMs: 600_000 }]);
});

test.each([
  [
    alert('name = "a"', 'endpoint = "op"'),
    '9: alert[0].endpoint: there is no endpoint "op", did you mean ops?',
  ],
  [
    alert('name = "a"', 'endpoint = "ops"', "on = []"),
    "10: alert[0].on: got an empty list, expected a list of at least one, each one of " +
      '"endpoint.opened", "endpoint.recovered", "endpoint.disabled", "dead_letters.threshold"',
  ],
  [
    `${alert('name = "a"', 'endpoint = "ops"')}[[alert]]\nname = "a"\nendpoint = "ops"\n`,
    '11: alert[1].name: repeats "a", already used on line 8',
  ],
  [
    `${BASE}[[source]]\nname = "in"\nverify.scheme = "none"\nto = ["events:postern"]\n`,
    "10: source[0].to[0]: is the tenant of Postern's own events, which no source can make; " +
      "expected another one",
  ],
])("What cannot be used is an error: %j", (text, expected) => {
  expect(errorsOf(text)).toEqual([`config.toml:${expected}`]);
});
