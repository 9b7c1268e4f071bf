/** The commands that repair deliveries, one or many, against a real server on a socket. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { KEYS, sendResponse, startTestApp, type TestApp } from "../support/test-app.ts";
import { type CommandResult, callCommand } from "./run-command.ts";

let app: TestApp;
let server: string;

beforeEach(async () => {
  app = await startTestApp({
    endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [], jitter: 0 } }],
    sources: [{ name: "orders", to: ["app"], eventType: { kind: "json", path: ["type"] } }],
    listeners: [{ hostname: "127.0.0.1", port: 0, role: "main" }],
  });
  server = app.server.start()[0]?.url ?? "";
  for (const type of ["invoice.paid", "invoice.sent", "other"]) {
    const ended = app.probe.next("attempt.settled");
    app.sendResults.push(sendResponse(503, "down"));
    await app.ingest("orders", JSON.stringify({ type }));
    await ended;
  }
});

afterEach(() => app[Symbol.asyncDispose]());

const run = (...args: string[]): Promise<CommandResult> =>
  callCommand([...args, "--server", server, "--key", KEYS.admin]);

async function states(): Promise<string[]> {
  for (let turn = 0; turn < 20; turn += 1) await app.flush();
  return (await app.api("/deliveries")).json.data.map(({ state }) => state).reverse();
}

async function idOf(index: number): Promise<string> {
  return (await app.api("/deliveries")).json.data.toReversed()[index]?.id ?? "";
}

describe("postern replay", () => {
  test("of one id sends it again", async () => {
    const id = await idOf(1);
    const { stdout, exitCode } = await run("replay", id);
    expect({ stdout, exitCode }).toEqual({ stdout: `${id} is queued\n`, exitCode: 0 });
    expect(await states()).toEqual(["dead", "succeeded", "dead"]);
  });

  test("of a filter sends what matches, waits for it, and says how much that was", async () => {
    const { stdout, exitCode } = await run("replay", "--type", "invoice.*", "--endpoint", "app");
    expect(stdout).toMatch(/^blk_\w{32} replay is done: 2 changed, 100 %\n$/);
    expect(exitCode).toBe(0);
    expect(await states()).toEqual(["succeeded", "succeeded", "dead"]);
  });

  test("--dry-run counts and changes nothing", async () => {
    const { stdout } = await run("replay", "--all", "--dry-run");
    expect(stdout).toStartWith("Would replay 3 deliveries.\n");
    expect(stdout).toMatch(/ENDPOINT +COUNT\napp +3\n/);
    expect(stdout).toMatch(/invoice\.paid +1\n/);
    expect(stdout).toMatch(/up to 1h +3\n/);
    expect(await states()).toEqual(["dead", "dead", "dead"]);
  });

  test("--as-new leaves the dead letter and names the copy", async () => {
    const { stdout } = await run("replay", await idOf(0), "--as-new");
    expect(stdout).toMatch(/^dlv_\w{32} is queued\n$/);
    expect(await states()).toEqual(["dead", "dead", "dead", "succeeded"]);
  });

  test("--json prints the operation alone", async () => {
    const { stdout, stderr } = await run("replay", "--error", "503", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ action: "replay", state: "done", changed: 3 });
    expect(stderr).toBe("");
  });

  test.each([
    [["replay"], "say what to replay"],
    [["replay", "dlv_1", "--all"], "not both"],
    [["discard", "--rate", "5"], "say what to discard"],
  ])("%j is called wrongly", async (args, problem) => {
    const { stderr, exitCode } = await run(...args);
    expect(stderr).toContain(problem);
    expect(exitCode).toBe(2);
    expect(await states()).toEqual(["dead", "dead", "dead"]);
  });

  test("of an unknown endpoint fails with the server's words", async () => {
    const { stderr, exitCode } = await run("replay", "--endpoint", "nowhere");
    expect(stderr).toContain("names no endpoint of this project");
    expect(exitCode).toBe(1);
  });
});

test("postern discard, by filter, ends dead letters", async () => {
  await run("discard", "--type", "other");
  expect(await states()).toEqual(["dead", "dead", "discarded"]);
});

test("postern retry and cancel act on what waits", async () => {
  await app.api("/endpoints/app/pause", { method: "POST" });
  await app.ingest("orders", "{}");
  expect((await run("retry", "--state", "held", "queued")).stdout).toContain("done: 1 changed");
  expect((await run("cancel", "--all")).stdout).toContain("done: 1 changed");
  expect(await states()).toEqual(["dead", "dead", "dead", "cancelled"]);
});

test("postern bulk lists, shows, pauses, resumes and cancels", async () => {
  const { stdout } = await run("replay", "--all", "--rate", "0.01", "--no-wait", "--json");
  const { id } = JSON.parse(stdout) as { id: string };
  expect((await run("bulk", "list")).stdout).toMatch(new RegExp(`${id} +\\S+ +replay +running`));
  expect((await run("bulk", "get", id)).stdout).toMatch(/filter +state=dead/);
  expect((await run("bulk", "pause", id)).stdout).toContain("is paused");
  expect((await run("bulk", "resume", id)).stdout).toContain("is running");
  expect((await run("bulk", "cancel", id)).stdout).toContain("is cancelled");
  expect((await run("bulk", "resume", id)).exitCode).toBe(1);
});
