import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettings } from "../../src/cli/settings.ts";
import { samplePresets } from "../../src/domain/sample/index.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { type CommandResult, callCommand } from "./run-command.ts";

const URL_OF_SIGNERS = "https://hooks.example.com/in/x";
const RULES: Readonly<Record<string, string>> = {
  stripe: '{ scheme = "stripe", secret = "whsec_x" }',
  github: '{ scheme = "github", secret = "s" }',
  gitlab: '{ scheme = "gitlab", secret = "s" }',
  shopify: '{ scheme = "shopify", secret = "s" }',
  slack: '{ scheme = "slack", secret = "s" }',
  twilio: `{ scheme = "twilio", secret = "s", public_url = "${URL_OF_SIGNERS}" }`,
  paddle: '{ scheme = "paddle", secret = "s" }',
  linear: '{ scheme = "linear", secret = "s" }',
  zoom: '{ scheme = "zoom", secret = "s" }',
  square: `{ scheme = "square", secret = "s", public_url = "${URL_OF_SIGNERS}" }`,
  standard: '{ scheme = "standard", secret = "whsec_ZGVtby1zZWNyZXQtZm9yLXRoZS1lY2hv" }',
  svix: '{ scheme = "svix", secret = "whsec_ZGVtby1zZWNyZXQtZm9yLXRoZS1lY2hv" }',
  hookbridge: '{ scheme = "hookbridge", secret = "s" }',
  posthook: '{ scheme = "posthook", secret = "s" }',
  pyfly: '{ scheme = "pyfly", secret = "s" }',
  plain: `[
    { scheme = "token", query = "key", secret = "it's" },
    { scheme = "basic", username = "u", password = "p" },
  ]`,
};
const DISCORD =
  '{ scheme = "discord", secret = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" }';

const folder = mkdtempSync(join(tmpdir(), "postern-trigger-"));
const file = join(folder, "config.toml");
let app: TestApp;
let server: string;

beforeAll(async () => {
  const sources = Object.entries({ ...RULES, discord: DISCORD }).map(
    ([name, rule]) =>
      `[[source]]\nname = "${name}"\nverify = ${rule}\nto = []\ndedupe = { by = ["json:id"] }\n`,
  );
  writeFileSync(file, sources.join("\n"), { mode: 0o600 });
  const settings = readSettings(file);
  if (!settings.ok) throw new Error(JSON.stringify(settings.errors));
  app = await startTestApp({
    sources: settings.config.sources.map(({ name, verify, dedupe }) => ({ name, verify, dedupe })),
    listeners: [{ hostname: "127.0.0.1", port: 0, role: "main" }],
  });
  // Samples carry the real time, so the clock that judges them has to show it.
  app.clock.step(new SystemClock().wallNow() - app.clock.now());
  server = app.server.start()[0]?.url ?? "";
});

afterAll(async () => {
  await app[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const trigger = (...args: string[]): Promise<CommandResult> =>
  callCommand(["trigger", "--config", file, "--server", server, ...args]);

describe("trigger", () => {
  test("there is a sample to try for every preset", () => {
    expect(Object.keys(RULES).sort()).toEqual(
      samplePresets()
        .map(({ preset }) => preset)
        .toSorted(),
    );
  });

  test.each(
    Object.keys(RULES),
  )("sends a sample of %s that its source accepts, and prints the receipt", async (preset) => {
    const { stdout, stderr, exitCode } = await trigger(preset, "--to", preset);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^202 \{"id":"evt_\w{32}","duplicate":false,"durability":"fsync"\}\n$/);
    expect(exitCode).toBe(0);
  });

  test("the same id again is a duplicate", async () => {
    const args = ["stripe:charge.refunded", "--to", "stripe", "--id", "one", "--json"];
    expect(JSON.parse((await trigger(...args)).stdout)).toMatchObject({ answer: { duplicate: false } });
    expect(JSON.parse((await trigger(...args)).stdout)).toMatchObject({
      status: 202,
      answer: { duplicate: true },
    });
  });

  test("--print prints a command that a shell can run, and sends nothing", async () => {
    const before = (await app.api("/events?limit=500")).json.data.length;
    const { stdout } = await trigger("plain:it's.done", "--to", "plain", "--print");
    expect((await app.api("/events?limit=500")).json.data).toHaveLength(before);
    expect(stdout).toContain(`curl -i -X POST '${server}/in/plain?key=it%27s'`);
    const words = Bun.spawnSync(["sh", "-c", `curl() { printf '%s\\n' "$@"; }\n${stdout}`]);
    const [body = ""] = words.stdout.toString().trimEnd().split("\n").reverse();
    expect(JSON.parse(body)).toMatchObject({ type: "it's.done" });
  });

  test.each([
    [["stripe", "--to", "nobody"], "declares no source nobody; it has stripe, github", 1],
    [["plain", "--to", "discord"], 'cannot be signed for scheme "discord"', 1],
    [["strype:x", "--to", "stripe"], "There are samples of stripe, github", 2],
    [["stripe"], "required option '--to <source>' not specified", 2],
    [["stripe:a b", "--to", "stripe"], "printable characters", 1],
  ])("%p is answered with what to do", async (args, complaint, exitCode) => {
    const result = await trigger(...args);
    expect(result.stderr).toContain(complaint);
    expect(result.exitCode).toBe(exitCode);
  });

  test("a refusal is shown, with the likely cause", async () => {
    await app.declare({
      sources: [{ name: "stripe", verify: [{ scheme: "stripe", secrets: [{ value: "other" }] }] }],
    });
    const { stdout, stderr, exitCode } = await trigger("stripe", "--to", "stripe");
    expect(stdout).toMatch(/^401 .*signature_mismatch/);
    expect(stderr).toContain("postern reload");
    expect(exitCode).toBe(1);
  });

  test("--help lists presets with their types", async () => {
    const { stdout } = await callCommand(["trigger", "--help"]);
    expect(stdout).toMatch(/stripe +invoice\.paid, /);
  });
});
