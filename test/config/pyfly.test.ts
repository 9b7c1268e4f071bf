/** PyFly's tables of the file: `pyfly` of a project, and [[callback_config]]. */
import { expect, test } from "bun:test";
import { configOf, errorsOf } from "./parse-text.ts";

const SUBSCRIPTIONS = 'subscriptions = [{ event_type = "*", target_url = "https://c.example/x" }]';
const callback = (...lines: string[]) => `[[callback_config]]\nname = "c"\n${lines.join("\n")}\n`;

test("A callback config is read with PyFly's defaults", () => {
  expect(configOf(callback(SUBSCRIPTIONS)).callbackConfigs).toEqual([
    {
      project: "default",
      tenant: "",
      name: "c",
      isEnabled: true,
      secret: null,
      attemptsMax: 5,
      backoffMs: 5_000,
      authorizedDomains: [],
      subscriptions: [{ eventType: "*", targetUrl: "https://c.example/x", headers: {} }],
    },
  ]);
});

test("Domains may be described, and a secret may stand in a file", () => {
  const text = callback(
    'authorized_domains = ["a.example", { domain = "b.example", description = "theirs" }]',
    'secret = { file = "pyfly.secret" }',
  );
  const files = { "/etc/postern/pyfly.secret": "topsecret\n" };
  expect(configOf(text, { files }).callbackConfigs).toMatchObject([
    {
      secret: "topsecret",
      authorizedDomains: [
        { domain: "a.example", description: "" },
        { domain: "b.example", description: "theirs" },
      ],
    },
  ]);
});

test("A project says how its callbacks are sent", () => {
  const text =
    '[[project]]\nid = "p"\npyfly = { timeout = "2s", breaker = { failures = 2, scope = "global" } }\n';
  const project = configOf(text).projects.find(({ id }) => id === "p");
  expect(project?.pyfly).toEqual({
    timeoutMs: 2_000,
    breaker: { failures: 2, recoveryMs: 30_000, scope: "global" },
  });
});

test.each([
  [callback("max_attempts = 0"), "3: callback_config[0].max_attempts"],
  [callback('subscriptions = [{ event_type = "", target_url = "https://c.example/" }]'), "3: "],
  [callback('subscriptions = [{ event_type = "*", target_url = "/x" }]'), "3: "],
  [
    callback('subscriptions = [{ event_type = "*", target_url = "http://c/", headers = { Host = "x" } }]'),
    "3: ",
  ],
  [callback('authorized_domains = [""]'), "3: callback_config[0].authorized_domains[0]"],
  [callback('project = "nobody"'), "3: callback_config[0].project"],
  [`${callback()}${callback()}`, '5: callback_config[1].name: repeats "c", already used on line 2'],
])("%s is an error with its line", (text, expected) => {
  const errors = errorsOf(text);
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain(`config.toml:${expected}`);
});

test("The same name in another tenant is another config", () => {
  expect(errorsOf(`${callback('tenant = "a"')}${callback('tenant = "b"')}`)).toEqual([]);
});
