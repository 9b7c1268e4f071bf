/**
 * Registration: conformance checks 2 to 12 of pingback.md section 12, and its requirements 1, 3, 5 and 16.
 */
import { expect, test } from "bun:test";
import { type PingbackApp, startPingback } from "./support.ts";

const A = { name: "a", type: "cron", schedule: "0 3 * * *", options: {} };
const B = { name: "b", type: "task", options: { concurrency: 1 } };

async function jobs(pingback: PingbackApp) {
  const all = await pingback.app.engine.functions.list("default");
  return new Map(all.map((one) => [one.name, one]));
}

test("Check 2: a registration answers exactly 201, its jobs in the order of the request", async () => {
  await using pingback = await startPingback();
  const { status, headers, json } = await pingback.register([B, A]);
  expect(status).toBe(201);
  expect(headers.get("content-type")).toContain("application/json");
  expect(json).toEqual({
    jobs: [
      { name: "b", status: "active" },
      { name: "a", status: "active" },
    ],
  } as never);
});

test("Check 3: the same registration again changes no id and no next run", async () => {
  await using pingback = await startPingback();
  await pingback.register([A, B]);
  const before = await jobs(pingback);
  await pingback.advance(1_000);
  await pingback.register([B, A]);
  const after = await jobs(pingback);
  expect([...after.keys()]).toEqual(["a", "b"]);
  for (const [name, { id, nextRunAt }] of before) expect(after.get(name)).toMatchObject({ id, nextRunAt });
  expect(before.get("a")?.nextRunAt).toBe(Date.UTC(2026, 0, 1, 3));
});

test("Check 4: a function that is missing becomes inactive, and comes back with its id", async () => {
  await using pingback = await startPingback();
  await pingback.register([A, B]);
  const { id } = (await jobs(pingback)).get("b") ?? {};
  await pingback.register([A]);
  expect((await jobs(pingback)).get("b")).toMatchObject({ id, status: "inactive" });
  expect((await pingback.call("POST", "trigger", { task: "b" })).status).toBe(404);
  await pingback.register([A, B]);
  expect((await jobs(pingback)).get("b")).toMatchObject({ id, status: "active" });
});

test("A registration at a private address that no rule allows is refused and changes nothing", async () => {
  await using pingback = await startPingback();
  await pingback.register([A]);
  for (const endpoint_url of ["http://10.1.2.3/api/pingback", "http://private.test/api/pingback"]) {
    const { status, json } = await pingback.register([B], { endpoint_url });
    expect(status).toBe(422);
    expect(json).toMatchObject({ statusCode: 422, error: "Unprocessable Entity" } as never);
  }
  expect([...(await jobs(pingback)).keys()]).toEqual(["a"]);
  expect((await pingback.register([A], { endpoint_url: "http://127.0.0.1:3000/p" })).status).toBe(201);
});

test("An empty registration deactivates every function of an SDK", async () => {
  await using pingback = await startPingback();
  await pingback.register([A, B]);
  expect((await pingback.register([])).json).toEqual({ jobs: [] } as never);
  expect([...(await jobs(pingback)).values()].map(({ status }) => status)).toEqual(["inactive", "inactive"]);
  await pingback.advance(86_400_000);
  expect(pingback.dispatches()).toEqual([]);
});

test.each([
  "60 * * * *",
  "@annually",
  "H * * * *",
  "",
  "* * * *",
  "0 0 30 2 *",
  "0 0 15W * *",
  "22-2 * * * *",
])("Check 6: the cron %j is refused, names its function, and changes nothing", async (schedule) => {
  await using pingback = await startPingback();
  await pingback.register([A], { endpoint_url: "https://one.example/x" });
  const bad = { name: "broken", type: "cron", schedule };
  const { status, json } = await pingback.register([B, bad], { endpoint_url: "https://two.example/x" });
  expect({ status, json }).toEqual({
    status: 400,
    json: {
      message: `Invalid cron expression for "broken": ${schedule}`,
      error: "Bad Request",
      statusCode: 400,
    } as never,
  });
  expect([...(await jobs(pingback)).keys()]).toEqual(["a"]);
  expect(pingback.app.engine.functions.host("default")?.endpointUrl).toBe("https://one.example/x");
});

test.each([
  "@every 15m",
  "0 0 L * *",
  "*/10 * * * * *",
  "0 0 * * 1#2",
  "@hourly",
])("The cron expression %j is taken", async (schedule) => {
  await using pingback = await startPingback();
  expect((await pingback.register([{ ...A, schedule }])).status).toBe(201);
  expect((await jobs(pingback)).get("a")?.nextRunAt).toBeNumber();
});

test("Check 7: retries as a string are refused; absent options mean the defaults", async () => {
  await using pingback = await startPingback();
  const refused = await pingback.register([{ ...A, options: { retries: "3" } }]);
  expect(refused.status).toBe(400);
  expect(refused.json).toMatchObject({
    message: ["functions.0.options.retries must be an integer not less than 0"],
  });
  await pingback.register([{ ...A, options: { retries: 5, timeout: "5m", concurrency: 3 } }]);
  expect((await jobs(pingback)).get("a")).toMatchObject({ retries: 5, timeoutMs: 300_000, concurrency: 3 });
  await pingback.register([{ ...A, options: {} }]);
  expect((await jobs(pingback)).get("a")).toMatchObject({ retries: 0, timeoutMs: 30_000, concurrency: 1 });
});

test("Check 8: keys and projects that do not fit are refused in the product's words", async () => {
  await using pingback = await startPingback();
  const wrong = (key: string) => pingback.call("POST", "register", { functions: [] }, key);
  expect(await wrong("nonsense")).toMatchObject({ status: 401, json: { message: "Invalid API key format" } });
  const unknown = `pb_live_${"0".repeat(64)}`;
  expect(await wrong(unknown)).toMatchObject({ status: 401, json: { message: "Invalid API key" } });
  const none = await pingback.app.request("/api/v1/register", { method: "POST", body: "{}" });
  expect([none.status, await none.json()]).toEqual([401, { message: "Unauthorized", statusCode: 401 }]);
  const other = { project_id: "00000000-0000-4000-8000-000000000001" };
  expect((await pingback.register([A], other)).status).toBe(403);
  expect((await jobs(pingback)).size).toBe(0);
});

test.each([
  ["5m", 300_000],
  ["1m30s", 90_000],
  ["45", 45_000],
  ["500ms", 1_000],
  ["", 30_000],
  ["1h", 3_600_000],
])("Check 9: the timeout %j is %i milliseconds", async (timeout, timeoutMs) => {
  await using pingback = await startPingback();
  await pingback.register([{ ...B, options: { timeout } }]);
  expect((await jobs(pingback)).get("b")).toMatchObject({ timeoutMs });
});

test.each(["abc", "0s", "2h", "-5s"])("Check 9: the timeout %j is refused", async (timeout) => {
  await using pingback = await startPingback();
  const { status, json } = await pingback.register([{ ...B, options: { timeout } }]);
  expect(status).toBe(400);
  expect(String(json.message)).toContain('"b"');
});

test("Check 10: a platform URL with a trailing slash works, and nothing redirects", async () => {
  await using pingback = await startPingback();
  const request = { method: "POST", key: "key-admin", body: JSON.stringify({ functions: [A] }) };
  expect((await pingback.app.request("//api/v1/register", request)).status).toBe(201);
  expect((await pingback.app.request("/api/v1/register/", request)).status).toBe(201);
});

test("Check 11: an endpoint URL is kept byte for byte; an absent one changes nothing", async () => {
  await using pingback = await startPingback();
  const url = "HTTPS://App.example/a b?x=%7e";
  await pingback.register([A], { endpoint_url: url });
  expect(pingback.app.engine.functions.host("default")?.endpointUrl).toBe(url);
  await pingback.register([A]);
  expect(pingback.app.engine.functions.host("default")?.endpointUrl).toBe(url);
});

test("A pinned endpoint URL is not replaced by a registration", async () => {
  await using pingback = await startPingback({}, { isPinned: true });
  await pingback.register([A], { endpoint_url: "https://elsewhere.example/x" });
  const host = pingback.app.engine.functions.host("default");
  expect(host?.endpointUrl).toBe("https://app.example/api/pingback");
});

test("Check 12: a paused function stays paused when its application registers again", async () => {
  await using pingback = await startPingback();
  await pingback.register([A]);
  const { functions } = pingback.app.engine;
  await functions.change(await functions.findNamed("default", "a"), { isPaused: true });
  expect((await pingback.register([A])).json).toEqual({ jobs: [{ name: "a", status: "paused" }] } as never);
  await pingback.advance(2 * 86_400_000);
  expect(pingback.dispatches()).toEqual([]);
});

test("Requirement 16: unknown keys and half-empty options are taken, wrong shapes not", async () => {
  await using pingback = await startPingback();
  const odd = { extra: 1, options: { concurrency: 1, colour: "red" }, type: "task", name: "odd" };
  expect((await pingback.register([odd], { sdk: "x" })).status).toBe(201);
  for (const body of ["nonsense", "[]", "null", '{"functions":{}}', '{"functions":[1]}']) {
    expect((await pingback.call("POST", "register", body)).status).toBe(400);
  }
  expect((await pingback.register([{ name: "", type: "task" }])).status).toBe(400);
  expect((await pingback.register([{ name: "x", type: "queue" }])).status).toBe(400);
  expect([...(await jobs(pingback)).keys()]).toEqual(["odd"]);
});

test("Of two entries of one name the last one counts", async () => {
  await using pingback = await startPingback();
  await pingback.register([B, { ...B, options: { retries: 4 } }]);
  expect((await jobs(pingback)).get("b")).toMatchObject({ retries: 4 });
});

test("A cron that becomes a task has no next run", async () => {
  await using pingback = await startPingback();
  await pingback.register([A]);
  await pingback.register([{ name: "a", type: "task" }]);
  expect((await jobs(pingback)).get("a")).toMatchObject({ kind: "task", schedule: null, nextRunAt: null });
  await pingback.register([{ ...A, schedule: "0 4 * * *" }]);
  expect((await jobs(pingback)).get("a")?.nextRunAt).toBe(Date.UTC(2026, 0, 1, 4));
});

test("A time zone of the project moves the runs of its functions, also when it changes", async () => {
  await using pingback = await startPingback({}, { timezone: "Europe/Berlin" });
  await pingback.register([A]);
  expect((await jobs(pingback)).get("a")?.nextRunAt).toBe(Date.UTC(2026, 0, 1, 2));
});

test("A body over the limit is refused with 413 in the product's envelope", async () => {
  await using pingback = await startPingback();
  const body = JSON.stringify({ functions: [], pad: "x".repeat(1_100_000) });
  expect(await pingback.call("POST", "register", body)).toMatchObject({
    status: 413,
    json: { statusCode: 413, error: "Payload Too Large" },
  });
});
