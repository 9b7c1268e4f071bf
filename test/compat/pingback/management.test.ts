/** Fan-out, crons and management: conformance checks 5 and 42 to 60 of pingback.md section 12. */
import { describe, expect, test } from "bun:test";
import { sendResponse } from "../../support/test-app.ts";
import { type Json, type PingbackApp, startPingback } from "./support.ts";

const MINUTE = 60_000;
const task = (name: string, options: object = {}) => ({ name, type: "task", options });
const cron = (name: string, schedule: string, options: object = {}) => ({
  ...{ name, type: "cron", schedule, options },
});
const done = (more: object = {}) => ({ status: "success", result: null, logs: [], tasks: [], ...more });

async function execution(pingback: PingbackApp, id: unknown): Promise<Json> {
  const { status, json } = await pingback.call("GET", `executions/${id}`);
  if (status !== 200) throw new Error(`execution ${id}: ${status}`);
  return json;
}

async function jobId(pingback: PingbackApp, name: string): Promise<string> {
  const { json } = await pingback.call("GET", "jobs");
  const jobs = json as unknown as readonly { id: string; name: string }[];
  return jobs.find((job) => job.name === name)?.id ?? "";
}

async function projectId(pingback: PingbackApp): Promise<string> {
  const { json } = await pingback.call("GET", "projects");
  return (json as unknown as readonly { id: string }[])[0]?.id ?? "";
}

describe("Fan-out", () => {
  test("check 42: makes one child per task, in order, each on its first attempt", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("parent"), task("child", { concurrency: 3 })]);
    pingback.answer(done({ tasks: [1, 2, 3].map((i) => ({ name: "child", payload: { i } })) }));
    const parent = await pingback.trigger("parent");
    await pingback.settle();
    const children = pingback.dispatches().slice(1);
    expect(children.map(({ body }) => [body.function, body.attempt, body.payload])).toEqual([
      ["child", 1, { i: 1 }],
      ["child", 1, { i: 2 }],
      ["child", 1, { i: 3 }],
    ]);
    for (const { body } of children) {
      expect(body.scheduledAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(await execution(pingback, body.executionId)).toMatchObject({ parentId: parent });
    }
    expect(await execution(pingback, parent)).toMatchObject({ status: "success", hasChildren: true });
  });

  test("check 43: keeps a payload of null, and none as none", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")]);
    pingback.answer(done({ tasks: [{ name: "t", payload: null }, { name: "t" }] }));
    await pingback.trigger("t");
    await pingback.settle();
    const [, withNull, without] = pingback.dispatches();
    expect(withNull?.text).toEndWith(',"payload":null}');
    expect(without?.body).not.toHaveProperty("payload");
  });

  test("check 44: of a failed attempt is ignored; that of the retry counts", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("parent", { retries: 1 }), task("child")]);
    const tasks = [{ name: "child", payload: 1 }];
    pingback.answer({ status: "error", error: "x", logs: [], tasks }, 500);
    pingback.answer(done({ tasks }));
    const id = await pingback.trigger("parent");
    await pingback.settle();
    await pingback.advance(2_000);
    expect(pingback.dispatches().map(({ body }) => body.function)).toEqual(["parent", "parent", "child"]);
    expect(await execution(pingback, id)).toMatchObject({ status: "success", attempt: 2 });
  });

  test("check 45: to an unknown name is left out, and its siblings run", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("parent"), task("child")]);
    pingback.answer(done({ tasks: [{ name: "gone" }, { name: "child", payload: 2 }, { payload: 3 }, 4] }));
    const id = await pingback.trigger("parent");
    await pingback.settle();
    expect(pingback.dispatches().map(({ body }) => body.function)).toEqual(["parent", "child"]);
    expect(await execution(pingback, id)).toMatchObject({ status: "success" });
    expect(pingback.app.logged).toMatchObject([{ event: "follow_up.skipped" }]);
  });

  test("check 46: gives a child its own retries and timeout", async () => {
    await using pingback = await startPingback();
    await pingback.register([
      task("parent", { retries: 0, timeout: "1s" }),
      task("child", { retries: 1, timeout: "7s" }),
    ]);
    pingback.answer(done({ tasks: [{ name: "child" }] }));
    pingback.answer("down", 500);
    await pingback.trigger("parent");
    await pingback.settle();
    await pingback.advance(2_000);
    expect(pingback.app.sent.map(({ timeoutMs }) => timeoutMs)).toEqual([1_000, 7_000, 7_000]);
    expect(pingback.dispatches().map(({ body }) => body.attempt)).toEqual([1, 1, 2]);
  });

  test("check 47: shows the whole workflow from any of its nodes, the root first", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("a"), task("b"), task("c", { retries: 2 })]);
    pingback.answer(done({ tasks: [{ name: "b" }] }));
    pingback.answer(done({ tasks: [{ name: "c", payload: { deep: true } }] }));
    const root = await pingback.trigger("a");
    await pingback.settle();
    const ids = pingback.dispatches().map(({ body }) => String(body.executionId));
    const project = await projectId(pingback);
    const { json } = await pingback.call("GET", `projects/${project}/executions/${ids[2]}/workflow`);
    expect(json).toMatchObject({
      rootId: root,
      nodes: [
        { id: root, functionName: "a", parentId: null, status: "success", attempt: 1 },
        { id: ids[1], functionName: "b", parentId: root },
        { id: ids[2], functionName: "c", parentId: ids[1], maxRetries: 2, payload: { deep: true } },
      ],
    });
    const unknown = "00000000-0000-4000-8000-000000000000";
    expect((await pingback.call("GET", `projects/${project}/executions/${unknown}/workflow`)).status).toBe(
      404,
    );
  });
});

describe("A cron", () => {
  test("check 48: runs on the minute, named after its occurrence, without a payload", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *")]);
    await pingback.advance(MINUTE);
    expect(pingback.dispatches().map(({ body }) => body)).toMatchObject([
      { function: "tick", attempt: 1, scheduledAt: "2026-01-01T00:01:00.000Z" },
    ]);
    expect(pingback.dispatches()[0]?.body).not.toHaveProperty("payload");
  });

  test("check 49: runs once per occurrence, however often somebody looks", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *")]);
    for (let minute = 1; minute <= 3; minute += 1) {
      await pingback.advance(MINUTE);
      pingback.app.engine.scheduler.noteChanged();
      pingback.app.engine.scheduler.noteChanged();
      await pingback.settle();
      expect(pingback.dispatches()).toHaveLength(minute);
    }
  });

  test("check 50: that was missed three times runs once, for the oldest, and goes on", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *")]);
    await pingback.app.engine.scheduler.stop();
    await pingback.advance(3 * MINUTE + 30_000);
    expect(pingback.dispatches()).toEqual([]);
    await pingback.app.engine.scheduler.start();
    await pingback.settle();
    expect(pingback.dispatches().map(({ body }) => body.scheduledAt)).toEqual(["2026-01-01T00:01:00.000Z"]);
    const { json } = await pingback.call("GET", "jobs");
    expect(json).toMatchObject([{ nextRunAt: "2026-01-01T00:04:00.000Z" }]);
  });

  test("check 51: never overlaps itself: a run that finds its function busy makes no execution", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *", { retries: 1 })]);
    pingback.answer("down", 500);
    await pingback.app.engine.functions.findNamed("default", "tick");
    await pingback.advance(MINUTE - 1);
    await pingback.trigger("tick", { delay: "1h" });
    await pingback.advance(1);
    // It waits for its retry, which takes its place; the delayed one does not.
    expect(pingback.dispatches()).toHaveLength(1);
    pingback.app.clock.step(-1_000);
    await pingback.advance(1_000);
    const { json } = await pingback.call("GET", `jobs/${await jobId(pingback, "tick")}/executions`);
    expect(json.total).toBe(2 as never);
  });

  test("check 52: triggered three times at once runs all three, one after the other", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t", { concurrency: 1 })]);
    const ids = [await pingback.trigger("t"), await pingback.trigger("t"), await pingback.trigger("t")];
    await pingback.settle();
    for (const id of ids) expect(await execution(pingback, id)).toMatchObject({ status: "success" });
    expect(pingback.app.engine.lanes.overview(1).inFlight).toBe(0);
  });

  test("check 53: that is paused does not run, can be triggered, and catches nothing up", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *")]);
    const id = await jobId(pingback, "tick");
    const paused = await pingback.call("PATCH", `jobs/${id}`, { status: "paused" });
    expect(paused).toMatchObject({ status: 200, json: { status: "paused", nextRunAt: null } });
    await pingback.advance(5 * MINUTE);
    expect(pingback.dispatches()).toEqual([]);
    await pingback.trigger("tick");
    await pingback.settle();
    expect(pingback.dispatches()).toHaveLength(1);
    const resumed = await pingback.call("PATCH", `jobs/${id}`, { status: "active" });
    expect(resumed.json).toMatchObject({ status: "active", nextRunAt: "2026-01-01T00:06:00.000Z" });
    expect(pingback.dispatches()).toHaveLength(1);
    await pingback.advance(MINUTE);
    expect(pingback.dispatches()).toHaveLength(2);
  });

  test("whose run is due when its application registers again still runs", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *")]);
    pingback.app.clock.step(MINUTE + 5_000);
    await pingback.register([cron("tick", "* * * * *", { retries: 3 })]);
    await pingback.settle();
    expect(pingback.dispatches().map(({ body }) => body.scheduledAt)).toEqual(["2026-01-01T00:01:00.000Z"]);
  });
});

describe("Management", () => {
  test("check 5: a job made by hand stays as it is when an application registers", async () => {
    await using pingback = await startPingback();
    const made = await pingback.call("POST", "jobs", { name: "by-hand", schedule: "0 5 * * *", retries: 2 });
    expect(made).toMatchObject({
      status: 201,
      json: {
        source: "manual",
        type: "cron",
        retries: 2,
        timeoutSeconds: 30,
        concurrency: 1,
        status: "active",
      },
    });
    await pingback.register([task("t")]);
    const shown = await pingback.call("GET", `jobs/${made.json.id}`);
    expect(shown.json).toEqual(made.json);
    expect((await pingback.register([task("by-hand")])).status).toBe(409);
    const again = await pingback.call("POST", "jobs", { name: "by-hand", schedule: "0 5 * * *" });
    expect(again.status).toBe(409);
  });

  test("jobs refuse what is out of range, and say the bad expression", async () => {
    await using pingback = await startPingback();
    const post = (body: object) =>
      pingback.call("POST", "jobs", { name: "j", schedule: "* * * * *", ...body });
    expect((await post({ retries: 11 })).status).toBe(400);
    expect((await post({ timeoutSeconds: 301 })).status).toBe(400);
    expect((await post({ concurrency: 0 })).status).toBe(400);
    expect(await post({ schedule: "nope" })).toMatchObject({
      status: 400,
      json: { message: "Invalid cron expression: nope" },
    });
    expect((await pingback.call("GET", "jobs")).json).toEqual([] as never);
  });

  test("what is set by hand outlasts a registration that does not mention it", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("c", "0 5 * * *")]);
    const id = await jobId(pingback, "c");
    await pingback.call("PATCH", `jobs/${id}`, { retries: 4, timeoutSeconds: 60, concurrency: 2 });
    await pingback.register([cron("c", "0 5 * * *")]);
    expect((await pingback.call("GET", `jobs/${id}`)).json).toMatchObject({
      ...{ retries: 4, timeoutSeconds: 60, concurrency: 2 },
    });
    await pingback.register([cron("c", "0 5 * * *", { retries: 1 })]);
    expect((await pingback.call("GET", `jobs/${id}`)).json).toMatchObject({ retries: 1, timeoutSeconds: 60 });
    const moved = await pingback.call("PATCH", `jobs/${id}`, { schedule: "30 6 * * *" });
    expect(moved.json).toMatchObject({ nextRunAt: "2026-01-01T06:30:00.000Z" });
    expect((await pingback.call("PATCH", `jobs/${id}`, { status: "inactive" })).status).toBe(400);
  });

  test("a job runs by hand in any status, with a payload and a parent", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t"), task("parent")]);
    const parent = await pingback.trigger("parent");
    await pingback.register([task("parent")]);
    const { json: jobs } = await pingback.call("GET", "jobs?status=inactive");
    const [{ id } = { id: "" }] = jobs as unknown as readonly { id: string }[];
    const ran = await pingback.call("POST", `jobs/${id}/run`, { payload: { a: 1 }, parentId: parent });
    expect(ran).toMatchObject({ status: 201, json: { message: "Run triggered", jobId: id } });
    await pingback.settle();
    expect(pingback.dispatches().at(-1)?.body).toMatchObject({ function: "t", payload: { a: 1 } });
    expect(await execution(pingback, ran.json.executionId)).toMatchObject({ parentId: parent });
    expect((await pingback.call("POST", `jobs/${id}/run`)).status).toBe(201);
  });

  test("check 55: a key is shown once, moves its last use, and is of no use once deleted", async () => {
    await using pingback = await startPingback();
    const keys = `projects/${await projectId(pingback)}/api-keys`;
    const made = await pingback.call("POST", keys, { name: "ci" });
    const key = String(made.json.key);
    expect(key).toMatch(/^pb_live_[0-9a-f]{64}$/);
    expect(made).toMatchObject({ status: 201, json: { name: "ci", keyPrefix: key.slice(0, 16) } });
    const listed = async () => (await pingback.call("GET", keys)).json as unknown as readonly Json[];
    expect(await listed()).toMatchObject([{ keyPrefix: key.slice(0, 16), lastUsedAt: null }]);
    expect(JSON.stringify(await listed())).not.toContain(key);
    expect((await pingback.call("GET", "jobs", undefined, key)).status).toBe(200);
    expect(await listed()).toMatchObject([{ lastUsedAt: "2026-01-01T00:00:00.000Z" }]);
    expect((await pingback.call("DELETE", `${keys}/${made.json.id}`)).status).toBe(200);
    expect(await pingback.call("GET", "jobs", undefined, key)).toMatchObject({
      status: 401,
      json: { message: "Invalid API key" },
    });
    expect((await pingback.call("DELETE", `${keys}/${made.json.id}`)).status).toBe(200);
  });

  test("a key that may only look sees no secret; one that may only bring in triggers", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")]);
    const call = (method: string, path: string, key: string, body?: object) =>
      pingback.call(method, path, body, key);
    expect((await call("GET", "projects", "key-read")).json).toMatchObject([{ cronSecret: null }]);
    expect((await call("POST", "trigger", "key-read", { task: "t" })).status).toBe(403);
    expect((await call("POST", "trigger", "key-ingest", { task: "t" })).status).toBe(201);
    expect((await call("POST", "register", "key-ingest", { functions: [] })).status).toBe(403);
    expect((await call("GET", "jobs", "key-ingest")).status).toBe(403);
  });

  test("check 56: a key of another project finds nothing of this one", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")]);
    const run = await pingback.trigger("t");
    const [job, project] = [await jobId(pingback, "t"), await projectId(pingback)];
    const paths = [`executions/${run}`, `jobs/${job}`, `jobs/${job}/executions`, `projects/${project}`];
    const named = [
      `executions/${run}`,
      `executions/${run}/workflow`,
      "executions",
      "logs",
      "jobs",
      "api-keys",
    ];
    for (const path of [...paths, ...named.map((one) => `projects/${project}/${one}`)]) {
      expect((await pingback.call("GET", path, undefined, "key-other")).status).toBe(404);
      expect((await pingback.call("GET", path)).status).toBe(200);
    }
    const stolen = await pingback.call(
      "POST",
      `projects/${project}/executions/${run}/retry`,
      {},
      "key-other",
    );
    expect(stolen.status).toBe(404);
  });

  test("check 57: a failed execution retried by hand has one more attempt, under its id", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t", { retries: 1 })]);
    for (let attempt = 0; attempt < 3; attempt += 1) pingback.answer("down", 500);
    const id = await pingback.trigger("t");
    await pingback.settle();
    await pingback.advance(2_000);
    expect(await execution(pingback, id)).toMatchObject({ status: "failed", attempt: 2 });
    await pingback.advance(MINUTE);
    const path = `projects/${await projectId(pingback)}/executions/${id}/retry`;
    const retried = await pingback.call("POST", path);
    expect(retried).toMatchObject({ status: 201, json: { message: "Execution retried", executionId: id } });
    await pingback.settle();
    await pingback.advance(MINUTE);
    expect(pingback.dispatches().map(({ body }) => [body.attempt, body.scheduledAt])).toEqual([
      [1, "2026-01-01T00:00:00.000Z"],
      [2, "2026-01-01T00:00:00.000Z"],
      [3, "2026-01-01T00:01:02.000Z"],
    ]);
    expect(await execution(pingback, id)).toMatchObject({ status: "failed", attempt: 3 });
    await pingback.call("POST", path);
    await pingback.settle();
    expect(await execution(pingback, id)).toMatchObject({ status: "success", attempt: 4 });
    expect((await pingback.call("POST", path)).status).toBe(409);
  });

  test("check 59: a search of the logs finds parts of messages in any case, line by line", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t"), task("other")]);
    const logs = [
      { timestamp: 1, message: "Order 100% paid" },
      { timestamp: 2, level: "warn", message: "order_late", meta: { n: 1 } },
    ];
    pingback.answer(done({ logs }));
    const id = await pingback.trigger("t");
    await pingback.settle();
    const project = await projectId(pingback);
    const find = async (query: string) =>
      (await pingback.call("GET", `projects/${project}/logs?${query}`)).json as unknown as {
        items: readonly Json[];
        total: number;
      };
    expect(await find("q=ORDER")).toMatchObject({
      ...{ total: 2, page: 1, limit: 50 },
      items: [
        { executionId: id, jobName: "t", level: "warn", message: "order_late", meta: { n: 1 } },
        { level: "info", message: "Order 100% paid" },
      ],
    });
    expect((await find("q=100%25")).items).toMatchObject([{ message: "Order 100% paid" }]);
    expect((await find("q=_late")).items).toMatchObject([{ message: "order_late" }]);
    expect((await find("level=warn")).total).toBe(1);
    expect((await find(`jobId=${await jobId(pingback, "other")}`)).total).toBe(0);
    expect((await find("limit=1&page=2")).items).toMatchObject([{ message: "Order 100% paid" }]);
  });

  test("check 60: an SDK's job that is deleted is inactive; one made by hand is gone", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")]);
    const sdk = await pingback.call("DELETE", `jobs/${await jobId(pingback, "t")}`);
    expect(sdk).toMatchObject({ status: 200, json: { status: "inactive" } });
    const made = await pingback.call("POST", "jobs", { name: "m", schedule: "* * * * *" });
    expect(await pingback.call("DELETE", `jobs/${made.json.id}`)).toMatchObject({ status: 200, json: null });
    expect((await pingback.call("GET", `jobs/${made.json.id}`)).status).toBe(404);
    await pingback.advance(5 * MINUTE);
    expect(pingback.dispatches()).toEqual([]);
  });

  test("executions are listed by status, job, parent, dates and text, newest first", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("parent"), task("child")]);
    pingback.answer(done({ tasks: [{ name: "child", payload: { city: "Köln" } }] }));
    pingback.answer({ status: "error", error: "disk full" }, 500);
    const parent = await pingback.trigger("parent");
    await pingback.settle();
    const path = `projects/${await projectId(pingback)}/executions`;
    const find = async (query: string) => {
      const { json } = await pingback.call("GET", `${path}?${query}`);
      return (json as unknown as { items: { job: { name: string } }[] }).items.map(({ job }) => job.name);
    };
    expect(await find("")).toEqual(["child", "parent"]);
    expect(await find("status=failed")).toEqual(["child"]);
    expect(await find(`parentId=${parent}`)).toEqual(["child"]);
    expect(await find("q=DISK")).toEqual(["child"]);
    // The answer of the parent names the payload, too.
    expect(await find("q=Köln")).toEqual(["child", "parent"]);
    expect(await find("q=PARENT")).toEqual(["parent"]);
    expect(await find("dateFrom=2026-01-02")).toEqual([]);
    expect(await find("dateTo=2026-01-02&limit=1&page=2")).toEqual(["parent"]);
    expect(await find(`jobId=${await jobId(pingback, "parent")}`)).toEqual(["parent"]);
    const first = await pingback.call("GET", `${path}?status=failed`);
    expect(first.json).toMatchObject({ items: [{ parent: { id: parent, job: { name: "parent" } } }] });
    expect((await pingback.call("GET", `${path}?status=lost`)).status).toBe(400);
  });

  test("histograms count what ended per bucket, the last of which contains now", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")]);
    pingback.answer(done({ logs: [{ timestamp: Date.UTC(2026, 0, 1), level: "warn", message: "m" }] }));
    await pingback.trigger("t");
    await pingback.settle();
    pingback.answer("down", 500);
    await pingback.trigger("t");
    await pingback.settle();
    const project = await projectId(pingback);
    const path = `projects/${project}/executions/histogram?hours=48&buckets=48`;
    const buckets = (await pingback.call("GET", path)).json as unknown as readonly Json[];
    expect(buckets).toHaveLength(48);
    expect(buckets.at(-1)).toEqual({
      ...{ time: "2026-01-01T00:00:00.000Z", success: 1, failed: 1, total: 2 },
    } as never);
    const logs = (await pingback.call("GET", `projects/${project}/logs/histogram`)).json;
    expect((logs as unknown as readonly Json[]).at(-1)).toMatchObject({ warn: 1, total: 1 });
  });

  test("projects show their secret, change, and are made by the operator's keys alone", async () => {
    await using pingback = await startPingback();
    const id = await projectId(pingback);
    const shown = await pingback.call("GET", `projects/${id}`);
    expect(shown.json).toMatchObject({ cronSecret: "cron-secret-123" });
    const made = await pingback.call("POST", "projects", {
      name: "My Shop",
      endpointUrl: "http://localhost:1/x",
    });
    expect(made).toMatchObject({
      status: 201,
      json: { name: "My Shop", endpointUrl: "http://localhost:1/x" },
    });
    expect(String(made.json.cronSecret)).toMatch(/^[0-9a-f]{64}$/);
    const key = await pingback.call("POST", `projects/${made.json.id}/api-keys`, { name: "k" });
    const own = await pingback.call("POST", "register", { functions: [task("t")] }, String(key.json.key));
    expect(own.status).toBe(201);
    const moved = { name: "Shop", endpointUrl: "http://localhost:2/y", domain: "shop.example" };
    expect((await pingback.call("PATCH", `projects/${made.json.id}`, moved)).json).toMatchObject(moved);
    expect((await pingback.call("PATCH", `projects/${made.json.id}`, { name: "x" })).status).toBe(400);
    const rotated = await pingback.call("POST", `projects/${made.json.id}/rotate-secret`);
    expect(String(rotated.json.cronSecret)).toMatch(/^[0-9a-f]{64}$/);
    expect((await pingback.call("DELETE", `projects/${made.json.id}`)).status).toBe(200);
    expect((await pingback.call("GET", `projects/${made.json.id}`)).status).toBe(404);
    expect((await pingback.call("GET", "jobs", undefined, String(key.json.key))).status).toBe(401);
    expect((await pingback.call("POST", "projects", moved, "key-other")).status).toBe(403);
  });
});

describe("An alert", () => {
  const webhook = { channel: "webhook", target: "https://alerts.example/hook" };

  test("check 58: fires after the second failure in a row, and not again while it cools down", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t"), task("other")]);
    const path = `projects/${await projectId(pingback)}/alerts`;
    const job = await jobId(pingback, "t");
    const rule = { ...webhook, jobId: job, triggerType: "consecutive_failures", triggerValue: 2 };
    const made = await pingback.call("POST", path, { ...rule, cooldownSeconds: 60 });
    expect(made).toMatchObject({ status: 201, json: { ...rule, enabled: true, lastFiredAt: null } });
    const notices = () => pingback.dispatches().filter(({ url }) => url === webhook.target);
    const fail = async (name: string) => {
      pingback.answer({ status: "error", error: "boom" }, 500);
      await pingback.trigger(name);
      await pingback.settle();
    };
    await fail("other");
    await fail("other");
    await fail("t");
    expect(notices()).toEqual([]);
    await fail("t");
    expect(notices().map(({ body }) => body)).toMatchObject([
      {
        text: '[Pingback] Job "t" failed: HTTP 500: boom',
        job: { name: "t" },
        execution: { status: "failed" },
      },
    ]);
    await fail("t");
    expect(notices()).toHaveLength(1);
    await pingback.advance(60_000);
    await fail("t");
    expect(notices()).toHaveLength(2);
    expect((await pingback.call("GET", `${path}?jobId=${job}`)).json).toMatchObject([
      { lastFiredAt: "2026-01-01T00:01:00.000Z" },
    ]);
    await pingback.call("PATCH", `${path}/${made.json.id}`, { enabled: false });
    await pingback.advance(60_000);
    await fail("t");
    expect(notices()).toHaveLength(2);
    expect((await pingback.call("DELETE", `${path}/${made.json.id}`)).status).toBe(200);
    expect((await pingback.call("PATCH", `${path}/${made.json.id}`, {})).status).toBe(404);
  });

  test("fires for what takes too long, also when it succeeds, and for what runs late", async () => {
    await using pingback = await startPingback();
    await pingback.register([cron("tick", "* * * * *")]);
    const path = `projects/${await projectId(pingback)}/alerts`;
    await pingback.call("POST", path, { ...webhook, triggerType: "missed_run", triggerValue: 2 });
    await pingback.call("POST", path, { ...webhook, triggerType: "duration_exceeded", triggerValue: 1 });
    const texts = () =>
      pingback.dispatches().flatMap(({ url, body }) => (url === webhook.target ? [body.text] : []));
    await pingback.advance(MINUTE);
    expect(texts()).toEqual([]);
    pingback.app.clock.step(5 * MINUTE);
    await pingback.advance(1);
    expect(texts()).toEqual(['[Pingback] Job "tick" ran late']);
  });

  test("is refused without a rule that means something, and for mail", async () => {
    await using pingback = await startPingback();
    const path = `projects/${await projectId(pingback)}/alerts`;
    const rule = { ...webhook, triggerType: "consecutive_failures", triggerValue: 2 };
    const refused = async (change: object) =>
      (await pingback.call("POST", path, { ...rule, ...change })).status;
    expect(await refused({ channel: "email", target: "a@b.example" })).toBe(400);
    expect(await refused({ triggerValue: 0 })).toBe(400);
    expect(await refused({ triggerType: "mood" })).toBe(400);
    expect(await refused({ cooldownSeconds: 59 })).toBe(400);
    expect(await refused({ jobId: "nope" })).toBe(404);
    expect((await pingback.call("GET", path)).json).toEqual([] as never);
  });
});

test("A log message with half a character is stored like any other", async () => {
  await using pingback = await startPingback();
  await pingback.register([task("t")]);
  pingback.app.sendResults.push(sendResponse(200, JSON.stringify(done({ logs: [{ message: "x\ud800" }] }))));
  const id = await pingback.trigger("t");
  await pingback.settle();
  expect(await execution(pingback, id)).toMatchObject({ status: "success" });
});
