import { expect, test } from "bun:test";
import { demoLines } from "../../src/cli/demo.ts";
import { createConfigText } from "../../src/cli/init.ts";
import { parseConfig } from "../../src/config/load.ts";
import { prepareVerify } from "../../src/domain/signature/index.ts";
import { SystemRandom } from "../../src/runtime/random.ts";

const SHIPPED = await Bun.file(new URL("../../config.toml", import.meta.url)).text();
const random = new SystemRandom();

function configOf(text: string) {
  const loaded = parseConfig({
    text,
    path: "/config.toml",
    env: {},
    readFile: () => "",
    judgeSource: () => [],
    judgeEndpoint: () => [],
    judgeSchedule: () => [],
  });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  return loaded.config;
}

/** Takes the printed command apart as a shell would: single-quoted words only. */
function parseCurl(line: string) {
  const words = [...line.matchAll(/'([^']*)'/g)].map(([, word]) => word ?? "");
  const [url = "", ...rest] = words;
  const body = new TextEncoder().encode(rest.pop() ?? "");
  const headers = new Headers(rest.map((header) => header.split(": ", 2) as [string, string]));
  return { url, headers, body };
}

test("The printed request carries a signature that its source accepts", () => {
  const config = configOf(SHIPPED);
  const line = demoLines(config, random).find((text) => text.includes("/in/")) ?? "";
  const request = parseCurl(line);
  expect(request.url).toBe("http://127.0.0.1:8420/in/demo");
  const [rule] = config.sources[0]?.verify ?? [];
  if (!rule) throw new Error("the shipped source has no rule");
  expect(prepareVerify(rule)(request, 0)).toEqual({ ok: true });
});

test("Every start prints an event of its own, so that the demonstration works again after a restart", () => {
  const config = configOf(SHIPPED);
  expect(demoLines(config, random)[1]).not.toBe(demoLines(config, random)[1]);
});

test("The development key is printed, any other key is not", () => {
  expect(demoLines(configOf(SHIPPED), random).at(-1)).toContain("'Authorization: Bearer dev-key-change-me'");
  const own = demoLines(configOf(createConfigText(random)), random).at(-1);
  expect(own).toBe("  postern deliveries list --limit 1");
  expect(own).not.toContain("pk_");
});

test("Without the echo receiver there is nothing to demonstrate", () => {
  expect(demoLines(configOf(SHIPPED.replace("echo = true", "echo = false")), random)).toEqual([]);
});

test("Two fresh configurations share no secret, and none with the manual", () => {
  const secretsOf = (text: string) => {
    const { projects, sources, endpoints } = configOf(text);
    const rules = [...sources.flatMap(({ verify }) => verify), ...endpoints.flatMap(({ sign }) => sign)];
    const secrets = rules
      .flatMap((rule) => ("secrets" in rule ? rule.secrets : []))
      .map(({ value }) => value);
    return [...projects.flatMap(({ apiKeys }) => apiKeys).map(({ key }) => key), ...secrets];
  };
  const all = [SHIPPED, createConfigText(random), createConfigText(random)].map(secretsOf);
  expect(all.map(({ length }) => length)).toEqual([3, 3, 3]);
  expect(new Set(all.flat()).size).toBe(9);
});
