/** The virtual clock as its users meet it: the whole program, real receivers, time moved by the API. */
import { describe, expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import { startTestApp } from "../support/test-app.ts";
import { startVirtualServer, VIRTUAL_START } from "../support/virtual-server.ts";

const HOUR_MS = 3_600_000;

const DOWN_FOR_THREE_DAYS = { to: "2026-03-31T00:00:00Z" };

function configFor(...urls: string[]): string {
  const endpoints = urls.map(
    (url, index) => `
      [[endpoint]]
      name = "app-${index}"
      url = "${url}"
      retry = { policy = "standard" }`,
  );
  const names = urls.map((_, index) => `"app-${index}"`);
  return `${endpoints.join("")}
      [[source]]
      name = "orders"
      verify = [{ scheme = "none" }]
      to = [${names.join(", ")}]`;
}

const send = (url: string) => fetch(`${url}/in/orders`, { method: "POST", body: '{"n":1}' });

/** What the ladder adds up to without jitter: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. */
const LADDER_HOURS = [5 / 3_600, 1 / 12, 0.5, 2, 5, 10, 14, 20, 24];

describe("Advancing a virtual clock", () => {
  test("walks the whole ladder of retries in one call, each attempt at its own instant", async () => {
    const startedAt: number[] = [];
    await using receiver = startReceiver(() => {
      startedAt.push(server.clock.now());
      return startedAt.length < 9 ? 503 : 200;
    });
    await using server = await startVirtualServer(configFor(receiver.url));
    expect((await send(server.url)).status).toBe(202);
    // Waits only until the first attempt is over.
    await server.api("/clock/advance", { by: 0 });
    const { status, json } = await server.api("/clock/advance", DOWN_FOR_THREE_DAYS);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      from: "2026-03-28T00:00:00.000Z",
      now: "2026-03-31T00:00:00.000Z",
      attempts: 8,
      isComplete: true,
    });
    expect(startedAt).toHaveLength(9);
    expect(startedAt[0]).toBe(VIRTUAL_START);
    for (const [index, hours] of LADDER_HOURS.slice(0, 8).entries()) {
      const waitedHours = ((startedAt[index + 1] ?? 0) - (startedAt[index] ?? 0)) / HOUR_MS;
      expect(waitedHours).toBeGreaterThanOrEqual(hours);
      expect(waitedHours).toBeLessThanOrEqual(hours * 1.2 + 0.001);
    }
    const { json: list } = await server.api("/deliveries");
    expect(list).toMatchObject({ data: [{ state: "succeeded", attemptCount: 9 }] });
  });

  test("comes to the same instants, in their order, in every run", async () => {
    const run = async () => {
      const instants: number[] = [];
      const fail = () => {
        instants.push(server.clock.now());
        return 500;
      };
      await using first = startReceiver(fail);
      await using second = startReceiver(fail);
      await using server = await startVirtualServer(configFor(first.url, second.url));
      await send(server.url);
      await server.api("/clock/advance", { by: "12h" });
      return instants;
    };
    const instants = await run();
    expect(instants).toEqual(instants.toSorted((a, b) => a - b));
    expect(instants.length).toBeGreaterThan(10);
    expect(await run()).toEqual(instants);
  });

  test("goes in one call as in many", async () => {
    const run = async (steps: readonly string[]) => {
      const instants: number[] = [];
      await using receiver = startReceiver(() => {
        instants.push(server.clock.now());
        return 500;
      });
      await using server = await startVirtualServer(configFor(receiver.url));
      await send(server.url);
      for (const by of steps) await server.api("/clock/advance", { by });
      return instants;
    };
    expect(await run(["8h", "30m", "15h30m"])).toEqual(await run(["1d"]));
  });

  test("nothing happens while it stands still", async () => {
    await using receiver = startReceiver(() => 500);
    await using server = await startVirtualServer(configFor(receiver.url));
    await send(server.url);
    await server.api("/clock/advance", { by: 4 });
    expect(receiver.requests).toHaveLength(1);
    await server.api("/clock/advance", { by: "2s" });
    expect(receiver.requests).toHaveLength(2);
  });

  test("signs with the machine's own time, so that receivers accept it", async () => {
    await using receiver = startReceiver(() => 500);
    await using server = await startVirtualServer(configFor(receiver.url));
    await send(server.url);
    await server.api("/clock/advance", { by: "1d" });
    const { headers } = receiver.requests.at(-1) ?? { headers: new Headers() };
    const signedAt = Number(headers.get("webhook-timestamp")) * 1_000;
    expect(Math.abs(signedAt - Date.now())).toBeLessThan(60_000);
  });

  test("is refused when the wish makes no sense, and the clock stays where it is", async () => {
    await using server = await startVirtualServer(configFor("http://127.0.0.1:1"));
    const wishes = [
      {},
      { by: "1d", to: "2026-04-01T00:00:00Z" },
      { by: "soon" },
      { by: "9999d" },
      { to: "2026-03-27T23:59:59Z" },
      { to: "2026-04-01" },
    ];
    for (const wish of wishes) {
      expect(await server.api("/clock/advance", wish)).toMatchObject({
        status: 400,
        json: { error: { code: "invalid_request" } },
      });
    }
    const { json } = await server.api("/clock");
    expect(json).toEqual({ kind: "virtual", now: "2026-03-28T00:00:00.000Z" });
  });

  test("is one call at a time", async () => {
    const gate = Promise.withResolvers<void>();
    await using receiver = startReceiver(async () => {
      await gate.promise;
      return 200;
    });
    await using server = await startVirtualServer(configFor(receiver.url));
    await send(server.url);
    await receiver.waitFor(1);
    // One of them waits for the attempt that is out; the other finds it running, whichever comes first.
    const calls = [1, 2].map(() => server.api("/clock/advance", { by: "1d" }));
    expect(await Promise.race(calls)).toMatchObject({
      status: 409,
      json: { error: { code: "conflict" } },
    });
    gate.resolve();
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([200, 409]);
    expect(await server.api("/clock")).toMatchObject({ json: { now: "2026-03-29T00:00:00.000Z" } });
  });
});

describe("The system's clock", () => {
  test("is shown, and cannot be moved", async () => {
    await using app = await startTestApp();
    const post = { method: "POST", body: '{"by":"1d"}' };
    expect(await app.api("/clock/advance", post)).toMatchObject({
      status: 404,
      json: { error: { code: "not_found" } },
    });
    const { json } = await app.api("/clock");
    expect(json).toMatchObject({ now: "2026-01-01T00:00:00.000Z" });
  });
});
