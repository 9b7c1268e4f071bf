import { describe, expect, test } from "bun:test";
import { formatIssue } from "../../src/config/issue.ts";
import { summarizeConfig } from "../../src/config/redact.ts";
import { configOf, errorsOf, parseText } from "./parse-text.ts";

const endpointAt = (url: string) => `[[endpoint]]\nname = "app"\nurl = "${url}"`;
const verifiedBy = (secrets: string) => `[[source]]\nname = "in"\nverify = { scheme = "github", ${secrets} }`;

function secretsOf(text: string, surroundings?: Parameters<typeof configOf>[1]) {
  const [rule] = configOf(text, surroundings).sources[0]?.verify ?? [];
  return rule && "secrets" in rule ? rule.secrets : [];
}

describe("Environment references", () => {
  test.each([
    [`https://\${HOST}/`, { HOST: "example.com" }, "https://example.com/"],
    [`https://\${HOST:-localhost}/`, {}, "https://localhost/"],
    [`https://\${HOST:-localhost}/`, { HOST: "" }, "https://localhost/"],
    [`https://\${HOST:-localhost}/`, { HOST: "example.com" }, "https://example.com/"],
    [`https://\${A}\${B}/`, { A: "a", B: "b" }, "https://ab/"],
    [`https://h/$\${A}`, { A: "a" }, "https://h/$%7BA%7D"],
    ["https://h/$A", { A: "a" }, "https://h/$A"],
    [`https://h/\${A}`, { A: `\${B}`, B: "b" }, "https://h/$%7BB%7D"],
  ])("%s with %p gives %p", (url, env, expected) => {
    const loaded = parseText(endpointAt(url), { env });
    expect(loaded.ok ? (loaded.config.endpoints[0]?.url ?? null) : null).toBe(expected);
  });

  test("A missing variable is one error that names the key and the variable", () => {
    expect(errorsOf(endpointAt(`https://\${HOST}/`))).toEqual([
      "config.toml:3: endpoint[0].url: needs the environment variable HOST, which is not set",
    ]);
  });

  test.each([`\${}`, `\${1A}`, `\${A`, `\${A:=b}`])("%s is a malformed reference", (reference) => {
    expect(errorsOf(endpointAt(`https://${reference}/`), { env: { A: "a" } })[0]).toStartWith(
      `config.toml:3: endpoint[0].url: has a malformed reference, expected \${NAME} or \${NAME:-default}`,
    );
  });

  test("A variable's text is a value and never syntax", () => {
    const env = { LEVEL: 'info"\n[dev]\necho = true #' };
    expect(errorsOf(`[log]\nlevel = "\${LEVEL}"`, { env })).toHaveLength(1);
  });

  test("Variables named like object properties are not set", () => {
    expect(errorsOf(endpointAt(`https://\${constructor}/`))).toHaveLength(1);
  });

  test("Keys take no references", () => {
    expect(errorsOf(`[dev]\n"\${A}" = true`, { env: { A: "echo" } })).toHaveLength(1);
  });
});

describe("Secrets", () => {
  const FILE_KEY = "config.toml:3: source[0].verify.secret.file";

  test("The shorthand is a list of one", () => {
    expect(secretsOf(verifiedBy('secret = "a"'))).toEqual([{ value: "a" }]);
  });

  test("A list mixes texts, values with an end, and files beside the config file", () => {
    const ended = '{ value = "b", until = 2026-12-01T00:00:00Z }';
    const list = `secrets = ["a", ${ended}, { file = "c", until = "2026-12-01T01:00:00+01:00" }]`;
    const until = Date.UTC(2026, 11, 1);
    expect(secretsOf(verifiedBy(list), { files: { "/etc/postern/c": "c\n" } })).toEqual([
      { value: "a" },
      { value: "b", until },
      { value: "c", until },
    ]);
  });

  test.each([
    ["s\n", "s"],
    ["s\r\n", "s"],
    ["s\n\n", "s\n"],
    [" s", " s"],
  ])("Of the file content %p one newline at the end is no part of the secret", (content, value) => {
    const files = { "/run/secret": content };
    expect(secretsOf(verifiedBy('secret = { file = "/run/secret" }'), { files })).toEqual([{ value }]);
  });

  test("A file that cannot be read is an error that names it", () => {
    expect(errorsOf(verifiedBy('secret = { file = "gone" }'))).toEqual([
      `${FILE_KEY}: names the file "/etc/postern/gone", which cannot be read (ENOENT)`,
    ]);
  });

  test("An empty file is no secret", () => {
    const files = { "/etc/postern/empty": "\n" };
    expect(errorsOf(verifiedBy('secret = { file = "empty" }'), { files })).toEqual([
      `${FILE_KEY}: got "empty", expected the path of a file that holds a non-empty secret`,
    ]);
  });

  test("A standard secret must be base64 behind its prefix", () => {
    const sign = (secret: string) =>
      `${endpointAt("https://x/")}\nsign = [{ scheme = "standard", secret = "${secret}" }]`;
    expect(errorsOf(sign("whsec_ZGVtbw=="))).toEqual([]);
    expect(errorsOf(sign("whsec_ZGVtbw"))).toEqual([]);
    expect(errorsOf(sign("plain text"))).toEqual([]);
    expect(errorsOf(sign("whsec_not-base64"))).toHaveLength(1);
    expect(errorsOf(sign("whsec_"))).toHaveLength(1);
  });

  test.each(["ab".repeat(32), "A".repeat(43).concat("=")])("%s is a master key", (key) => {
    expect(configOf(`[store]\nmaster_key = "${key}"`).store.masterKey).toEqual({ kind: "text", text: key });
  });

  test("API keys carry label and scope and may come from a file", () => {
    const keys = 'api_keys = ["0123456789abcdef", { file = "key", label = "ci", scope = "read" }]';
    const text = `[[project]]\nid = "default"\n${keys}`;
    expect(
      configOf(text, { files: { "/etc/postern/key": "fedcba9876543210\n" } }).projects[0]?.apiKeys,
    ).toEqual([
      { key: "0123456789abcdef", label: null, scope: "admin" },
      { key: "fedcba9876543210", label: "ci", scope: "read" },
    ]);
  });
});

describe("What is secret is never shown", () => {
  const HIDDEN = "whsec_hunter2 hunter2";

  test.each([
    `[store]\nmaster_key = "${HIDDEN}"`,
    `[store]\nmaster_key = ["${HIDDEN}"]`,
    `[[project]]\nid = "a"\napi_keys = "${HIDDEN}"`,
    `[[project]]\nid = "a"\napi_keys = ["${HIDDEN}", { key = "${HIDDEN}" }]`,
    `[[project]]\nid = "a"\napi_keys = [{ kee = "${HIDDEN}" }]`,
    `[[source]]\nname = "a"\nverify = "${HIDDEN}"`,
    `[[source]]\nname = "a"\nverify = { scheme = "standard", secret = "${HIDDEN}" }`,
    `[[source]]\nname = "a"\nverify = { scheme = "standard", secrets = "${HIDDEN}" }`,
    `[[source]]\nname = "a"\nverify = { scheme = "standard", secrets = ["${HIDDEN}"] }`,
    `[[source]]\nname = "a"\nverify = { scheme = "standard", secrets = [{ value = "${HIDDEN}" }] }`,
    `[[source]]\nname = "a"\nverify = { scheme = "standard", sekret = "${HIDDEN}" }`,
    `[[source]]\nname = "a"\nverify = { scheme = "basic", username = "u", password = ["${HIDDEN}"] }`,
    `[[endpoint]]\nname = "a"\nurl = "https://u:${HIDDEN}@example.com/"`,
    `[[endpoint]]\nname = "a"\nurl = "https://x/"\nsign = "${HIDDEN}"`,
    `[[endpoint]]\nname = "a"\nurl = "https://x/"\nheaders = { Authorization = "${HIDDEN}\\n" }`,
    `[egress]\nproxy = "ftp://u:${HIDDEN}@proxy/"`,
  ])("%p", (text) => {
    const loaded = parseText(text);
    expect(loaded.ok).toBe(false);
    expect(JSON.stringify(loaded)).not.toContain("hunter2");
  });

  test("A secret file's content stays hidden when it is wrong", () => {
    const text = '[[project]]\nid = "a"\napi_keys = [{ file = "key" }]';
    const loaded = parseText(text, { files: { "/etc/postern/key": HIDDEN } });
    expect(loaded.ok).toBe(false);
    expect(JSON.stringify(loaded)).not.toContain("hunter2");
  });

  test("The summary for the start log counts secrets and cuts URLs to their origin", () => {
    const text = [
      '[egress]\nproxy = "http://u:hunter2@proxy:3128"',
      `[store]\nmaster_key = "${"ab".repeat(32)}"`,
      '[[project]]\nid = "default"\napi_keys = ["hunter2-hunter2-hunter2"]',
      verifiedBy('secrets = ["hunter2", "hunter22"]'),
      `${endpointAt("https://h/hunter2?hunter2")}\nheaders = { Authorization = "hunter2" }`,
      'sign = [{ scheme = "standard", secret = "hunter2=" }]',
    ].join("\n");
    const summary = summarizeConfig(configOf(text));
    expect(JSON.stringify(summary)).not.toContain("hunter2");
    expect(JSON.stringify(summary)).not.toContain("abab");
    expect(summary.projects).toEqual([{ id: "default", apiKeyCount: 1 }]);
    expect(summary.sources[0]).toMatchObject({ verify: ["github"], secretCount: 2 });
    expect(summary.endpoints[0]).toMatchObject({
      origin: "https://h",
      secretCount: 1,
      headerNames: ["Authorization"],
    });
    expect(summary.egress.proxy).toBe("http://proxy:3128");
  });
});

test("An issue without a line is printed with the file alone", () => {
  const issue = {
    line: 0,
    column: 0,
    key: "",
    given: null,
    expected: null,
    message: "cannot be read (ENOENT)",
  };
  expect(formatIssue(issue, "config.toml")).toBe("config.toml: cannot be read (ENOENT)");
});
