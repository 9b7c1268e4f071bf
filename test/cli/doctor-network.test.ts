import { expect, test } from "bun:test";
import { checkNames } from "../../src/cli/doctor-network.ts";
import { parseConfig } from "../../src/config/load.ts";

function configWith(...urls: string[]) {
  const text = urls.map((url, index) => `[[endpoint]]\nname = "e${index}"\nurl = "${url}"\n`).join("");
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

async function lookup(name: string) {
  if (name === "app.example") return [{ address: "192.0.2.1" }, { address: "2001:db8::1" }];
  throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
}

test("A name that resolves is shown with its addresses, one that does not is a failure", async () => {
  const config = configWith("https://app.example/a", "https://app.example/b", "https://gone.example/");
  expect(await checkNames(config, lookup)).toEqual([
    { status: "ok", subject: "dns", detail: "app.example is 192.0.2.1, 2001:db8::1" },
    { status: "fail", subject: "dns", detail: "gone.example cannot be resolved (ENOTFOUND)" },
  ]);
});

test("Addresses are not looked up", async () => {
  const findings = await checkNames(configWith("http://127.0.0.1:1/", "http://[::1]:1/"), lookup);
  expect(findings).toEqual([{ status: "ok", subject: "dns", detail: "no endpoint has a name to look up" }]);
});
