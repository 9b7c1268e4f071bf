import { describe, expect, test } from "bun:test";
import { callCommand } from "../cli/run-command.ts";
import { KEYS, startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const OPTIONS: TestAppOptions = {
  endpoints: [{ name: "app" }, { name: "other" }],
  sources: [
    { name: "orders", to: ["app"], eventType: { kind: "json", path: ["type"] } },
    { name: "notes", to: ["other"] },
  ],
};

interface Line {
  readonly kind: string;
  readonly cursor: string;
  readonly missed?: number | null;
  readonly event?: { readonly id: string; readonly type: string | null; readonly source: string };
  readonly delivery?: { readonly endpoint: string; readonly state: string; readonly type: string | null };
  readonly attempt?: { readonly status: number } | null;
}

/** All lines of a stream that ends by itself. */
async function told(app: TestApp, query = "", key: string = KEYS.read): Promise<Line[]> {
  const response = await app.request(`/_/api/tail?wait=no${query}`, { key });
  return linesOf(await response.text());
}

function linesOf(text: string): Line[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

async function now(app: TestApp): Promise<string> {
  return (await told(app)).at(-1)?.cursor ?? "";
}

async function ingest(app: TestApp, source: string, body = "{}"): Promise<string> {
  const ended = app.probe.next("attempt.settled");
  const id = await app.ingest(source, body);
  await ended;
  return id;
}

const summary = (lines: readonly Line[]) =>
  lines.map(({ kind, event, delivery }) =>
    [kind, event?.source ?? delivery?.endpoint, event?.type ?? delivery?.state].filter(Boolean).join(" "),
  );

describe("The live stream", () => {
  test("tells of events, deliveries and attempts in order, and where to go on", async () => {
    await using app = await startTestApp(OPTIONS);
    const since = await now(app);
    const id = await ingest(app, "orders", '{"type":"paid"}');
    const lines = await told(app, `&since=${since}`);
    expect(summary(lines)).toEqual([
      "event orders paid",
      "delivery app sending",
      "delivery app succeeded",
      "end",
    ]);
    expect(lines[0]?.event?.id).toBe(id);
    expect([lines[1]?.attempt, lines[2]?.attempt]).toEqual([null, expect.objectContaining({ status: 200 })]);
    const later = await told(app, `&since=${lines[1]?.cursor}`);
    expect(summary(later)).toEqual(["delivery app succeeded", "end"]);
  });

  test("begins now without a cursor", async () => {
    await using app = await startTestApp(OPTIONS);
    await ingest(app, "orders");
    expect(summary(await told(app))).toEqual(["end"]);
  });

  test.each([
    ["endpoint=other", ["delivery other sending", "delivery other succeeded", "end"]],
    ["state=succeeded", ["delivery app succeeded", "delivery other succeeded", "end"]],
    ["type=pa*", ["event orders paid", "delivery app sending", "delivery app succeeded", "end"]],
  ])("is filtered by %s", async (filter, expected) => {
    await using app = await startTestApp(OPTIONS);
    const since = await now(app);
    await ingest(app, "orders", '{"type":"paid"}');
    await ingest(app, "notes");
    expect(summary(await told(app, `&since=${since}&${filter}`))).toEqual(expected);
  });

  test("is another project's own", async () => {
    await using app = await startTestApp(OPTIONS);
    const since = await now(app);
    await ingest(app, "orders");
    expect(summary(await told(app, `&since=${since}`, KEYS.other))).toEqual(["end"]);
  });

  test("says that something is missing after another process's cursor", async () => {
    await using app = await startTestApp(OPTIONS);
    await ingest(app, "orders");
    const [gap, ...rest] = await told(app, "&since=999.5");
    expect(gap).toMatchObject({ kind: "gap", missed: null });
    expect(summary(rest)).toContain("delivery app succeeded");
  });

  test("refuses a cursor that is none, and an ingest key", async () => {
    await using app = await startTestApp(OPTIONS);
    expect((await app.request("/_/api/tail?since=yesterday", { key: KEYS.read })).status).toBe(400);
    expect((await app.request("/_/api/tail", { key: KEYS.ingest })).status).toBe(403);
  });

  test("goes on while somebody reads, and ends with the server", async () => {
    await using app = await startTestApp(OPTIONS);
    const response = await app.request("/_/api/tail?state=succeeded", { key: KEYS.read });
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const next = async () => summary(linesOf(new TextDecoder().decode((await reader.read()).value)));
    expect(await next()).toEqual(["ping"]);
    await ingest(app, "orders");
    expect(await next()).toEqual(["delivery app succeeded"]);
    await ingest(app, "notes");
    expect(await next()).toEqual(["delivery other succeeded"]);
    app.engine.feed.stop();
    expect((await reader.read()).done).toBe(true);
  });

  test("takes no more watchers than it can serve, and forgets those that left", async () => {
    await using app = await startTestApp(OPTIONS);
    const open = (key: string) => app.request("/_/api/tail", { key });
    const responses = await Promise.all(Array.from({ length: 16 }, () => open(KEYS.read)));
    expect((await open(KEYS.read)).status).toBe(503);
    // One project keeps no other one out.
    expect((await open(KEYS.other)).status).toBe(200);
    await responses[0]?.body?.cancel();
    expect((await open(KEYS.read)).status).toBe(200);
    app.engine.feed.stop();
  });
});

test("postern tail shows a line for each, and where to go on", async () => {
  await using app = await startTestApp({
    ...OPTIONS,
    listeners: [{ hostname: "127.0.0.1", port: 0, role: "main" }],
  });
  const server = app.server.start()[0]?.url ?? "";
  const since = await now(app);
  await ingest(app, "orders", '{"type":"paid"}');
  const run = (...args: string[]) =>
    callCommand(["tail", "--no-follow", ...args, "--server", server, "--key", KEYS.read]);
  const { stdout, stderr, exitCode } = await run("--since", since);
  expect(stdout.split("\n")).toEqual([
    expect.stringMatching(/^\S+Z {2}event {2}evt_\w{32} {2}orders {2}paid {2}15 bytes$/),
    expect.stringMatching(/^\S+Z {2}delivery {2}dlv_\w{32} {2}app {2}sending$/),
    expect.stringMatching(
      /^\S+Z {2}delivery {2}dlv_\w{32} {2}app {2}succeeded {2}attempt 1 {2}200 {2}\d+ ms$/,
    ),
    "",
  ]);
  expect(stderr).toMatch(/^Go on with --since \d+\.\d+\n$/);
  expect(exitCode).toBe(0);
  expect(linesOf((await run("--json", "--since", since)).stdout)).toHaveLength(4);
  expect((await run("--since", "yesterday")).exitCode).toBe(1);
});
