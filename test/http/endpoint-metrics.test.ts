import { describe, expect, test } from "bun:test";
import { KEYS, sendResponse, startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const ONE_TRY = { kind: "ladder", delaysMs: [], jitter: 0 } as const;
const OPTIONS: TestAppOptions = {
  endpoints: [
    { name: "app", retry: { kind: "ladder", delaysMs: [1_000], jitter: 0 } },
    { name: "other", retry: ONE_TRY },
  ],
  sources: [
    { name: "orders", to: ["app"] },
    { name: "notes", to: ["other"] },
  ],
};

interface Figures {
  readonly at: string;
  readonly attempts: { readonly total: number };
  readonly deliveries: { readonly created: number };
  readonly latencyMs: { readonly p99: number | null };
  readonly backlog: object;
}

/** The figures of an answer; that they have this shape, the schema check has judged. */
async function figures(app: TestApp, path: string): Promise<Figures> {
  return (await app.api(path)).json as unknown as Figures;
}

async function series(app: TestApp, path: string): Promise<readonly Figures[]> {
  return (await app.api(path)).json.data as unknown as readonly Figures[];
}

async function settle(app: TestApp): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await app.flush();
}

async function deliver(app: TestApp, status: number, source = "orders"): Promise<void> {
  app.sendResults.push(sendResponse(status));
  await app.ingest(source);
  await settle(app);
}

describe("The metrics of an endpoint", () => {
  test("count deliveries and attempts, and tell their rates and latencies", async () => {
    await using app = await startTestApp(OPTIONS);
    await deliver(app, 200);
    await deliver(app, 500);
    app.sendResults.push(sendResponse(503));
    app.clock.advance(1_000);
    await settle(app);
    const shown = await figures(app, "/endpoints/app/metrics?window=1h");
    expect(shown).toMatchObject({
      deliveries: { created: 2, succeeded: 1, dead: 1, cancelled: 0, discarded: 0, successRate: 0.5 },
      attempts: { total: 3, succeeded: 1, failed: 2, retries: 1, successRate: 1 / 3 },
      backlog: { count: 0, isMore: false, oldestDueAt: null },
      breaker: "closed",
      inFlight: 0,
    });
    expect(shown.latencyMs.p99).toBeNumber();
  });

  test("are rates of null, not of zero, where nothing happened", async () => {
    await using app = await startTestApp(OPTIONS);
    expect((await app.api("/endpoints/other/metrics")).json).toMatchObject({
      attempts: { total: 0, successRate: null },
      deliveries: { successRate: null },
      latencyMs: { average: null, p99: null, max: null },
    });
  });

  test("tell what waits, and since when", async () => {
    await using app = await startTestApp(OPTIONS);
    await app.api("/endpoints/app/pause", { method: "POST" });
    await app.ingest("orders");
    await app.ingest("orders");
    const { backlog } = await figures(app, "/endpoints/app/metrics");
    const oldestDueAt = new Date(app.clock.now()).toISOString();
    expect(backlog).toEqual({ count: 2, isMore: false, oldestDueAt });
  });

  test("leave out what was before the window", async () => {
    await using app = await startTestApp(OPTIONS);
    await deliver(app, 200);
    app.clock.advance(2 * 3_600_000);
    await settle(app);
    await deliver(app, 200);
    const created = async (window: string) =>
      (await figures(app, `/endpoints/app/metrics?window=${window}`)).deliveries.created;
    expect([await created("1h"), await created("24h"), await created("7d")]).toEqual([1, 2, 2]);
  });

  test("are found by name and by id, and not from another project", async () => {
    await using app = await startTestApp(OPTIONS);
    const { id } = (await app.api("/endpoints/app")).json;
    expect((await app.api(`/endpoints/${id}/metrics`)).status).toBe(200);
    expect((await app.api("/endpoints/app/metrics", { key: KEYS.other })).status).toBe(404);
  });

  test("of a whole project are the sum of its endpoints'", async () => {
    await using app = await startTestApp(OPTIONS);
    await deliver(app, 200);
    await deliver(app, 500, "notes");
    expect((await app.api("/metrics?window=5m")).json).toMatchObject({
      deliveries: { created: 2, succeeded: 1, dead: 1 },
      attempts: { total: 2 },
    });
    expect((await app.api("/metrics", { key: KEYS.other })).json).toMatchObject({ attempts: { total: 0 } });
  });
});

describe("The time series of an endpoint", () => {
  test("has a row for every minute of the last hour, the present one last", async () => {
    await using app = await startTestApp(OPTIONS);
    app.clock.advance(90_000);
    await deliver(app, 200);
    const data = await series(app, "/endpoints/app/timeseries");
    expect(data).toHaveLength(60);
    expect(data.at(-1)).toMatchObject({ at: "2026-01-01T00:01:00.000Z", attempts: { total: 1 } });
    expect(data.at(-2)).toMatchObject({ attempts: { total: 0 } });
  });

  test("adds up by the hour, too", async () => {
    await using app = await startTestApp(OPTIONS);
    await deliver(app, 200);
    app.clock.advance(61_000);
    await deliver(app, 200);
    const path = "/endpoints/app/timeseries?bucket=hour&from=2025-12-31T22:30:00Z&to=2026-01-01T01:00:00Z";
    const data = await series(app, path);
    expect(data.map(({ at, attempts }) => [at, attempts.total])).toEqual([
      ["2025-12-31T22:00:00.000Z", 0],
      ["2025-12-31T23:00:00.000Z", 0],
      ["2026-01-01T00:00:00.000Z", 2],
    ]);
  });

  test.each([
    ["from=2026-01-02&to=2026-01-01", "from"],
    ["from=2020-01-01", "from"],
    ["from=yesterday", "from"],
    ["bucket=second", "bucket"],
  ])("refuses %s", async (query, parameter) => {
    await using app = await startTestApp(OPTIONS);
    const { status, json } = await app.api(`/endpoints/app/timeseries?${query}`);
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ code: "invalid_request", details: { parameter } });
  });

  test("of a project sums its endpoints up", async () => {
    await using app = await startTestApp(OPTIONS);
    await deliver(app, 200);
    await deliver(app, 200, "notes");
    const data = await series(app, "/timeseries?bucket=hour");
    expect(data).toHaveLength(48);
    expect(data.at(-1)).toMatchObject({ attempts: { total: 2 } });
  });
});
