/** The posthook table of a project. */
import { expect, test } from "bun:test";
import { configOf, errorsOf } from "./parse-text.ts";

const HEAD = `[[project]]\nid = "default"\napi_keys = ["${"k".repeat(20)}"]\n`;

test("a posthook table is read with its defaults", () => {
  const config = configOf(`${HEAD}posthook = { signing_keys = ["ph_sk_dev"] }`);
  expect(config.projects[0]?.posthook).toEqual({
    name: null,
    domain: null,
    signingKeys: [{ value: "ph_sk_dev" }],
    authorization: null,
    isAsync: false,
    hasWebsocket: true,
    retry: {
      ...{ retries: 5, strategy: "exponential", delayMs: 15_000, factor: 2 },
      ...{ delayMaxMs: 3_600_000, hasJitter: true },
    },
    quota: null,
    concurrency: 64,
  });
});

test("a signing key may end at a date, and a domain loses its last slash", () => {
  const keys = '["ph_sk_new", { value = "ph_sk_old", until = 2027-01-01T00:00:00Z }]';
  const config = configOf(`${HEAD}posthook = { domain = "https://a.example/", signing_keys = ${keys} }`);
  const { domain, signingKeys } = config.projects[0]?.posthook ?? {};
  expect(domain).toBe("https://a.example");
  expect(signingKeys).toEqual([{ value: "ph_sk_new" }, { value: "ph_sk_old", until: Date.UTC(2027, 0, 1) }]);
});

test.each([
  ["{ }", "signing_keys"],
  ["{ signing_keys = [] }", "signing_keys"],
  ['{ signing_keys = ["x"], domain = "app.example" }', "domain"],
  ['{ signing_keys = ["x"], quota = -1 }', "quota"],
  ['{ signing_keys = ["x"], retry = { retries = 16 } }', "retries"],
  ['{ signing_keys = ["x"], retry = { strategy = "linear" } }', "strategy"],
  ['{ signing_keys = ["x"], wobsocket = true }', "wobsocket"],
])("posthook = %s is an error that names %s", (table, key) => {
  const errors = errorsOf(`${HEAD}posthook = ${table}`);
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain(key);
});
