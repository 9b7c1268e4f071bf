import { describe, expect, test } from "bun:test";
import { KEYS, sendResponse, startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const ONE_TRY = { kind: "ladder", delaysMs: [], jitter: 0 } as const;
const OPTIONS: TestAppOptions = {
  endpoints: [
    { name: "app", retry: ONE_TRY },
    { name: "other", retry: ONE_TRY },
  ],
  sources: [
    { name: "orders", to: ["app"], eventType: { kind: "json", path: ["type"] } },
    { name: "notes", to: ["other"] },
  ],
};

async function settle(app: TestApp): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await app.flush();
}

/** An app with dead letters: of "app" two of type a with 500 and one of type b with 404, of "other" one. */
async function withDead(): Promise<TestApp & AsyncDisposable> {
  const app = await startTestApp(OPTIONS);
  const letters = [
    ["orders", "a", 500],
    ["orders", "a", 500],
    ["orders", "b", 404],
    ["notes", "c", 503],
  ] as const;
  for (const [source, type, status] of letters) {
    app.sendResults.push(sendResponse(status));
    await app.ingest(source, JSON.stringify({ type }));
    await settle(app);
  }
  return app as TestApp & AsyncDisposable;
}

const post = (app: TestApp, body: object, path = "/bulk") =>
  app.api(path, { method: "POST", body: JSON.stringify(body) });

async function countDead(app: TestApp): Promise<number> {
  return (await app.api("/deliveries?state=dead")).json.data.length;
}

describe("A dry run", () => {
  test("counts by endpoint, type and age, and changes nothing", async () => {
    await using app = await withDead();
    app.clock.advance(3_700_000);
    const { json } = await post(app, { action: "replay", dryRun: true });
    expect(json).toMatchObject({
      dryRun: true,
      count: 4,
      isComplete: true,
      byEndpoint: [
        { endpoint: "app", count: 3 },
        { endpoint: "other", count: 1 },
      ],
      byType: [
        { type: "a", count: 2 },
        { type: "b", count: 1 },
        { type: null, count: 1 },
      ],
      byAge: [{ upToMs: 86_400_000, count: 4 }],
    });
    expect((await app.api("/bulk")).json.data).toEqual([]);
    expect(await countDead(app)).toBe(4);
  });

  test.each<[object, number]>([
    [{ endpoint: "app" }, 3],
    [{ source: "notes" }, 1],
    [{ type: "a" }, 2],
    [{ type: "*" }, 4],
    [{ type: "b*" }, 1],
    [{ status: 503 }, 1],
    [{ error: "http 50" }, 3],
    [{ error: "404", endpoint: "other" }, 0],
    [{ since: "2026-01-01T00:00:00Z" }, 4],
    [{ until: "2026-01-01T00:00:00Z" }, 0],
    [{ tenant: "acme" }, 0],
    [{ state: ["dead", "cancelled"] }, 4],
    [{ state: "succeeded" }, 0],
  ])("of %j counts %p", async (filter, count) => {
    await using app = await withDead();
    expect((await post(app, { action: "replay", filter, dryRun: true })).json).toMatchObject({ count });
  });

  test("sees its own project only", async () => {
    await using app = await withDead();
    const body = JSON.stringify({ action: "discard", dryRun: true });
    const { json } = await app.api("/bulk", { method: "POST", body, key: KEYS.other });
    expect(json).toMatchObject({ count: 0 });
  });
});

describe("A bulk operation", () => {
  test("does what it says to what matches, and shows how far it is", async () => {
    await using app = await withDead();
    const begun = await post(app, { action: "replay", filter: { endpoint: "app", type: "a" } });
    expect(begun.json).toMatchObject({
      action: "replay",
      state: "running",
      filter: { state: ["dead"], endpoint: "app", type: "a", status: null },
      rate: null,
    });
    await settle(app);
    expect((await app.api(`/bulk/${begun.json.id}`)).json).toMatchObject({
      state: "done",
      changed: 2,
      skipped: 0,
      progress: 1,
    });
    expect(await countDead(app)).toBe(2);
    expect((await app.api("/bulk")).json.data).toMatchObject([{ id: begun.json.id }]);
  });

  test("is paused, resumed and cancelled", async () => {
    await using app = await withDead();
    const { json } = await post(app, { action: "replay", rate: 0.01 });
    await settle(app);
    const change = async (verb: string) => post(app, {}, `/bulk/${json.id}/${verb}`);
    expect((await change("pause")).json).toMatchObject({ state: "paused", changed: 1 });
    expect((await change("resume")).json.state).toBe("running");
    expect((await change("cancel")).json.state).toBe("cancelled");
    const again = await change("resume");
    expect([again.status, again.json.error]).toEqual([
      409,
      expect.objectContaining({ code: "invalid_state" }),
    ]);
    expect(await countDead(app)).toBe(3);
  });

  test("is another project's business only there", async () => {
    await using app = await withDead();
    const { json } = await post(app, { action: "replay", rate: 0.01 });
    expect((await app.api(`/bulk/${json.id}`, { key: KEYS.other })).status).toBe(404);
    expect((await app.api("/bulk", { key: KEYS.other })).json.data).toEqual([]);
  });

  test("needs an admin key", async () => {
    await using app = await withDead();
    const body = JSON.stringify({ action: "discard" });
    expect((await app.api("/bulk", { method: "POST", body, key: KEYS.read })).status).toBe(403);
    expect(await countDead(app)).toBe(4);
  });

  test.each<[object, string]>([
    [{ action: "explode" }, "action"],
    [{}, "action"],
    [{ action: "replay", filter: { state: "sending" } }, "sending"],
    [{ action: "retry", filter: { state: ["retrying", "dead"] } }, "dead"],
    [{ action: "replay", filter: { endpoint: "nowhere" } }, "endpoint"],
    [{ action: "replay", filter: { since: "lately" } }, "since"],
    [{ action: "replay", filter: { error: "" } }, "error"],
    [{ action: "replay", filter: { colour: "red" } }, "colour"],
    [{ action: "replay", rate: 0 }, "rate"],
    [{ action: "discard", asNew: true }, "asNew"],
  ])("%j is refused and changes nothing", async (body, word) => {
    await using app = await withDead();
    const { status, json } = await post(app, body);
    expect(status).toBe(400);
    expect(JSON.stringify(json.error)).toContain(word);
    expect((await app.api("/bulk")).json.data).toEqual([]);
  });
});

describe("One dead letter", () => {
  test("is replayed as a copy with an id of its own", async () => {
    await using app = await withDead();
    const [dead] = (await app.api("/deliveries?state=dead&endpoint=app")).json.data;
    const { json } = await post(app, { asNew: true }, `/deliveries/${dead?.id}/replay`);
    expect(json.id).not.toBe(dead?.id ?? "");
    await settle(app);
    expect((await app.api(`/deliveries/${json.id}`)).json).toMatchObject({
      state: "succeeded",
      endpoint: "app",
    });
    expect((await app.api(`/deliveries/${dead?.id}`)).json.state).toBe("dead");
    const headers = app.sent.at(-1)?.headers;
    expect(headers?.get("webhook-id")).toContain(json.id.replace("dlv_", ""));
  });

  test("that is not finished cannot be copied", async () => {
    await using app = await startTestApp(OPTIONS);
    await app.api("/endpoints/app/pause", { method: "POST" });
    await app.ingest("orders");
    const [held] = (await app.api("/deliveries")).json.data;
    const { status } = await post(app, { asNew: true }, `/deliveries/${held?.id}/replay`);
    expect(status).toBe(409);
  });
});
