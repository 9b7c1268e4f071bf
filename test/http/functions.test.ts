import { describe, expect, test } from "bun:test";
import { type Json, type PingbackApp, startPingback } from "../compat/pingback/support.ts";
import { KEYS } from "../support/test-app.ts";

/** What the test application is told. */
const LOGS_KEPT_MS = 1e9;

const cron = (name: string, schedule: string) => ({ name, type: "cron", schedule, options: {} });
const task = (name: string, options: object = {}) => ({ name, type: "task", options });
const line = (message: string, level = "info", more: object = {}) => ({
  ...{ timestamp: Date.parse("2026-01-01T00:00:00Z"), level, message },
  ...more,
});
const done = (more: object = {}) => ({ status: "success", result: null, logs: [], tasks: [], ...more });

async function get(pingback: PingbackApp, path: string): Promise<Json> {
  const { status, json } = await pingback.app.api(path);
  if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${JSON.stringify(json)}`);
  return json as unknown as Json;
}

async function post(pingback: PingbackApp, path: string, body: object = {}) {
  const { status, json } = await pingback.app.api(path, { method: "POST", body: JSON.stringify(body) });
  return { status, json: json as unknown as Json };
}

const names = (page: Json) => (page.data as unknown as Json[]).map(({ name }) => name as unknown as string);
const messages = (page: Json) => (page.data as unknown as Json[]).map(({ message }) => String(message));

describe("Functions through the native API", () => {
  test("are listed by what they are, shown by name and id, and page by page", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("nightly", "0 3 * * *"), task("resize", { retries: 2, timeout: "5m" })]);
    expect(names(await get(pingback, "/functions"))).toEqual(["nightly", "resize"]);
    expect(names(await get(pingback, "/functions?kind=task"))).toEqual(["resize"]);
    const first = await get(pingback, "/functions?limit=1");
    expect(names(first)).toEqual(["nightly"]);
    expect(names(await get(pingback, `/functions?limit=1&cursor=${String(first.nextCursor)}`))).toEqual([
      "resize",
    ]);
    const shown = await get(pingback, "/functions/nightly");
    expect(shown).toMatchObject({
      ...{ name: "nightly", kind: "cron", schedule: "0 3 * * *", status: "active", origin: "sdk" },
      ...{ retries: 0, timeoutMs: 30_000, concurrency: 1, url: "https://app.example/api/pingback" },
      nextRunAt: "2026-01-01T03:00:00.000Z",
    });
    expect(await get(pingback, `/functions/${String(shown.id)}`)).toEqual(shown);
    expect(await get(pingback, "/functions/resize")).toMatchObject({ retries: 2, timeoutMs: 300_000 });
    expect((await pingback.app.api("/functions/nope")).status).toBe(404);
    expect((await pingback.app.api("/functions?status=asleep")).status).toBe(400);
  });

  test("rest while they are paused, over a registration too, and go on from now when resumed", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *")]);
    expect((await post(pingback, "/functions/tick/pause")).json).toMatchObject({
      ...{ status: "paused", nextRunAt: null },
    });
    await pingback.register([cron("tick", "* * * * *")]);
    await pingback.advance(150_000);
    expect(pingback.dispatches()).toEqual([]);
    expect((await post(pingback, "/functions/tick/resume")).json).toMatchObject({
      ...{ status: "active", nextRunAt: "2026-01-01T00:03:00.000Z" },
    });
    await pingback.advance(30_000);
    expect(pingback.dispatches()).toHaveLength(1);
  });

  test("run now with a payload whose digits arrive, also when paused; not when vanished", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("resize")]);
    await post(pingback, "/functions/resize/pause");
    const body = '{"payload": {"id": 12345678901234567890, "b": 1.0}}';
    const run = await pingback.app.api("/functions/resize/run", { method: "POST", body });
    expect(run.status).toBe(200);
    expect(run.json as unknown as Json).toMatchObject({
      ...{ function: "resize", payload: '{"id":12345678901234567890,"b":1}' },
    });
    await pingback.settle();
    expect(pingback.dispatches()[0]?.text).toContain('"payload":{"id":12345678901234567890,"b":1}');
    expect((await post(pingback, "/functions/resize/run")).json).toMatchObject({ payload: null });
    await pingback.register([]);
    for (const verb of ["run", "pause", "resume"]) {
      const { status, json } = await post(pingback, `/functions/resize/${verb}`);
      expect([verb, status]).toEqual([verb, 410]);
      expect(json.error).toMatchObject({ code: "gone" });
    }
    expect(names(await get(pingback, "/functions?status=inactive"))).toEqual(["resize"]);
  });

  test("are read with a read key, changed with an admin key, and not seen from another project", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")]);
    const id = await pingback.trigger("t");
    await pingback.settle();
    const ask = async (path: string, key: string, method = "GET") =>
      (await pingback.app.request(`/_/api${path}`, { key, method })).status;
    expect(await ask("/functions/t", KEYS.read)).toBe(200);
    expect(await ask("/logs", KEYS.ingest)).toBe(403);
    for (const path of ["/functions/t/run", "/functions/t/pause", `/executions/${id}/retry`]) {
      expect([path, await ask(path, KEYS.read, "POST")]).toEqual([path, 403]);
    }
    for (const path of ["/functions/t", `/executions/${id}`, `/executions/${id}/tree`]) {
      expect([path, await ask(path, KEYS.other)]).toEqual([path, 404]);
    }
    const others = await pingback.app.request("/_/api/executions", { key: KEYS.other });
    expect(await others.json()).toEqual({ data: [], nextCursor: null });
  });
});

/** A parent that asked for two children, one of which failed. */
async function fannedOut(): Promise<{ pingback: PingbackApp; parent: string }> {
  const pingback = await startPingback();
  await pingback.register([task("parent"), task("child")]);
  pingback.answer(
    done({
      result: { made: 2 },
      logs: [line("splitting", "info", { meta: { count: 2 } }), line("odd 100% input", "warn")],
      tasks: [
        { name: "child", payload: { n: 1 } },
        { name: "child", payload: { n: 2 } },
      ],
    }),
  );
  pingback.answer(done({ logs: [line("child one", "debug")] }));
  pingback.answer({ status: "error", error: "disk is full", logs: [line("no space", "error")], tasks: [] });
  const parent = await pingback.trigger("parent", { payload: { file: "a.png" } });
  await pingback.settle();
  await pingback.settle();
  return { pingback, parent };
}

describe("Executions through the native API", () => {
  test("are shown under both forms of their id, with payload, answer and logs", async () => {
    const { pingback, parent } = await fannedOut();
    await using _ = pingback;
    const shown = await get(pingback, `/executions/${parent}`);
    expect(shown).toMatchObject({
      ...{ executionId: parent, function: "parent", status: "success", state: "succeeded" },
      ...{ attemptCount: 1, lastStatus: 200, parentId: null, hasChildren: true },
      ...{ payload: '{"file":"a.png"}', payloadEncoding: "text" },
      logs: [
        { attempt: 1, level: "info", message: "splitting", meta: { count: 2 } },
        { attempt: 1, level: "warn", message: "odd 100% input", meta: null },
      ],
    });
    expect(String((shown.attempts as unknown as Json[])[0]?.responseExcerpt)).toContain('"made":2');
    expect(await get(pingback, `/executions/${String(shown.id)}`)).toEqual(shown);
    expect((await pingback.app.api("/executions/nope")).status).toBe(404);
  });

  test("are found by function, status, parent, text and time, newest first and page by page", async () => {
    const { pingback, parent } = await fannedOut();
    await using _ = pingback;
    const found = async (query: string) => {
      const page = await get(pingback, `/executions?${query}`);
      return (page.data as unknown as Json[]).map((one) => `${one.function} ${one.status}`);
    };
    expect(await found("")).toEqual(["child failed", "child success", "parent success"]);
    expect(await found("function=parent")).toEqual(["parent success"]);
    expect(await found("status=failed")).toEqual(["child failed"]);
    expect(await found(`parent=${parent}`)).toEqual(["child failed", "child success"]);
    expect(await found("q=DISK+is")).toEqual(["child failed"]);
    expect(await found("q=a.png")).toEqual(["parent success"]);
    expect(await found("q=child+one")).toEqual(["child success"]);
    expect(await found("q=paren")).toEqual(["parent success"]);
    expect(await found("since=2026-01-02")).toEqual([]);
    const first = await get(pingback, "/executions?limit=2");
    const rest = await get(pingback, `/executions?limit=2&cursor=${String(first.nextCursor)}`);
    expect((rest.data as unknown as Json[]).map((one) => one.executionId)).toEqual([parent] as never);
    expect(rest.nextCursor).toBeNull();
    for (const query of ["function=nope", "parent=nope", "status=done", "q=x", "limit=0"]) {
      expect([query, (await pingback.app.api(`/executions?${query}`)).status]).toEqual([query, 400]);
    }
  });

  test("show their tree from any of its nodes", async () => {
    const { pingback, parent } = await fannedOut();
    await using _ = pingback;
    const tree = await get(pingback, `/executions/${parent}/tree`);
    const nodes = tree.nodes as unknown as Json[];
    expect(nodes.map((one) => one.function)).toEqual(["parent", "child", "child"] as never);
    expect(nodes.map((one) => one.parentId)).toEqual([null, tree.rootId, tree.rootId] as never);
    expect(await get(pingback, `/executions/${String(nodes[2]?.id)}/tree`)).toEqual(tree);
  });

  test("run again when they failed, become due when they wait, and are left alone otherwise", async () => {
    const { pingback, parent } = await fannedOut();
    await using _ = pingback;
    const failed = await get(pingback, "/executions?status=failed");
    const { id } = (failed.data as unknown as Json[])[0] ?? {};
    expect((await post(pingback, `/executions/${String(id)}/retry`)).status).toBe(200);
    await pingback.settle();
    expect(await get(pingback, `/executions/${String(id)}`)).toMatchObject({
      ...{ status: "success", attemptCount: 2 },
    });
    const refused = await post(pingback, `/executions/${parent}/retry`);
    expect(refused.status).toBe(409);
    expect(refused.json.error).toMatchObject({ code: "invalid_state" });
    const later = await pingback.trigger("child", { delay: "1h" });
    await post(pingback, `/executions/${later}/retry`);
    await pingback.settle();
    expect(await get(pingback, `/executions/${later}`)).toMatchObject({ status: "success" });
  });
});

describe("Logs through the native API", () => {
  test("are found by level, function, execution, text and time, newest first", async () => {
    const { pingback, parent } = await fannedOut();
    await using _ = pingback;
    const found = async (query: string) => messages(await get(pingback, `/logs?${query}`));
    expect(await found("")).toEqual(["no space", "child one", "odd 100% input", "splitting"]);
    expect(await found("level=error")).toEqual(["no space"]);
    expect(await found("function=parent")).toEqual(["odd 100% input", "splitting"]);
    expect(await found(`execution=${parent}&level=warn`)).toEqual(["odd 100% input"]);
    expect(await found("q=SPLIT")).toEqual(["splitting"]);
    expect(await found("q=0%25+i")).toEqual(["odd 100% input"]);
    expect(await found("q=0__")).toEqual([]);
    expect(await found("since=2026-01-01&until=2026-01-02")).toHaveLength(4);
    expect(await found("until=2026-01-01")).toEqual([]);
    const { data } = await get(pingback, "/logs?limit=1");
    expect((data as unknown as Json[])[0]).toMatchObject({ function: "child", attempt: 1, level: "error" });
    for (const query of ["level=loud", "function=nope", "execution=x", "q=x", "after=%3F"]) {
      expect([query, (await pingback.app.api(`/logs?${query}`)).status]).toEqual([query, 400]);
    }
  });

  test("are followed from a line on, oldest first, without a line lost or doubled", async () => {
    const { pingback } = await fannedOut();
    await using _ = pingback;
    const all = await get(pingback, "/logs");
    const oldest = (all.data as unknown as Json[]).at(-1);
    const one = await get(pingback, `/logs?limit=2&after=${String(oldest?.cursor)}`);
    expect(messages(one)).toEqual(["odd 100% input", "child one"]);
    const two = await get(pingback, `/logs?limit=2&after=${String(one.nextCursor)}`);
    expect(messages(two)).toEqual(["no space"]);
    const none = await get(pingback, `/logs?after=${String(two.nextCursor)}`);
    expect(none).toEqual({ data: [], nextCursor: two.nextCursor } as never);
    const rare = await get(pingback, `/logs?level=debug&after=${String(oldest?.cursor)}`);
    expect(messages(rare)).toEqual(["child one"]);
    expect(rare.nextCursor).toEqual(two.nextCursor as never);
    const both = await pingback.app.api(`/logs?after=${String(one.nextCursor)}&cursor=Mg`);
    expect(both.status).toBe(400);
  });
});

test("Executions and logs are forgotten when they are old enough, what waits is not", async () => {
  const { pingback } = await fannedOut();
  await using _ = pingback;
  await pingback.trigger("child", { delay: "30d" });
  const count = async (path: string) => ((await get(pingback, path)).data as unknown as Json[]).length;
  await pingback.app.engine.retention.sweep();
  expect([await count("/executions"), await count("/logs")]).toEqual([4, 4]);
  pingback.app.clock.advance(LOGS_KEPT_MS);
  await pingback.app.engine.retention.sweep();
  expect([await count("/executions?status=success"), await count("/logs")]).toEqual([0, 0]);
  expect(await count("/executions?status=pending")).toBe(1);
});
