/** The commands that look at a running server and act on it, against a real one on a socket. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { KEYS, sendResponse, startTestApp, type TestApp } from "../support/test-app.ts";
import { type CommandResult, callCommand } from "./run-command.ts";

const POST = { method: "POST" } as const;
const TOKEN = { scheme: "token", header: "x-token", secrets: [{ value: "hunter2" }] } as const;

let app: TestApp;
let server: string;
let eventId: string;

beforeAll(async () => {
  app = await startTestApp({
    endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [], jitter: 0 } }],
    sources: [
      { name: "orders", to: ["app"], eventType: { kind: "json", path: ["type"] } },
      { name: "guarded", verify: [TOKEN] },
    ],
    listeners: [{ hostname: "127.0.0.1", port: 0, role: "main" }],
  });
  server = app.server.start()[0]?.url ?? "";
  app.sendResults.push(sendResponse(503, "down"));
  const ended = app.probe.next("attempt.settled");
  eventId = await app.ingest("orders", '{"type":"\\u001b[31mred","n":1}\n');
  await ended;
  await app.ingest("orders", '{"type":"paid"}');
  const headers = { "x-token": "wrong" };
  await app.request("/in/guarded?a=1", { ...POST, headers, body: "{}" });
  await app.flush();
});

afterAll(() => app[Symbol.asyncDispose]());

const run = (...args: string[]): Promise<CommandResult> =>
  callCommand([...args, "--server", server, "--key", KEYS.admin]);

async function runJson(...args: string[]) {
  const result = await run(...args, "--json");
  return { ...result, json: JSON.parse(result.stdout) as AnyJson };
}

interface AnyJson {
  readonly id: string;
  readonly state: string;
  readonly data: readonly { readonly id: string; readonly type: string }[];
  readonly nextCursor: string | null;
}

describe("events", () => {
  test("are listed newest first, in aligned columns, and cannot drive the terminal", async () => {
    const { stdout, stderr, exitCode } = await run("events", "list");
    const [title, first, second] = stdout.split("\n");
    expect(title).toMatch(/^ID +RECEIVED +SOURCE +BYTES +TYPE$/);
    expect(first).toMatch(/^evt_\w{32} {2}2026-01-01T00:00:00.000Z {2}orders +15 +paid$/);
    expect(second).toEndWith("  \\u001b[31mred");
    expect(second?.indexOf("orders")).toBe(title?.indexOf("SOURCE") ?? -1);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  });

  test("come in pages, with the way to the next one", async () => {
    const first = await run("events", "list", "--limit", "1");
    const cursor = /--cursor (\S+)/.exec(first.stderr)?.[1] ?? "";
    const second = await runJson("events", "list", "--limit", "1", "--cursor", cursor);
    expect(second.json).toMatchObject({ data: [{ id: eventId }], nextCursor: null });
    const all = await runJson("events", "list", "--all");
    expect(all.json.data).toHaveLength(2);
  });

  test("are filtered by the server", async () => {
    const { json } = await runJson("events", "list", "--source", "orders", "--type", "paid");
    expect(json.data.map(({ type }) => type)).toEqual(["paid"]);
    expect((await run("events", "list", "--until", "2020-01-01")).stdout).toBe("No events.\n");
  });

  test("are shown with their deliveries, headers and body", async () => {
    const { stdout } = await run("events", "get", eventId);
    expect(stdout).toContain("source    orders\n");
    expect(stdout).toMatch(
      /deliveries:\n {2}ID +ENDPOINT +STATE +ATTEMPTS +LAST\n {2}dlv_\w+ {2}app +dead +1/,
    );
    expect(stdout).toContain('\nbody:\n{"type":"\\u001b[31mred","n":1}\n');
  });

  test("give their bytes exactly", async () => {
    const { stdout } = await run("events", "get", eventId, "--body");
    expect(stdout).toBe('{"type":"\\u001b[31mred","n":1}\n');
  });
});

describe("rejections", () => {
  const firstId = async () => (await runJson("rejections", "list")).json.data[0]?.id ?? "";

  test("are listed with their reason and shown with their diagnosis", async () => {
    const listed = await run("rejections", "list", "--reason", "token_mismatch");
    expect(listed.stdout).toMatch(/guarded +token_mismatch +- +The request was signed with a secret/);
    const { stdout } = await run("rejections", "get", await firstId());
    expect(stdout).toContain("request   POST /in/guarded?a=1");
    expect(stdout).toMatch(/diagnosis:\n {2}field +x-token/);
    expect(stdout).not.toContain("wrong");
  });

  test("are admitted, or it is said why not and what would help", async () => {
    const id = await firstId();
    const refused = await run("rejections", "admit", id);
    expect(refused.stderr).toContain("credentials are not stored");
    expect(refused.stderr).toContain("--force lets it in");
    expect(refused.exitCode).toBe(1);
    const forced = await run("rejections", "admit", "--force", id);
    expect(forced.stdout).toMatch(new RegExp(`^${id} was forced in as evt_\\w{32}\n$`));
    expect(forced.exitCode).toBe(0);
    const again = await run("rejections", "admit", id);
    expect(again.stdout).toContain("is known already as evt_");
  });
});

describe("sources", () => {
  test("are listed with their counters", async () => {
    const { stdout } = await run("sources", "list");
    expect(stdout).toMatch(/^NAME +STATE +VERIFY +TO +ACCEPTED +DUPLICATES +REJECTED +URL\n/);
    expect(stdout).toMatch(/\norders +active +none +app +2 +0 +0 +http:\/\/hooks\.example\/in\/orders\n/);
  });

  test("are shown without secrets", async () => {
    const { stdout } = await run("sources", "get", "guarded");
    expect(stdout).toMatch(/verify +token\n/);
    expect(stdout).toContain('rejected    {"token_mismatch":1}');
    expect(stdout).not.toContain("hunter2");
  });

  test("are paused and resumed", async () => {
    expect((await run("sources", "pause", "guarded")).stdout).toBe("guarded is paused\n");
    const resumed = await runJson("sources", "resume", "guarded");
    expect(resumed.json.state).toBe("active");
  });
});

describe("deliveries", () => {
  const deadId = async () => (await runJson("deliveries", "list", "--state", "dead")).json.data[0]?.id ?? "";

  test("are listed and shown with their attempts", async () => {
    const { stdout } = await run("deliveries", "get", await deadId());
    expect(stdout).toMatch(/state +dead\n/);
    expect(stdout).toMatch(
      /attempts:\n {2}NO +STARTED +MS +OUTCOME +STATUS +ERROR\n {2}1 +\S+ +0 +failed +503/,
    );
  });

  test("are changed one by one; what cannot be is reported and keeps nothing else back", async () => {
    const id = await deadId();
    const unknown = `dlv_${"0".repeat(32)}`;
    const ended = app.probe.next("attempt.settled");
    const { stdout, stderr, exitCode } = await run("deliveries", "replay", unknown, id);
    await ended;
    expect(stdout).toMatch(new RegExp(`^${id} is (queued|sending|succeeded)\n$`));
    expect(stderr).toContain("no such delivery (404)");
    expect(exitCode).toBe(1);
    const refused = await run("deliveries", "cancel", id);
    expect(refused.stderr).toContain("cannot be cancelled (409)");
  });
});

test.each([
  "events list",
  "events get",
  "rejections list",
  "rejections get",
  "rejections admit",
  "sources list",
  "sources get",
  "sources pause",
  "sources resume",
  "deliveries list",
  "deliveries get",
  "deliveries retry",
  "deliveries replay",
  "deliveries cancel",
  "deliveries discard",
])("%s explains itself with --help", async (name) => {
  const { stdout, exitCode } = await callCommand([...name.split(" "), "--help"]);
  expect(stdout).toContain(`Usage: postern ${name} [options]`);
  for (const option of ["--config", "--server", "--key", "--json"]) expect(stdout).toContain(option);
  expect(exitCode).toBe(0);
});

describe("what goes wrong", () => {
  test("a wrong key is named with the way to give another", async () => {
    const { stderr, exitCode } = await callCommand([
      "events",
      "list",
      "--server",
      server,
      "--key",
      "nonsense",
    ]);
    expect(stderr).toContain("this key is not valid (401)");
    expect(stderr).toContain("POSTERN_API_KEY");
    expect(exitCode).toBe(1);
  });

  test.each([
    [["events"], "Usage: postern events"],
    [["events", "lst"], "Did you mean list?"],
    [["events", "list", "--limit", "0"], "from 1 to 10000"],
    [["events", "get"], "missing required argument 'id'"],
  ])("postern %p is a wrong call", async (args, complaint) => {
    const { stderr, exitCode } = await callCommand(args);
    expect(stderr).toContain(complaint);
    expect(exitCode).toBe(2);
  });

  test("what the server refuses is said in its words", async () => {
    const { stderr, exitCode } = await run("events", "list", "--since", "yesterday");
    expect(stderr).toContain("must be an ISO 8601 instant");
    expect(exitCode).toBe(1);
  });
});
