/** Dated deliveries in the file: taking them back at every point, and allowances. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Store } from "../../src/storage/contract.ts";
import { newEndpoint, newId } from "../support/factory.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { openTestStore } from "../support/store.ts";

const PROFILE = "posthook";
const PROJECT = "default";

async function plan(store: Store, state: "queued" | "sending" = "queued") {
  const endpoint = await store.putEndpoint({ ...newEndpoint(), name: newId(), profile: PROFILE }, 1);
  const delivery = {
    ...{ id: newId(), project: PROJECT, lane: endpoint.lane, endpointId: endpoint.id, profile: PROFILE },
    ...{ state, dueAt: 5, spec: '{"path":"/a"}', payload: { headers: "{}", body: Buffer.from("{}") } },
  } as const;
  const seq = await store.createDelivery(delivery, 1);
  return { id: delivery.id, lane: endpoint.lane, seq };
}

const removalOf = (id: string) => ({ id, project: PROJECT, profile: PROFILE, now: 9 });

test("what waits and is taken back is never claimed, and found no more", async () => {
  const store = openTestStore({ clock: new FakeClock() });
  const { id, lane } = await plan(store);
  expect(await store.removeDelivery({ ...removalOf(id), project: "other" })).toBe(false);
  expect(await store.removeDelivery({ ...removalOf(id), states: ["dead"] })).toBe(false);
  expect(await store.removeDelivery(removalOf(id))).toBe(true);
  expect(await store.removeDelivery(removalOf(id))).toBe(false);
  expect((await store.claim({ lane, now: 99, limit: 9, bytesMax: 9 })).claimed).toEqual([]);
  expect(await store.deliveryPosition(id)).toBeNull();
  await store.close();
});

test("what was in flight when it was taken back is not sent again after a kill", async () => {
  const folder = mkdtempSync(join(tmpdir(), "postern-dated-"));
  const path = join(folder, "postern.db");
  const first = openTestStore({ clock: new FakeClock(), path });
  const [removed, kept] = [await plan(first, "sending"), await plan(first, "sending")];
  expect(await first.removeDelivery(removalOf(removed.id))).toBe(true);
  // As a killed process would leave it: with its leases.
  await first.close();
  const second = openTestStore({ clock: new FakeClock(), path });
  const heads = (await second.laneHeads()).map(({ lane }) => lane);
  expect(heads).toEqual([kept.lane]);
  expect((await second.claim({ lane: removed.lane, now: 99, limit: 9, bytesMax: 9 })).claimed).toEqual([]);
  await second.close();
  rmSync(folder, { recursive: true });
});

test("an allowance is counted with what it allows, per project, and anew in each period", async () => {
  const store = openTestStore({ clock: new FakeClock() });
  const endpoint = await store.putEndpoint({ ...newEndpoint(), profile: PROFILE }, 1);
  const use = (periodAt: number, project = PROJECT) =>
    store.createCharged({
      delivery: {
        ...{ id: newId(), project, lane: endpoint.lane, endpointId: endpoint.id, profile: PROFILE },
        ...{ state: "queued", dueAt: 5, spec: null, payload: { headers: "{}", body: Buffer.from("{}") } },
      },
      charge: { name: "hooks", periodAt, usedMax: 2 },
      now: 1,
    });
  const used = async (periodAt: number, project?: string) => (await use(periodAt, project)).used;
  expect([await used(0), await used(0), await used(0)]).toEqual([1, 2, 2]);
  expect((await use(0)).seq).toBeNull();
  expect([await used(0, "other"), await used(100), await used(100)]).toEqual([1, 1, 2]);
  const { totalCount } = await store.listDated({
    ...{ project: PROJECT, profile: PROFILE, sortBy: "scheduledAt", isDescending: false, limit: 10 },
  });
  expect(totalCount).toBe(4);
  await store.close();
});
