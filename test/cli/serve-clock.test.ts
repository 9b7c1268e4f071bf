import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VirtualClock } from "../../src/runtime/virtual-clock.ts";
import { openStore } from "../../src/storage/store.ts";
import { runCommand } from "./run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-clock-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("A store of the virtual clock is refused by a server on the system's, and says why", async () => {
  const path = join(folder, "store.db");
  const store = openStore({
    path,
    durability: "relaxed",
    masterKey: new Uint8Array(32).fill(0x11),
    clock: new VirtualClock(0),
    randomBytes: (length) => new Uint8Array(length),
    version: "1.2.3",
  });
  await store.close();
  const config = join(folder, "config.toml");
  const text = `
    [server]
    listen = "127.0.0.1:0"
    [store]
    path = ${JSON.stringify(path)}
    master_key = "${"11".repeat(32)}"`;
  writeFileSync(config, text, { mode: 0o600 });
  const { exitCode, stderr } = await runCommand(["serve", "-c", config], { cwd: folder });
  expect(stderr).toContain("the store was made with the virtual clock, not the system one");
  expect(exitCode).toBe(1);
});

test.each([
  [["--clock", "sundial"], 2, "Allowed choices are system, virtual"],
  [["--clock", "virtual", "--clock-start", "2026-03-28"], 2, "an instant of RFC 3339"],
  [["--clock-start", "2026-03-28T00:00:00Z"], 1, "--clock-start is for --clock virtual"],
])("serve %p is refused", async (args, exitCode, reason) => {
  const result = await runCommand(["serve", ...args], { cwd: folder });
  expect(result.stderr).toContain(reason);
  expect(result.exitCode).toBe(exitCode);
});
