import { describe, expect, test } from "bun:test";
import { DAY, HOUR, MINUTE } from "../../src/domain/duration.ts";
import { declareSchedule } from "../support/engine.ts";
import { KEYS, startTestApp, type TestApp } from "../support/test-app.ts";

const NIGHTLY = { name: "nightly", endpoint: "app", cron: "0 3 * * *", timezone: "Europe/Berlin" };

function send(app: TestApp, method: string, path: string, body: object = {}) {
  return app.api(path, { method, body: JSON.stringify(body) });
}

/** Lets everything happen that is due. */
async function advance(app: TestApp, byMs: number): Promise<void> {
  app.clock.advance(byMs);
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
}

test("a schedule is made, shown with its next runs, changed and deleted", async () => {
  await using app = await startTestApp();
  const made = await send(app, "POST", "/schedules", { ...NIGHTLY, json: { kind: "nightly" } });
  expect(made.status).toBe(200);
  expect(made.json).toMatchObject({
    name: "nightly",
    door: "native",
    state: "active",
    missed: "once",
    overlap: "skip",
    nextRunAt: "2026-01-01T02:00:00.000Z",
    body: '{"kind":"nightly"}',
    headers: { "content-type": "application/json" },
  });
  const shown = await app.api("/schedules/nightly");
  expect(shown.json).toEqual((await app.api(`/schedules/${made.json.id}`)).json);
  expect(shown.json).toMatchObject({ nextRuns: { length: 5 } });
  const changed = await send(app, "PATCH", "/schedules/nightly", { every: "15m", missed: "all" });
  expect(changed.json).toMatchObject({
    timing: { every: "15m", timezone: "Europe/Berlin" },
    missed: "all",
    missedMax: 100,
    nextRunAt: "2026-01-01T00:15:00.000Z",
    body: '{"kind":"nightly"}',
  });
  expect((await app.api("/schedules")).json.data).toMatchObject([{ name: "nightly" }]);
  expect((await send(app, "DELETE", "/schedules/nightly")).json).toMatchObject({ state: "retired" });
  expect((await app.api("/schedules/nightly")).status).toBe(404);
  expect((await app.api("/schedules")).json.data).toEqual([]);
});

test("json is kept as it was written, when a schedule is made and when it is changed", async () => {
  await using app = await startTestApp();
  const words = JSON.stringify(NIGHTLY).slice(0, -1);
  const json = '{ "id": 9007199254740993, "rate": 1.0 }';
  const made = await app.api("/schedules", { method: "POST", body: `${words}, "json": ${json} }` });
  expect(made.json).toMatchObject({ body: json });
  const path = "/schedules/nightly";
  const other = "[12345678901234567890]";
  const changed = await app.api(path, { method: "PATCH", body: `{"json":${other}}` });
  expect(changed.json).toMatchObject({ body: other, headers: { "content-type": "application/json" } });
  await send(app, "POST", `${path}/run`);
  await advance(app, 0);
  expect(Buffer.from(app.sent.at(-1)?.body ?? []).toString()).toBe(other);
  const twice = await app.api(path, { method: "PATCH", body: '{"json":1,"json":2}' });
  expect(twice.status).toBe(400);
});

test("a schedule whose stored times cannot be read any more says why it has ended", async () => {
  await using app = await startTestApp();
  await send(app, "POST", "/schedules", NIGHTLY);
  expect((await app.api("/schedules/nightly")).json).toMatchObject({ problem: null });
  const [stored] = (await app.store.listSchedules({ project: "default" })).data;
  if (!stored) throw new Error("there is no schedule");
  const { id, project, name, missed, overlap, activeMax, endpoint, content } = stored;
  const timing = { cron: "0 3 * * *", timezone: "Europe/Atlantis" };
  const definition = { project, name, timing, missed, overlap, activeMax, endpoint, content };
  await app.store.putSchedule({ id, door: "native", definition, timing: null, now: app.clock.now() });
  app.clock.step(DAY);
  await advance(app, 0);
  expect((await app.api("/schedules/nightly")).json).toMatchObject({
    state: "ended",
    problem: 'timezone: "Europe/Atlantis" is no IANA time zone such as Europe/Berlin',
    nextRuns: [],
  });
});

test("a change leaves what it does not name, and null takes away what may be absent", async () => {
  await using app = await startTestApp();
  const start = "2026-02-01T00:00:00Z";
  const bounds = { start, end: "2026-03-01T00:00:00Z", jitter: "5m", concurrency: 3 };
  const headers = { "X-Kind": "a" };
  await send(app, "POST", "/schedules", { ...NIGHTLY, ...bounds, headers, json: { n: 1 } });
  const path = "/schedules/nightly";
  const one = await send(app, "PATCH", path, { jitter: null, concurrency: null });
  expect(one.json).toMatchObject({ concurrency: null, timing: { start, cron: "0 3 * * *" } });
  expect(one.json).not.toHaveProperty("timing.jitter");
  const two = await send(app, "PATCH", path, { start: null, end: null });
  expect(two.json).toMatchObject({
    timing: { cron: "0 3 * * *", timezone: "Europe/Berlin" },
    nextRunAt: "2026-01-01T02:00:00.000Z",
    body: '{"n":1}',
    headers: { "content-type": "application/json", "x-kind": "a" },
  });
  const three = await send(app, "PATCH", path, { body: "text" });
  expect(three.json).toMatchObject({
    body: "text",
    headers: { "content-type": "text/plain; charset=utf-8", "x-kind": "a" },
  });
  const four = await send(app, "PATCH", path, { headers: { "X-Kind": "b" } });
  expect(four.json).toMatchObject({
    body: "text",
    headers: { "content-type": "text/plain; charset=utf-8", "x-kind": "b" },
  });
  const wrong = await send(app, "PATCH", path, { cron: null });
  expect(wrong.status).toBe(400);
});

test("runs, skips and the deliveries of a schedule are there to see", async () => {
  await using app = await startTestApp();
  await send(app, "POST", "/schedules", { name: "beat", endpoint: "app", every: "1m" });
  await advance(app, MINUTE);
  await advance(app, MINUTE);
  expect((await app.api("/schedules/beat")).json).toMatchObject({
    runCount: 2,
    skippedCount: 0,
    lastRunAt: "2026-01-01T00:02:00.000Z",
  });
  const history = await app.api("/schedules/beat/deliveries?limit=1");
  expect(history.json.data).toMatchObject([
    { schedule: "beat", state: "succeeded", scheduledAt: "2026-01-01T00:02:00.000Z" },
  ]);
  expect(history.json.nextCursor).not.toBeNull();
});

test("how late runs were and why others were skipped is in the schedule and in the metrics", async () => {
  await using app = await startTestApp();
  await send(app, "POST", "/schedules", { name: "beat", endpoint: "app", every: "1m" });
  expect((await app.api("/schedules/beat")).json).toMatchObject({ late: null, skips: {} });
  app.clock.step(5 * MINUTE + 250);
  await advance(app, 0);
  expect((await app.api("/schedules/beat")).json).toMatchObject({
    runCount: 1,
    skippedCount: 4,
    skips: { missed: 4 },
    late: { lastMs: 4 * MINUTE + 250, mostMs: 4 * MINUTE + 250 },
  });
  await advance(app, MINUTE - 250);
  expect((await app.api("/schedules/beat")).json).toMatchObject({
    late: { lastMs: 0, mostMs: 4 * MINUTE + 250 },
  });
  const text = await (await app.request("/metrics", { role: "metrics" })).text();
  for (const line of [
    'postern_schedule_runs_total{project="default"} 2',
    'postern_schedule_runs_skipped_total{project="default",reason="missed"} 4',
    'postern_schedule_lateness_seconds_bucket{project="default",le="0.001"} 1',
    'postern_schedule_lateness_seconds_bucket{project="default",le="600"} 2',
    'postern_schedule_lateness_seconds_sum{project="default"} 240.25',
    'postern_schedule_lateness_seconds_count{project="default"} 2',
  ]) {
    expect(text.split("\n")).toContain(line);
  }
});

test("a schedule is paused, resumed from now, and run on demand", async () => {
  await using app = await startTestApp({ schedules: [declareSchedule({ name: "beat" })] });
  expect((await send(app, "POST", "/schedules/beat/pause")).json).toMatchObject({
    state: "paused",
    nextRunAt: null,
  });
  await advance(app, 90_000);
  expect((await send(app, "POST", "/schedules/beat/resume")).json).toMatchObject({
    state: "active",
    nextRunAt: "2026-01-01T00:02:00.000Z",
  });
  expect((await send(app, "POST", "/schedules/beat/run")).json).toMatchObject({
    schedule: "beat",
    scheduledAt: "2026-01-01T00:01:30.000Z",
  });
  await advance(app, 0);
  expect(app.sent.length).toBe(1);
});

test("what the file declares is not changed through the API", async () => {
  await using app = await startTestApp({ schedules: [declareSchedule({ name: "beat" })] });
  for (const method of ["PATCH", "DELETE"]) {
    const { status, json } = await send(app, method, "/schedules/beat");
    expect([status, json.error]).toMatchObject([409, { code: "declared_in_config" }]);
  }
  const again = await send(app, "POST", "/schedules", { ...NIGHTLY, name: "beat" });
  expect(again.json.error).toMatchObject({ code: "conflict" });
});

test("schedules of another project are not found, and a read key cannot make any", async () => {
  await using app = await startTestApp();
  await send(app, "POST", "/schedules", NIGHTLY);
  expect((await app.api("/schedules/nightly", { key: KEYS.other })).status).toBe(404);
  expect((await app.api("/schedules", { key: KEYS.other })).json.data).toEqual([]);
  const body = JSON.stringify(NIGHTLY);
  expect((await app.api("/schedules", { method: "POST", key: KEYS.read, body })).status).toBe(403);
});

test.each([
  [{ cron: "61 * * * *" }, "cron: "],
  [{ every: "15m" }, "every: stands beside cron"],
  [{ timezone: "Europe/Atlantis" }, "timezone: "],
  [{ endpoint: "nowhere" }, 'there is no endpoint "nowhere"'],
  [{ cron: undefined, at: "2025-01-01T00:00:00Z" }, "no run in the future"],
  [{ body: "a", json: 1 }, "give body or json"],
  [{ headers: { Authorization: "Bearer x" } }, "belongs in the endpoint's headers"],
  [{ missedMax: 3 }, "missedMax"],
  [{ name: "preview" }, "name: "],
] as const)("a schedule with %p is refused", async (change, problem) => {
  await using app = await startTestApp();
  const { status, json } = await send(app, "POST", "/schedules", { ...NIGHTLY, ...change });
  expect(status).toBe(400);
  expect(json.error).toMatchObject({ message: expect.stringContaining(problem) });
});

test("a preview shows local times, offsets and what DST does, both ways", async () => {
  await using app = await startTestApp();
  const words = { cron: "30 2 * * *", timezone: "Europe/Berlin", from: "2026-03-29", count: 1 };
  const query = new URLSearchParams({ ...words, count: "1" });
  const asked = await app.api(`/schedules/preview?${query}`);
  expect(asked.json).toMatchObject({
    timezone: "Europe/Berlin",
    runs: [
      {
        at: "2026-03-29T01:00:00.000Z",
        local: "2026-03-29T03:00:00",
        offset: "+02:00",
        note: "gap: moved from 02:30",
      },
    ],
  });
  expect((await send(app, "POST", "/schedules/preview", words)).json).toEqual(asked.json);
});

describe("One-off deliveries", () => {
  test.each([
    [{}, "2026-01-01T00:00:00.000Z"],
    [{ delay: "1h30m" }, "2026-01-01T01:30:00.000Z"],
    [{ delay: 90 }, "2026-01-01T00:01:30.000Z"],
    [{ at: "2026-01-02T00:00:00+01:00" }, "2026-01-01T23:00:00.000Z"],
    [{ at: "2026-03-29T02:30:00", timezone: "Europe/Berlin" }, "2026-03-29T01:00:00.000Z"],
    [{ at: "2020-01-01T00:00:00Z" }, "2026-01-01T00:00:00.000Z"],
  ])("with %p are scheduled for %s", async (due, scheduledAt) => {
    await using app = await startTestApp();
    const { status, json } = await send(app, "POST", "/deliveries", { endpoint: "app", body: "x", ...due });
    expect([status, json]).toMatchObject([200, { scheduledAt, eventId: null, endpoint: "app" }]);
  });

  test("go out when they are due, not before, with body and headers", async () => {
    await using app = await startTestApp();
    const headers = { "X-Kind": "reminder" };
    await send(app, "POST", "/deliveries", { endpoint: "app", json: { n: 1 }, headers, delay: "1h" });
    await advance(app, HOUR - 1);
    expect(app.sent.length).toBe(0);
    await advance(app, 1);
    expect(app.sent.length).toBe(1);
    expect(app.sent[0]?.headers.get("x-kind")).toBe("reminder");
    expect(Buffer.from(app.sent[0]?.body ?? []).toString()).toBe('{"n":1}');
  });

  test("can be put off, brought forward and cancelled", async () => {
    await using app = await startTestApp();
    const { json } = await send(app, "POST", "/deliveries", { endpoint: "app", delay: "1h" });
    const path = `/deliveries/${json.id}`;
    expect((await send(app, "PATCH", path, { delay: "2h" })).json).toMatchObject({
      dueAt: "2026-01-01T02:00:00.000Z",
    });
    await advance(app, HOUR);
    expect(app.sent.length).toBe(0);
    await send(app, "PATCH", path, { at: "2026-01-01T01:30:00Z" });
    await advance(app, 30 * MINUTE);
    expect(app.sent.length).toBe(1);
    expect((await send(app, "PATCH", path, { delay: 1 })).json.error).toMatchObject({
      code: "invalid_state",
    });
    const other = await send(app, "POST", "/deliveries", { endpoint: "app", delay: "1h" });
    await send(app, "POST", `/deliveries/${other.json.id}/cancel`);
    await advance(app, 2 * HOUR);
    expect(app.sent.length).toBe(1);
  });

  test("can be sent at once, and then not again when they were due", async () => {
    await using app = await startTestApp();
    const { json } = await send(app, "POST", "/deliveries", { endpoint: "app", delay: "1h" });
    expect((await send(app, "POST", `/deliveries/${json.id}/retry`)).status).toBe(200);
    await advance(app, 0);
    expect(app.sent.length).toBe(1);
    await advance(app, 2 * HOUR);
    expect(app.sent.length).toBe(1);
  });

  test.each([
    [{ delay: "soon" }, "delay: "],
    [{ delay: "1h", at: "2027-01-01T00:00:00Z" }, "not both"],
    [{ at: "tomorrow" }, "at: "],
    [{ at: "2027-01-01T00:00:00", timezone: "Nowhere" }, "timezone: "],
    [{ endpoint: "nowhere" }, "there is no endpoint"],
  ])("with %p are refused", async (change, problem) => {
    await using app = await startTestApp();
    const { status, json } = await send(app, "POST", "/deliveries", { endpoint: "app", ...change });
    expect([status, JSON.stringify(json.error)]).toEqual([400, expect.stringContaining(problem)]);
  });
});
