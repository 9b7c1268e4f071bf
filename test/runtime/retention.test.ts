import { expect, test } from "bun:test";
import { DAY, MINUTE } from "../../src/domain/duration.ts";
import type { Store } from "../../src/storage/contract.ts";
import { declareEndpoint, receiverUrl, startEngine } from "../support/engine.ts";

const APP = receiverUrl("app");
/** A store that says it is as full as the test wants it. */
function withUsedBytes(store: Store, usedBytes: () => number): Store {
  return new Proxy(store, {
    get: (target, name) => (name === "usedBytes" ? usedBytes : Reflect.get(target, name)),
  });
}

const KEEP_MS = {
  delivered: DAY,
  dead: 10 * DAY,
  events: DAY,
  rejections: 2 * DAY,
  metrics: 31 * DAY,
  logs: DAY,
};

test("removes what is due and nothing else", async () => {
  await using run = await startEngine({
    endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [30 * DAY], jitter: 0 } }],
    sources: [{ verify: [{ scheme: "token", header: "x-token", secrets: [{ value: "t" }] }] }],
    engine: { keepMs: KEEP_MS },
  });
  const headers = { "x-token": "t" };
  run.receiver.next(APP, 200, 500, 500);
  await run.accept({ headers });
  await run.accept({ headers });
  await run.accept({ headers });
  const [, , third] = await run.deliveries();
  await run.engine.commands.cancel("default", third?.id ?? "");
  await run.receive();
  await run.settle();
  const rejections = async () => (await run.store.listRejections({ project: "default" })).data.length;
  const events = async () => (await run.store.listEvents({ project: "default" })).data.length;

  await run.advance(DAY - 1);
  expect([await run.states(), await events(), await rejections()]).toEqual([
    ["succeeded", "retrying", "cancelled"],
    3,
    1,
  ]);
  await run.advance(MINUTE);
  // The pending one keeps its event, however old.
  expect([await run.states(), await events(), await rejections()]).toEqual([["retrying", "cancelled"], 2, 1]);
  await run.advance(2 * DAY);
  await run.advance(MINUTE);
  expect([await run.states(), await events(), await rejections()]).toEqual([["retrying", "cancelled"], 2, 0]);
  await run.advance(10 * DAY);
  await run.advance(MINUTE);
  expect([await run.states(), await events()]).toEqual([["retrying"], 1]);
  await run.advance(20 * DAY);
  await run.advance(MINUTE);
  expect(await run.states()).toEqual(["succeeded"]);
});

test("a retired endpoint is forgotten, in the file and in memory, when its last delivery is", async () => {
  await using run = await startEngine({ engine: { keepMs: KEEP_MS } });
  const { directory, objects, lanes } = run.engine;
  const draft = { ...declareEndpoint({ name: "old" }), project: "default" };
  const old = await objects.createEndpoint("native", draft);
  // Numbers do not come back, so there has to be a newer one.
  await objects.createEndpoint("native", { ...draft, name: "new" });
  run.receiver.next(receiverUrl("old"), 500);
  const payload = { headers: "{}", body: Buffer.from("{}") };
  const id = await run.engine.timers.create(old, { payload, dueAt: 0 });
  await run.settle();
  await objects.retireEndpoint(old.id);
  await run.engine.commands.cancel("default", id);
  await run.advance(9 * DAY);
  expect((await run.delivery(id)).state).toBe("cancelled");
  expect(directory.endpointOfLane(old.lane)?.name).toBe("old");
  await run.advance(DAY + MINUTE);
  await run.advance(MINUTE);
  expect(await run.deliveries()).toEqual([]);
  expect([directory.endpoint(old.id), directory.endpointOfLane(old.lane)]).toEqual([undefined, undefined]);
  expect(lanes.overview(old.lane).concurrency).toBe(0);
  const { endpoints } = await run.store.loadDefinitions();
  expect(endpoints.map(({ name }) => name)).toEqual(["app", "new"]);
});

test("forgets a dedupe key when its window is over", async () => {
  const dedupe = { selectors: [[{ kind: "json", path: ["n"] }]], windowMs: DAY } as const;
  await using run = await startEngine({ sources: [{ dedupe }] });
  await run.accept();
  await run.advance(DAY - 1);
  expect(await run.receive()).toMatchObject({ isDuplicate: true });
  await run.advance(1);
  expect(await run.receive()).toMatchObject({ isDuplicate: false });
});

test("takes bodies of finished deliveries when the disk is short, those of dead letters last", async () => {
  let usedBytes = 0;
  await using run = await startEngine({
    endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [], jitter: 0 } }],
    engine: { diskBytesMax: 1_000 },
    wrap: (store) => withUsedBytes(store, () => usedBytes),
  });
  run.receiver.next(APP, 200, 500);
  await run.accept();
  await run.accept();
  const hasBodies = async () => {
    const all = await Promise.all((await run.deliveries()).map(({ id }) => run.delivery(id)));
    return all.map(({ state, hasPayload }) => [state, hasPayload]);
  };
  await run.engine.retention.sweep();
  expect(await hasBodies()).toEqual([
    ["succeeded", true],
    ["dead", true],
  ]);
  usedBytes = 950;
  const swept = run.probe.next("retention.swept");
  await run.engine.retention.sweep();
  expect(await swept).toEqual({ deleted: 2 });
  expect(await hasBodies()).toEqual([
    ["succeeded", false],
    ["dead", false],
  ]);
});

test("refuses producers when the disk budget is used up, until there is room again", async () => {
  let usedBytes = 0;
  await using run = await startEngine({
    engine: { diskBytesMax: 1_000 },
    wrap: (store) => withUsedBytes(store, () => usedBytes),
  });
  await run.accept();
  usedBytes = 1_000;
  await run.advance(100);
  await expect(run.receive()).rejects.toMatchObject({ code: "overloaded", retryAfterMs: MINUTE });
  usedBytes = 999;
  await run.advance(100);
  await run.accept();
  expect(await run.states()).toEqual(["succeeded", "succeeded"]);
});

test("takes logs before bodies when the disk is short, and says which", async () => {
  let usedBytes = 0;
  const asked: string[] = [];
  const watched = (store: Store) =>
    new Proxy(
      withUsedBytes(store, () => usedBytes),
      {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name);
          if (name !== "purge") return typeof value === "function" ? value.bind(target) : value;
          return (input: Parameters<Store["purge"]>[0]) => {
            asked.push(input.kind);
            return target.purge(input);
          };
        },
      },
    );
  await using run = await startEngine({ engine: { diskBytesMax: 1_000 }, wrap: watched });
  await run.engine.retention.sweep();
  expect(asked).toContain("logs");
  expect(asked).toContain("executions");
  expect(asked).not.toContain("finished_logs");
  asked.length = 0;
  usedBytes = 901;
  await run.engine.retention.sweep();
  const trimmed = asked.filter((kind) => ["finished_logs", "bodies", "dead_bodies"].includes(kind));
  expect(trimmed).toEqual(["finished_logs", "bodies", "dead_bodies"]);
});
