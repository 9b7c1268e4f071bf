/** What the commands about schedules ask the server for, and what they make of its answers. */
import { describe, expect, test } from "bun:test";
import { type ReceiverHandler, startReceiver } from "../support/receiver.ts";
import { callCommand } from "./run-command.ts";

const NIGHTLY = {
  name: "nightly",
  endpoint: "app",
  cron: "0 2 * * *",
  timezone: "Europe/Berlin",
  nextRunAt: "2026-03-29T01:00:00.000Z",
  lastRunAt: null,
  pausedAt: null,
  runCount: 0,
  skippedCount: 2,
};

async function call(answer: unknown, ...args: string[]) {
  const answerJson: ReceiverHandler = () => Response.json(answer);
  await using server = startReceiver(answerJson);
  const result = await callCommand([...args, "--server", server.url, "--key", "k"]);
  const asked = server.requests.map(({ method, path }) => `${method} ${path}`);
  const [first] = server.requests;
  return { ...result, asked, sent: first?.text ? (JSON.parse(first.text) as unknown) : null };
}

describe("schedules", () => {
  test("are listed with their timing and their next run", async () => {
    const paused = {
      ...NIGHTLY,
      name: "often",
      every: "15m",
      cron: null,
      pausedAt: "2026-03-01T00:00:00.000Z",
    };
    const { stdout, asked } = await call({ data: [NIGHTLY, paused], nextCursor: null }, "schedules", "list");
    expect(asked).toEqual(["GET /_/api/schedules?limit=50"]);
    expect(stdout.split("\n")).toEqual([
      "NAME     ENDPOINT  WHEN                     NEXT RUN                  LAST RUN  RUNS  SKIPPED",
      "nightly  app       0 2 * * * Europe/Berlin  2026-03-29T01:00:00.000Z  -         0     2",
      "often    app       every 15m                paused                    -         0     2",
      "",
    ]);
  });

  test.each([
    ["pause", "nightly is paused\n"],
    ["resume", "nightly runs next at 2026-03-29T01:00:00.000Z\n"],
    ["run", "nightly is being run\n"],
  ])("%s names what it did", async (verb, said) => {
    const { stdout, asked } = await call(NIGHTLY, "schedules", verb, "nightly");
    expect(asked).toEqual([`POST /_/api/schedules/nightly/${verb}`]);
    expect(stdout).toBe(said);
  });

  test("get shows everything, the next runs as a table", async () => {
    const run = { at: "2026-03-29T01:00:00.000Z", local: "2026-03-29T03:00:00", offset: "+02:00" };
    const nextRuns = [{ ...run, note: "gap: moved from 02:00" }];
    const { stdout, asked } = await call({ ...NIGHTLY, nextRuns }, "schedules", "get", "nightly");
    expect(asked).toEqual(["GET /_/api/schedules/nightly"]);
    expect(stdout).toContain("timezone      Europe/Berlin\n");
    const line = "2026-03-29T03:00:00  +02:00  2026-03-29T01:00:00.000Z  gap: moved from 02:00";
    expect(stdout).toEndWith(
      `next runs:\n  LOCAL TIME           OFFSET  UTC                       NOTE\n  ${line}\n`,
    );
  });
});

describe("schedule", () => {
  const answer = { id: "dlv_1", dueAt: "2026-12-01T08:00:00.000Z" };

  test("asks for one delivery at a local time, as JSON when the body is", async () => {
    const time = ["--at", "2026-12-01T09:00:00", "--tz", "Europe/Berlin"];
    const content = ["--body", '{"n": 1}', "--header", "X-Reason: a test"];
    const { stdout, asked, sent } = await call(answer, "schedule", "app", ...time, ...content);
    expect(asked).toEqual(["POST /_/api/deliveries"]);
    expect(sent).toEqual({
      endpoint: "app",
      at: "2026-12-01T09:00:00",
      timezone: "Europe/Berlin",
      body: '{"n": 1}',
      headers: { "content-type": "application/json", "X-Reason": "a test" },
    });
    expect(stdout).toBe("dlv_1 is due at 2026-12-01T08:00:00.000Z\n");
  });

  test("asks for one after a delay", async () => {
    const { sent } = await call(answer, "schedule", "app", "--delay", "2h", "--body", "plain");
    expect(sent).toEqual({ endpoint: "app", delay: "2h", body: "plain", headers: {} });
  });

  test.each([
    [["--at", "2026-12-01T09:00:00", "--delay", "1h"], 1, "give either --at or --delay"],
    [["--header", "nothing"], 2, "X-Reason: reminder"],
  ])("%p is refused", async (args, exitCode, reason) => {
    const result = await call(answer, "schedule", "app", ...args);
    expect(result.stderr).toContain(reason);
    expect({ exitCode: result.exitCode, asked: result.asked }).toEqual({ exitCode, asked: [] });
  });
});
