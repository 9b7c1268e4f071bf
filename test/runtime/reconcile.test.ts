import { expect, test } from "bun:test";
import type { Declarations } from "../../src/runtime/reconcile.ts";
import {
  declareEndpoint,
  declareSource,
  receiverUrl,
  startEngine,
  type TestEngine,
} from "../support/engine.ts";
import { newEndpoint, newId, newSubscription } from "../support/factory.ts";

const HASH = "ab".repeat(32);
const KEY = { project: "default", hash: HASH, label: "laptop", scope: "admin" } as const;

function declarations(change: Partial<Declarations> = {}): Declarations {
  return {
    projects: ["default"],
    apiKeys: [],
    endpoints: [declareEndpoint({ name: "app" })],
    schedules: [],
    sources: [declareSource({ name: "in", to: ["app"] })],
    subscriptions: [],
    ...change,
  };
}

const apply = (run: TestEngine, change: Partial<Declarations> = {}) =>
  run.engine.reconcile(declarations(change));
const NOTHING = { created: [], updated: [], retired: [] };

test("a first file creates everything that it names", async () => {
  await using run = await startEngine({ endpoints: [], sources: [] });
  expect(await apply(run, { projects: ["default", "two"], apiKeys: [KEY] })).toEqual({
    created: ["project two", "key laptop", "endpoint app", "source in"],
    updated: [],
    retired: [],
  });
  expect(run.engine.directory.keyByHash(HASH)).toMatchObject({ project: "default", scope: "admin" });
});

test("the same file again changes nothing", async () => {
  await using run = await startEngine();
  await apply(run, { apiKeys: [KEY] });
  expect(await apply(run, { apiKeys: [KEY] })).toEqual(NOTHING);
});

test("a changed endpoint keeps its id, pause and backlog, and its lane has the new definition", async () => {
  await using run = await startEngine();
  await run.engine.commands.pauseEndpoint(run.endpoint());
  await run.accept();
  const before = run.endpoint();
  const changed = declareEndpoint({ name: "app", url: receiverUrl("new") });
  expect(await apply(run, { endpoints: [changed] })).toMatchObject({ updated: ["endpoint app"] });
  expect(run.endpoint()).toMatchObject({ id: before.id, lane: before.lane, pausedAt: before.pausedAt });
  await run.engine.commands.resumeEndpoint(run.endpoint());
  await run.settle();
  expect(run.receiver.sent.map(({ url }) => url)).toEqual([receiverUrl("new")]);
});

test("what is no longer declared is taken out of service, and its history stays", async () => {
  await using run = await startEngine();
  await run.accept();
  await apply(run, { apiKeys: [KEY] });
  expect(await apply(run, { endpoints: [], sources: [] })).toMatchObject({
    retired: ["key laptop", "endpoint app", "source in"],
  });
  const { directory } = run.engine;
  expect(directory.keyByHash(HASH)).toBeUndefined();
  expect(directory.endpointNamed("default", "app")).toBeUndefined();
  expect(directory.sourceNamed("in")).toBeUndefined();
  expect(await run.states()).toEqual(["succeeded"]);
});

test("what waits for a retired endpoint still ends", async () => {
  await using run = await startEngine();
  run.receiver.next(receiverUrl("app"), 500);
  await run.accept();
  await apply(run, { endpoints: [], sources: [] });
  await run.advanceToDue();
  expect(await run.states()).toEqual(["succeeded"]);
});

test("what is declared again comes back with its id", async () => {
  await using run = await startEngine();
  const { id } = run.endpoint();
  await apply(run, { endpoints: [], sources: [], apiKeys: [KEY] });
  await apply(run);
  expect(await apply(run, { apiKeys: [KEY] })).toMatchObject({ created: ["key laptop"] });
  expect(run.endpoint().id).toBe(id);
  await run.accept();
  expect(await run.states()).toEqual(["succeeded"]);
});

test("objects that an API made are not touched", async () => {
  await using run = await startEngine();
  const made = newEndpoint({ name: "made", door: "native" });
  await run.store.putEndpoint(made, run.clock.now());
  await run.store.putApiKey({ ...KEY, id: made.id, door: "native" }, run.clock.now());
  expect(await apply(run, { endpoints: [declareEndpoint({ name: "app", concurrency: 2 })] })).toEqual({
    created: [],
    updated: ["endpoint app"],
    retired: [],
  });
  expect(run.endpoint("made")).toMatchObject({ id: made.id, door: "native", deletedAt: null });
  expect(run.engine.directory.keyByHash(HASH)).toMatchObject({ door: "native" });
});

test.each([
  ["endpoint", { endpoints: [declareEndpoint({ name: "new" }), declareEndpoint({ name: "made" })] }],
  ["key", { endpoints: [declareEndpoint({ name: "new" })], apiKeys: [{ ...KEY, scope: "read" as const }] }],
] as const)("a conflict with an API's %s changes nothing at all", async (_, change) => {
  await using run = await startEngine();
  const made = newEndpoint({ name: "made", door: "native" });
  await run.store.putEndpoint(made, run.clock.now());
  await run.store.putApiKey({ ...KEY, id: made.id, door: "native" }, run.clock.now());
  const before = await run.store.loadDefinitions();
  await expect(apply(run, { ...change, sources: [] })).rejects.toMatchObject({ code: "conflict" });
  expect(await run.store.loadDefinitions()).toEqual(before);
  await run.accept();
  expect(run.receiver.sent).toHaveLength(1);
});

test("the name of an object that an API made and deleted is free, and makes a new object", async () => {
  await using run = await startEngine();
  const made = newEndpoint({ name: "made", door: "native" });
  await run.store.putEndpoint(made, run.clock.now());
  await run.store.retireEndpoint(made.id, run.clock.now());
  await apply(run, { endpoints: [declareEndpoint({ name: "app" }), declareEndpoint({ name: "made" })] });
  expect(run.endpoint("made").id).not.toBe(made.id);
});

test("a source that moves to another project keeps its name and id", async () => {
  await using run = await startEngine();
  const { id } = run.source();
  const moved = declareSource({ name: "in", project: "two" });
  await apply(run, { projects: ["default", "two"], sources: [moved] });
  expect(run.source()).toMatchObject({ id, project: "two" });
});

test("subscriptions are created, changed, retired and brought back as endpoints are", async () => {
  await using run = await startEngine();
  const one = newSubscription({ name: "one", tenant: "acme", eventTypes: ["a"] });
  const named = () => run.engine.directory.subscriptionNamed("default", "one");
  const tenants = (tenant: string) => run.engine.directory.subscriptionsOf("default", tenant).length;
  expect(await apply(run, { subscriptions: [one] })).toMatchObject({ created: ["subscription one"] });
  expect(await apply(run, { subscriptions: [one] })).toEqual(NOTHING);
  const id = named()?.id;
  const changed = { ...one, tenant: "globex", eventTypes: ["a", "b.*"] };
  expect(await apply(run, { subscriptions: [changed] })).toEqual({
    ...NOTHING,
    updated: ["subscription one"],
  });
  expect([tenants("acme"), tenants("globex")]).toEqual([0, 1]);
  expect(await apply(run)).toEqual({ ...NOTHING, retired: ["subscription one"] });
  expect([named(), tenants("globex")]).toEqual([undefined, 0]);
  expect(await apply(run, { subscriptions: [one] })).toMatchObject({ created: ["subscription one"] });
  expect(named()).toMatchObject({ id, tenant: "acme", eventTypes: ["a"], door: "config", deletedAt: null });
});

test("a subscription that an API made is not touched, and its name cannot be declared", async () => {
  await using run = await startEngine();
  const one = newSubscription({ name: "one" });
  await run.store.putSubscription({ ...one, id: newId(), door: "native" }, run.clock.now());
  expect(await apply(run)).toEqual(NOTHING);
  await expect(apply(run, { subscriptions: [one] })).rejects.toMatchObject({ code: "conflict" });
});
