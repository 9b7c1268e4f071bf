import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { settle } from "../../src/domain/delivery.ts";
import type { AppError } from "../../src/domain/errors.ts";
import type { Store } from "../../src/storage/contract.ts";
import { StoreOpenError } from "../../src/storage/database.ts";
import {
  NOW,
  newAttempt,
  newDelivery,
  newEndpoint,
  newEvent,
  newId,
  newPayload,
  newSource,
  newSubscription,
} from "../support/factory.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { openTestStore, withFolder } from "../support/store.ts";

async function acceptQueued(store: Store, lanes: readonly number[], dueAt = NOW): Promise<void> {
  await store.accept(newEvent({ deliveries: lanes.map((lane) => newDelivery({ lane, dueAt })) }));
}

test("what was written is read back by the next process", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    const event = newEvent({ deliveries: [newDelivery()] });
    await store.accept(event);
    await store.close();
    expect(existsSync(`${path}-wal`)).toBe(false);

    const next = openTestStore({ path });
    expect(next.lease).toBe(store.lease + 1);
    expect(next.newestId).toBe(event.id);
    expect((await next.getEvent({ project: "default", id: event.id }))?.deliveries).toHaveLength(1);
    await next.close();
  }));

test("new rows continue the numbering of the file", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    await acceptQueued(store, [1, 1]);
    await store.close();
    const next = openTestStore({ path });
    expect(await next.accept(newEvent({ deliveries: [newDelivery()] }))).toMatchObject({ seqs: [5] });
    await next.close();
  }));

test("deliveries that a dead process was sending go back in line before the store is open", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    await acceptQueued(store, [1, 1, 1]);
    const { claimed } = await store.claim({ lane: 1, now: NOW, limit: 2, bytesMax: 1_000 });
    const [first] = claimed;
    const attempt = newAttempt({ outcome: "failed", failure: "transport", error: "connection refused" });
    const failed = {
      kind: "failed",
      failure: "transport",
      status: null,
      text: "x",
      retryAfterMs: null,
    } as const;
    const decision = { kind: "retry", at: NOW, policyState: null } as const;
    if (!first) throw new Error("nothing was claimed");
    await store.transition(
      settle(first.position, { outcome: failed, attempt, decision, followUps: [] }, NOW),
    );
    await store.claim({ lane: 1, now: NOW, limit: 10, bytesMax: 1_000 });
    await store.close();

    const next = openTestStore({ path });
    const page = await next.listDeliveries({ project: "default" });
    expect(page.data.map(({ state }) => state)).toEqual(["queued", "queued", "retrying"]);
    expect((await next.claim({ lane: 1, now: NOW, limit: 10, bytesMax: 1_000 })).claimed).toHaveLength(3);
    await next.close();
  }));

test("a replayed delivery that is rescued starts as queued: its new budget is untouched", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    await acceptQueued(store, [1]);
    await store.claim({ lane: 1, now: NOW, limit: 1, bytesMax: 1_000 });
    await store.close();
    const db = new Database(path);
    db.run("UPDATE delivery SET attempt_count = 3, budget_start = 3");
    db.close();
    const next = openTestStore({ path });
    expect((await next.listDeliveries({ project: "default" })).data[0]?.state).toBe("queued");
    await next.close();
  }));

test("another master key is refused by name", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    await openTestStore({ path }).close();
    const open = () => openTestStore({ path, masterKey: new Uint8Array(32).fill(8) });
    expect(open).toThrow(StoreOpenError);
    expect(open).toThrow("master key");
    await openTestStore({ path }).close();
  }));

test("a store keeps the kind of clock that it was made with", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    await openTestStore({ path }).close();
    const clock = new FakeClock();
    const system = {
      kind: "system" as const,
      wallNow: () => clock.wallNow(),
      setWallTimer: (delayMs: number, fire: () => void) => clock.setWallTimer(delayMs, fire),
    };
    expect(() => openTestStore({ path, clock: system })).toThrow("virtual clock");
  }));

test("a second opening in the same process is refused, and allowed after close", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    expect(() => openTestStore({ path })).toThrow(`${path}.lock`);
    await store.close();
    await openTestStore({ path }).close();
  }));

test("a second process is refused until the first one is gone, however it went", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const lock = join(import.meta.dir, "../../src/storage/lock.ts");
    const script = `import { lockStore } from ${JSON.stringify(lock)};
      globalThis.kept = lockStore(${JSON.stringify(path)}); process.stdout.write("held");
      setInterval(() => {}, 1000);`;
    const holder = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    for await (const chunk of holder.stdout) if (Buffer.from(chunk).includes("held")) break;
    expect(() => openTestStore({ path })).toThrow(StoreOpenError);
    holder.kill("SIGKILL");
    await holder.exited;
    await openTestStore({ path }).close();
  }));

test("a store that refuses to open lets go of its lock", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    await Bun.write(path, "this is no database ".repeat(100));
    expect(() => openTestStore({ path })).toThrow(StoreOpenError);
    expect(() => openTestStore({ path })).toThrow("not a database");
  }));

test("close writes what was submitted, and a second close waits for the first", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    const accepted = store.accept(newEvent());
    await Promise.all([store.close(), store.close()]);
    expect((await accepted).isDuplicate).toBe(false);
    const late = await store.accept(newEvent()).catch((error: AppError) => error.code);
    expect(late).toBe("shutting_down");
    const db = new Database(path, { readonly: true });
    expect(db.query("SELECT stopped_at IS NOT NULL AS stopped FROM process").all()).toEqual([{ stopped: 1 }]);
    db.close();
  }));

test("an endpoint comes back whole, and its secrets are not readable in the file", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.db");
    const store = openTestStore({ path });
    const definition = newEndpoint({
      headers: { authorization: "Bearer receiver-token" },
      sign: [{ scheme: "standard", secrets: [{ value: "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=" }] }],
      rate: { perSecond: 5, burst: 10 },
    });
    const endpoint = await store.putEndpoint(definition, NOW);
    expect(endpoint).toEqual({
      ...definition,
      lane: 1,
      pausedAt: null,
      disabledAt: null,
      disabledReason: null,
      createdAt: NOW,
      updatedAt: NOW,
      deletedAt: null,
    });
    expect((await store.loadDefinitions()).endpoints).toEqual([endpoint]);
    await store.close();
    const bytes = Buffer.from(await Bun.file(path).arrayBuffer());
    expect([bytes.includes("whsec_"), bytes.includes("receiver-token")]).toEqual([false, false]);
    expect(bytes.includes(definition.url)).toBe(true);
  }));

test("a changed definition keeps its number and what happened to the endpoint", async () => {
  const store = openTestStore();
  const definition = newEndpoint();
  const { id } = definition;
  await store.putEndpoint(definition, NOW);
  await store.setEndpointPaused(id, NOW + 1);
  await store.setEndpointDisabled(id, { at: NOW + 2, reason: "HTTP 410" });
  const changed = await store.putEndpoint({ ...definition, url: "http://127.0.0.1:1/" }, NOW + 3);
  expect(changed).toMatchObject({
    lane: 1,
    url: "http://127.0.0.1:1/",
    pausedAt: NOW + 1,
    disabledAt: NOW + 2,
    disabledReason: "HTTP 410",
    createdAt: NOW,
    updatedAt: NOW + 3,
  });
  expect(await store.setEndpointDisabled(id, null)).toMatchObject({ disabledAt: null, disabledReason: null });
  expect(await store.setEndpointPaused(id, null)).toMatchObject({ pausedAt: null });
});

test("names are free again after retirement, and a retired object comes back under its id", async () => {
  const store = openTestStore();
  const first = newEndpoint({ name: "app" });
  await store.putEndpoint(first, NOW);
  const clash = store.putEndpoint(newEndpoint({ name: "app" }), NOW);
  expect(await clash.catch((error: AppError) => error.code)).toBe("conflict");
  expect(await store.retireEndpoint(first.id, NOW + 1)).toMatchObject({ deletedAt: NOW + 1 });
  expect(await store.putEndpoint(newEndpoint({ name: "app", project: "default" }), NOW)).toMatchObject({
    lane: 2,
  });
  expect(await store.putEndpoint({ ...first, name: "old-app" }, NOW)).toMatchObject({
    lane: 1,
    deletedAt: null,
  });
});

test("source names are unique over all projects", async () => {
  const store = openTestStore();
  const source = newSource({ name: "stripe", to: ["app"], dedupe: { selectors: [], windowMs: 5 } });
  expect(await store.putSource(source, NOW)).toMatchObject({ ...source, seq: 1, pausedAt: null });
  const clash = store.putSource(newSource({ name: "stripe", project: "other" }), NOW);
  expect(await clash.catch((error: AppError) => error.code)).toBe("conflict");
  expect(await store.setSourcePaused(source.id, NOW)).toMatchObject({ pausedAt: NOW });
  expect(await store.retireSource(source.id, NOW)).toMatchObject({ deletedAt: NOW });
});

test("projects are known by name, keys by their hash", async () => {
  const store = openTestStore();
  const project = await store.putProject({ name: "default", door: "config" }, NOW);
  expect(await store.putProject({ name: "default", door: "config" }, NOW + 1)).toEqual(project);
  const key = {
    id: newId(),
    project: "default",
    hash: "ab".repeat(32),
    label: null,
    scope: "admin",
    door: "config",
  } as const;
  await store.putApiKey(key, NOW);
  const again = await store.putApiKey({ ...key, id: newId(), label: "ci", scope: "read" }, NOW + 1);
  expect(again).toEqual({ ...key, label: "ci", scope: "read", createdAt: NOW, deletedAt: null });
  expect(await store.retireApiKey(key.id, NOW + 2)).toMatchObject({ deletedAt: NOW + 2 });
  expect(await store.retireProject("default", NOW + 2)).toMatchObject({ retiredAt: NOW + 2 });
  expect((await store.loadDefinitions()).apiKeys).toHaveLength(1);
});

test("run-time state of what does not exist cannot be set", async () => {
  const store = openTestStore();
  const answers = [
    store.setEndpointPaused(newId(), NOW),
    store.setEndpointDisabled(newId(), null),
    store.setSourcePaused(newId(), NOW),
    store.retireEndpoint(newId(), NOW),
    store.retireSource(newId(), NOW),
    store.retireApiKey(newId(), NOW),
    store.retireProject("nobody", NOW),
  ];
  expect(await Promise.all<unknown>(answers)).toEqual(answers.map(() => null));
});

test("lane heads name every lane with something free, once, with its earliest due time", async () => {
  const store = openTestStore();
  await acceptQueued(store, [3, 3, 3, 7], NOW + 5);
  await acceptQueued(store, [3], NOW + 1);
  await store.accept(newEvent({ deliveries: [newDelivery({ lane: 5, state: "sending" })] }));
  expect(await store.laneHeads()).toEqual([
    { lane: 3, nextDueAt: NOW + 1 },
    { lane: 7, nextDueAt: NOW + 5 },
  ]);
});

test("a delivery is found by its id with position, facts and whether it can be sent", async () => {
  const store = openTestStore();
  const delivery = newDelivery({ payload: newPayload() });
  const seq = await store.createDelivery({ ...delivery, payload: newPayload() }, NOW - 1);
  await store.claim({ lane: 1, now: NOW, limit: 1, bytesMax: 1 });
  expect(await store.deliveryPosition(delivery.id)).toEqual({
    position: {
      seq,
      lane: 1,
      state: "sending",
      dueAt: NOW,
      lease: store.lease,
      attemptCount: 0,
      budgetStart: 0,
      policyState: null,
    },
    profile: "native",
    facts: {
      id: delivery.id,
      eventId: null,
      project: "default",
      createdAt: NOW - 1,
      scheduledAt: NOW,
      spec: null,
    },
    hasPayload: true,
  });
  expect(await store.deliveryPosition(newId())).toBeNull();
});

test("overdue acknowledgements are named, the longest overdue first, with their own lane", async () => {
  const store = openTestStore();
  await acceptQueued(store, [4, 4, 4]);
  const { claimed } = await store.claim({ lane: 4, now: NOW, limit: 3, bytesMax: 1_000 });
  for (const [index, { position }] of claimed.entries()) {
    const outcome = { kind: "awaiting", status: 202, deadlineAt: NOW + 30 - index * 10 } as const;
    const attempt = newAttempt({ outcome: "awaiting" });
    await store.transition(settle(position, { outcome, attempt, decision: null, followUps: [] }, NOW));
  }
  const due = await store.dueDeadlines({ now: NOW + 20, limit: 10 });
  expect(due.map(({ position }) => [position.state, position.lane, position.dueAt])).toEqual([
    ["awaiting", 4, NOW + 10],
    ["awaiting", 4, NOW + 20],
  ]);
});

test("a backlog is parked and taken back in steps, each to what it was", async () => {
  const store = openTestStore();
  await acceptQueued(store, [1, 1, 1, 1, 1]);
  await acceptQueued(store, [1], NOW + 100);
  const [first] = (await store.claim({ lane: 1, now: NOW, limit: 1, bytesMax: 1_000 })).claimed;
  if (!first) throw new Error("nothing was claimed");
  const outcome = {
    kind: "failed",
    failure: "timeout",
    status: null,
    text: "x",
    retryAfterMs: null,
  } as const;
  const attempt = newAttempt({ outcome: "failed", failure: "timeout" });
  const decision = { kind: "retry", at: NOW, policyState: null } as const;
  await store.transition(settle(first.position, { outcome, attempt, decision, followUps: [] }, NOW));
  const states = async () =>
    (await store.listDeliveries({ project: "default" })).data.map(({ state }) => state);
  const before = await states();

  const one = await store.parkLane({ lane: 1, to: "held", dueBy: NOW, limit: 3, after: null });
  expect(one.movedCount).toBe(3);
  const two = await store.parkLane({ lane: 1, to: "held", dueBy: NOW, limit: 3, after: one.next });
  expect(two).toEqual({ movedCount: 2, next: null });
  expect((await states()).filter((state) => state !== "held")).toEqual(["queued"]);

  await store.parkLane({ lane: 1, to: "queued", dueBy: Number.MAX_SAFE_INTEGER, limit: 100, after: null });
  expect(await states()).toEqual(before);
});

test("counts tell commits and bytes in use without reading tables", async () => {
  const store = openTestStore();
  await Promise.all([store.accept(newEvent()), store.accept(newEvent())]);
  expect(store.counts()).toMatchObject({ commits: 1, items: 2, waiting: 0, waitingBytes: 0 });
  expect(store.usedBytes()).toBeGreaterThan(100_000);
});

test("subscriptions keep their number and are unique by name in their project", async () => {
  const store = openTestStore();
  const definition = {
    ...newSubscription({ name: "s", eventTypes: ["a.*", "*"] }),
    id: newId(),
    door: "config",
  };
  const stored = await store.putSubscription(definition, NOW);
  expect(stored).toEqual({ ...definition, seq: 1, createdAt: NOW, updatedAt: NOW, deletedAt: null });
  const changed = await store.putSubscription({ ...definition, tenant: "acme" }, NOW + 1);
  expect(changed).toEqual({ ...stored, tenant: "acme", updatedAt: NOW + 1 });
  const clash = store.putSubscription({ ...definition, id: newId() }, NOW);
  expect(await clash.catch((error: AppError) => error.code)).toBe("conflict");
  const elsewhere = { ...definition, id: newId(), project: "other" };
  expect(await store.putSubscription(elsewhere, NOW)).toMatchObject({ project: "other" });
  const retired = await store.retireSubscription(definition.id, NOW + 2);
  expect(retired).toEqual({ ...changed, deletedAt: NOW + 2 });
  expect((await store.loadDefinitions()).subscriptions).toMatchObject([{ ...retired }, elsewhere]);
  expect(await store.retireSubscription(newId(), NOW)).toBeNull();
});
