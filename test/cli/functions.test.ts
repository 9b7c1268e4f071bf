/** What the commands about functions ask the server for, and what they make of its answers. */
import { describe, expect, test } from "bun:test";
import { type ReceiverHandler, startReceiver } from "../support/receiver.ts";
import { callCommand } from "./run-command.ts";

const AT = "2026-03-29T01:00:00.000Z";

async function call(answers: readonly unknown[], ...args: string[]) {
  const left = [...answers];
  const answerJson: ReceiverHandler = () => {
    const answer = left.shift();
    return answer instanceof Response ? answer : Response.json(answer);
  };
  await using server = startReceiver(answerJson);
  const result = await callCommand([...args, "--server", server.url, "--key", "k"]);
  const asked = server.requests.map(({ method, path }) => `${method} ${path}`);
  return { ...result, asked, sent: server.requests[0]?.text ?? "" };
}

const refusal = (status: number, code: string, message: string) =>
  Response.json({ error: { code, message, details: null }, requestId: "req_1" }, { status });

const NIGHTLY = {
  ...{ id: "ep_1", name: "nightly", kind: "cron", schedule: "0 3 * * *", status: "active" },
  ...{ nextRunAt: AT, lastRunAt: null, retries: 2, timeoutMs: 30_000 },
};

describe("functions", () => {
  test("are listed with their schedule and next run", async () => {
    const page = { data: [NIGHTLY], nextCursor: null };
    const { stdout, asked, exitCode } = await call([page], "functions", "list", "--kind", "cron");
    expect(asked).toEqual(["GET /_/api/functions?limit=50&kind=cron"]);
    expect(stdout.split("\n")).toEqual([
      "NAME     KIND  SCHEDULE   STATUS  NEXT RUN                  LAST RUN  RETRIES  TIMEOUT",
      "nightly  cron  0 3 * * *  active  2026-03-29T01:00:00.000Z  -         2        30s",
      "",
    ]);
    expect(exitCode).toBe(0);
  });

  test("are shown one by one, as fields or as JSON", async () => {
    const { stdout, asked } = await call([NIGHTLY], "functions", "get", "night ly");
    expect(asked).toEqual(["GET /_/api/functions/night%20ly"]);
    expect(stdout).toContain("schedule   0 3 * * *\n");
    const json = await call([NIGHTLY], "functions", "get", "nightly", "--json");
    expect(JSON.parse(json.stdout)).toEqual(NIGHTLY);
  });

  test.each([
    ["pause", { status: "paused" }, "nightly is paused\n"],
    ["resume", { status: "active" }, "nightly is active\n"],
    ["run", { id: "dlv_1" }, "nightly is being run: dlv_1\n"],
  ])("%s names what it did", async (verb, answer, said) => {
    const { stdout, asked } = await call([answer], "functions", verb, "nightly");
    expect(asked).toEqual([`POST /_/api/functions/nightly/${verb}`]);
    expect(stdout).toBe(said);
  });

  test("run with a payload sends it digit for digit, and takes nothing that is no JSON", async () => {
    const payload = '{"id":12345678901234567890}';
    const { sent } = await call([{ id: "dlv_1" }], "functions", "run", "a", "--payload", payload);
    expect(sent).toBe(`{"payload":${payload}}`);
    const wrong = await call([], "functions", "run", "a", "--payload", "hello");
    expect([wrong.exitCode, wrong.asked]).toEqual([2, []]);
    expect(wrong.stderr).toContain("It must be JSON");
  });

  test("that have vanished are reported, the others have their turn, and the exit code is 1", async () => {
    const gone = refusal(410, "gone", 'the application no longer has the function "a"');
    const { stdout, stderr, exitCode } = await call(
      [gone, { status: "paused" }],
      "functions",
      "pause",
      "a",
      "b",
    );
    expect(stderr).toContain("no longer has");
    expect([stdout, exitCode]).toEqual(["b is paused\n", 1]);
  });
});

const execution = (id: string, more: object = {}) => ({
  ...{ id, executionId: "u", function: "resize", status: "success", createdAt: AT, attemptCount: 1 },
  ...{ durationMs: 12, lastStatus: 200, lastError: null, parentId: null, hasChildren: false },
  ...more,
});

describe("executions", () => {
  test("are listed by what was asked for", async () => {
    const page = { data: [execution("dlv_1", { lastError: "disk is full" })], nextCursor: null };
    const filters = [
      "--function",
      "resize",
      "--status",
      "failed",
      "--search",
      "disk",
      "--since",
      "2026-03-01",
    ];
    const { stdout, asked } = await call([page], "executions", "list", ...filters);
    expect(asked).toEqual([
      "GET /_/api/executions?limit=50&function=resize&status=failed&q=disk&since=2026-03-01",
    ]);
    expect(stdout).toContain(
      "dlv_1  2026-03-29T01:00:00.000Z  resize    success  1         12  disk is full\n",
    );
  });

  test("are shown with payload, attempts, answer and logs", async () => {
    const attempt = { number: 1, startedAt: AT, durationMs: 12, outcome: "succeeded", status: 200 };
    const detail = execution("dlv_1", {
      ...{ payload: '{"n":1}', payloadEncoding: "text" },
      attempts: [{ ...attempt, responseExcerpt: '{"result":7}', responseEncoding: "text" }],
      logs: [{ attempt: 1, at: AT, level: "warn", message: "low\u001b[2J", meta: { left: 3 } }],
    });
    const { stdout } = await call([detail], "executions", "get", "dlv_1");
    expect(stdout).toContain('\npayload:\n  {"n":1}\n');
    expect(stdout).toContain("\nattempts:\n  NO  STARTED");
    expect(stdout).toContain('\nnewest answer:\n  {"result":7}\n');
    expect(stdout).toContain(`\nlogs:\n  ${AT}  WARN   low\\u001b[2J  {"left":3}\n`);
  });

  test("are drawn as the tree that they make, in any depth", async () => {
    const nodes = [
      execution("root"),
      execution("a", { parentId: "root", attemptCount: 3 }),
      execution("b", { parentId: "root", status: "failed", lastError: "no" }),
      execution("a1", { parentId: "a", durationMs: null }),
    ];
    const { stdout, asked } = await call([{ rootId: "root", nodes }], "executions", "tree", "a1");
    expect(asked).toEqual(["GET /_/api/executions/a1/tree"]);
    expect(stdout.split("\n")).toEqual([
      "resize  success  root  12 ms",
      "  resize  success  a  3 attempts  12 ms",
      "    resize  success  a1",
      "  resize  failed  b  12 ms  no",
      "",
    ]);
  });

  test("are retried one after the other", async () => {
    const { stdout, asked } = await call([{ status: "pending" }], "executions", "retry", "dlv_1");
    expect(asked).toEqual(["POST /_/api/executions/dlv_1/retry"]);
    expect(stdout).toBe("dlv_1 is pending\n");
  });
});

const line = (message: string, cursor: string) => ({
  ...{ cursor, executionId: "dlv_1", function: "resize", attempt: 1, at: AT, level: "info" },
  ...{ message, meta: null },
});
const shown = (message: string) => `${AT}  INFO   resize  ${message}`;

describe("logs", () => {
  test("are shown in the order of time, found by what was asked for", async () => {
    const page = { data: [line("two", "c2"), line("one", "c1")], nextCursor: "c1" };
    const filters = ["--level", "info", "--function", "resize", "--text", "o", "--limit", "2"];
    const { stdout, stderr, asked } = await call([page], "logs", ...filters);
    expect(asked).toEqual(["GET /_/api/logs?limit=2&function=resize&level=info&q=o"]);
    expect(stdout.split("\n")).toEqual([shown("one"), shown("two"), ""]);
    expect(stderr).toContain("--cursor c1");
    expect(JSON.parse((await call([page], "logs", "--limit", "2", "--json")).stdout)).toEqual(page);
    expect((await call([{ data: [], nextCursor: null }], "logs")).stdout).toBe("No logs.\n");
  });

  test("are followed from the newest one on until the server is gone", async () => {
    const { stdout, asked, exitCode } = await call(
      [
        { data: [line("one", "c1")], nextCursor: null },
        { data: [line("two", "c2"), line("three", "c3")], nextCursor: "c9" },
        refusal(503, "shutting_down", "the server is stopping"),
      ],
      ...["logs", "--follow", "--level", "info"],
    );
    expect(asked).toEqual([
      "GET /_/api/logs?limit=50&level=info",
      "GET /_/api/logs?limit=500&after=c1&level=info",
      "GET /_/api/logs?limit=500&after=c9&level=info",
    ]);
    expect(stdout.split("\n")).toEqual([shown("one"), shown("two"), shown("three"), ""]);
    expect(exitCode).toBe(1);
  });

  test("are followed from the first one that comes when there is none yet, as lines of JSON", async () => {
    const empty = { data: [], nextCursor: null };
    const first = line("one", "c1");
    const { stdout, asked } = await call(
      [empty, { data: [first], nextCursor: null }, refusal(503, "shutting_down", "bye")],
      ...["logs", "-f", "--json"],
    );
    expect(asked.at(-1)).toBe("GET /_/api/logs?limit=500&after=c1");
    expect(stdout).toBe(`${JSON.stringify(first)}\n`);
  });
});
