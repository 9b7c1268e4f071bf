import { describe, expect, test } from "bun:test";
import { KEYS, startTestApp, type TestApp } from "../support/test-app.ts";

const SOURCES = [
  { name: "pulled", mode: "pull", eventType: { kind: "json", path: ["type"] } },
  { name: "other-pulled", mode: "pull" },
  { name: "orders", to: ["app"] },
] as const;

const start = () => startTestApp({ sources: SOURCES });

const post = (app: TestApp, path: string, body?: object, key: string = KEYS.admin) =>
  app.api(path, { method: "POST", key, ...(body ? { body: JSON.stringify(body) } : {}) });

const idsOf = ({ json }: Awaited<ReturnType<typeof post>>) => json.data.map(({ id }) => id);

describe("a source in pull mode", () => {
  test("keeps its events, oldest first, until they are fetched and acknowledged", async () => {
    await using app = await start();
    const events = [await app.ingest("pulled", '{"type":"a"}\n'), await app.ingest("pulled", "b")];
    const peeked = await app.api("/sources/pulled/stored");
    const fetched = await post(app, "/sources/pulled/fetch");
    expect(fetched.json.data).toMatchObject([
      { eventId: events[0], type: "a", state: "fetched", body: '{"type":"a"}\n', bodyEncoding: "text" },
      { eventId: events[1], type: null, state: "fetched", body: "b" },
    ]);
    expect(idsOf(peeked)).toEqual(idsOf(fetched));
    expect(await post(app, "/sources/pulled/ack", { ids: idsOf(fetched) })).toMatchObject({
      status: 200,
      json: { acknowledged: 2 },
    });
    expect((await app.api("/sources/pulled/stored?state=fetched")).json.data).toEqual([]);
    expect((await app.api(`/deliveries/${idsOf(fetched)[0]}`)).json.state).toBe("succeeded");
  });

  test("hands out each event once, and again only to who asks for what was not acknowledged", async () => {
    await using app = await start();
    for (const body of ["1", "2", "3"]) await app.ingest("pulled", body);
    const first = await post(app, "/sources/pulled/fetch", { limit: 2 });
    const second = await post(app, "/sources/pulled/fetch", { limit: 2 });
    expect([idsOf(first).length, idsOf(second).length]).toEqual([2, 1]);
    expect(idsOf(await post(app, "/sources/pulled/fetch"))).toEqual([]);
    const again = await post(app, "/sources/pulled/fetch", { state: "fetched" });
    expect(idsOf(again)).toEqual([...idsOf(first), ...idsOf(second)]);
  });

  test("takes an acknowledgement twice, and counts it once", async () => {
    await using app = await start();
    await app.ingest("pulled");
    const ids = idsOf(await post(app, "/sources/pulled/fetch"));
    await post(app, "/sources/pulled/ack", { ids });
    expect((await post(app, "/sources/pulled/ack", { ids })).json).toMatchObject({ acknowledged: 0 });
  });

  test("takes no acknowledgement of what is not its own, and changes nothing then", async () => {
    await using app = await start();
    await app.ingest("pulled");
    await app.ingest("other-pulled");
    const own = idsOf(await post(app, "/sources/pulled/fetch"));
    const foreign = idsOf(await post(app, "/sources/other-pulled/fetch"));
    expect((await post(app, "/sources/pulled/ack", { ids: [...own, ...foreign] })).status).toBe(404);
    expect((await app.api(`/deliveries/${own[0]}`)).json.state).toBe("fetched");
  });

  test("is shown as one", async () => {
    await using app = await start();
    expect((await app.api("/sources/pulled")).json).toMatchObject({ mode: "pull", to: [] });
    expect((await app.api("/sources/orders")).json).toMatchObject({
      mode: "forward",
      to: [{ kind: "endpoint", name: "app", when: null }],
    });
  });
});

describe("fetching is refused", () => {
  interface Refused {
    readonly what: string;
    readonly path?: string;
    readonly body?: object;
    readonly key?: string;
    readonly status: number;
  }

  test.each<Refused>([
    { what: "from a source that forwards", path: "/sources/orders/fetch", status: 409 },
    { what: "from an unknown source", path: "/sources/nobody/fetch", status: 404 },
    { what: "from a source of another project", key: KEYS.other, status: 404 },
    { what: "with a key for reading", key: KEYS.read, status: 403 },
    { what: "with a limit of none", body: { limit: 0 }, status: 400 },
    { what: "with an unknown member", body: { count: 1 }, status: 400 },
    {
      what: "for an acknowledgement of nothing",
      path: "/sources/pulled/ack",
      body: { ids: [] },
      status: 400,
    },
    { what: "for an acknowledgement without ids", path: "/sources/pulled/ack", status: 400 },
    { what: "for another kind of id", path: "/sources/pulled/ack", body: { ids: ["evt_1"] }, status: 400 },
  ])("$what", async ({ path = "/sources/pulled/fetch", body, key, status }) => {
    await using app = await start();
    expect((await post(app, path, body, key)).status).toBe(status);
  });

  test("not for looking, which changes nothing", async () => {
    await using app = await start();
    await app.ingest("pulled");
    const look = () => app.api("/sources/pulled/stored", { key: KEYS.read });
    expect((await look()).json.data).toHaveLength(1);
    expect((await look()).json.data).toMatchObject([{ state: "stored" }]);
  });
});
