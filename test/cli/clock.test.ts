import { afterAll, beforeAll, expect, test } from "bun:test";
import { startVirtualServer, VIRTUAL_KEY, type VirtualServer } from "../support/virtual-server.ts";
import { callCommand } from "./run-command.ts";

let server: VirtualServer;

beforeAll(async () => {
  server = await startVirtualServer("");
});

afterAll(() => server[Symbol.asyncDispose]());

const run = (...args: string[]) =>
  callCommand(["clock", ...args, "--server", server.url, "--key", VIRTUAL_KEY]);

test("The clock is shown, advanced by a span, and advanced to an instant", async () => {
  const { stdout } = await run();
  expect(stdout).toBe("clock  virtual\nnow    2026-03-28T00:00:00.000Z\n");
  const { stdout: told, exitCode } = await run("advance", "1d2h");
  expect(told).toBe(
    "The clock went from 2026-03-28T00:00:00.000Z to 2026-03-29T02:00:00.000Z; attempts: 0\n",
  );
  expect(exitCode).toBe(0);
  const { stdout: json } = await run("advance", "--to", "2026-03-30", "--json");
  expect(JSON.parse(json)).toMatchObject({
    from: "2026-03-29T02:00:00.000Z",
    now: "2026-03-30T00:00:00.000Z",
    attempts: 0,
  });
});

test.each([
  [["advance"], "say either how far, such as 1d, or where to, with --to"],
  [["advance", "1d", "--to", "2026-04-01"], "say either how far"],
  [["advance", "later"], '"later" is no delay'],
  [["advance", "--to", "later"], '--to: "later" is no time'],
  [["advance", "--to", "2026-03-01"], "does not go back"],
])("%p is refused", async (args, reason) => {
  const { stderr, exitCode } = await run(...args);
  expect(stderr).toContain(reason);
  expect(exitCode).toBe(1);
});
