/** Reference section 10: conformance checks 30 to 34. */
import { describe, expect, test } from "bun:test";
import { KEYS } from "../../support/test-app.ts";
import { PATH, type Posthook, SETTINGS, startPosthook, TARGET } from "./postern.ts";

const ONCE = { minRetries: 1, delaySecs: 5, strategy: "fixed" } as const;
const UNKNOWN = "3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e11";
const RANGE = { startTime: "2026-01-01T00:00:00Z", endTime: "2027-01-01T00:00:00Z" };

async function failSome(posthook: Posthook, count: number): Promise<string[]> {
  posthook.receiver.always(TARGET, 500);
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1) ids.push(await posthook.deliver({ retryOverride: ONCE }));
  await posthook.advance(5_000);
  posthook.receiver.always(TARGET, 200);
  return ids;
}

test("check 30: retry delivers failed hooks again under their ids, with all attempts anew", async () => {
  await using posthook = await startPosthook();
  const ids = await failSome(posthook, 3);
  const pending = (await posthook.schedule({ postIn: "1h" })).data.id;
  const before = posthook.sent.length;
  expect(await posthook.bulk("retry", { hookIDs: [...ids, UNKNOWN, pending, ids[0]] })).toBe(3);
  const again = posthook.sent.slice(before).map(({ headers }) => headers.get("posthook-id"));
  expect(again.sort()).toEqual([...ids].sort());
  const { data } = await posthook.get(ids[0] ?? "");
  expect([data.status, data.attempts]).toEqual(["completed", 1]);
  expect(await posthook.statusOf(pending)).toBe("pending");
});

test("check 31: replay makes new hooks of completed ones and leaves those as they are", async () => {
  await using posthook = await startPosthook();
  const data = { n: 1 };
  const ids = [await posthook.deliver({ data, retryOverride: ONCE }), await posthook.deliver({ data })];
  posthook.app.clock.advance(60_000);
  expect(await posthook.bulk("replay", { hookIDs: ids })).toBe(2);
  const replayed = posthook.sent
    .slice(2)
    .map(({ text }) => JSON.parse(text) as { id: string; data: unknown });
  expect(replayed.map((one) => one.data)).toEqual([data, data]);
  expect(replayed.some(({ id }) => ids.includes(id))).toBe(false);
  for (const id of ids) expect(await posthook.statusOf(id)).toBe("completed");
  const hooks = await Promise.all(replayed.map(({ id }) => posthook.get(id)));
  expect(hooks.map(({ data: hook }) => hook.postAt)).toEqual([
    "2026-01-01T00:01:00Z",
    "2026-01-01T00:01:00Z",
  ]);
  expect(hooks.filter(({ data: hook }) => hook.retryOverride !== undefined)).toHaveLength(1);
});

test("check 32: cancel by filter takes the oldest back, as many as asked for", async () => {
  await using posthook = await startPosthook();
  for (const hours of [5, 3, 1, 2, 4]) await posthook.schedule({ postIn: `${hours}h` });
  expect(await posthook.bulk("cancel", { ...RANGE, limit: 3 })).toBe(3);
  const { data } = await posthook.list();
  expect(data.map(({ postAt }) => postAt)).toEqual(["2026-01-01T04:00:00Z", "2026-01-01T05:00:00Z"]);
  await posthook.app.advance(6 * 3_600_000);
  expect(posthook.sent).toHaveLength(2);
});

test("cancel takes back what is to be retried or awaits a report, not what is in flight", async () => {
  await using posthook = await startPosthook({ isAsync: true });
  posthook.answer(500, 202, "hang");
  const ids = [await posthook.deliver(), await posthook.deliver(), await posthook.deliver()];
  expect(await posthook.bulk("cancel", { hookIDs: ids })).toBe(2);
  expect(await Promise.all(ids.map((id) => posthook.statusOf(id)))).toEqual(["404", "404", "pending"]);
  posthook.receiver.letGo(200);
  await posthook.app.settle();
  expect(await posthook.statusOf(ids[2] ?? "")).toBe("completed");
});

test("check 33: endpointKey touches that path only; the range does not include its end", async () => {
  await using posthook = await startPosthook();
  const at = (hour: number) => `2026-02-01T0${hour}:00:00Z`;
  for (const path of [PATH, "/other"]) {
    for (const hour of [1, 2, 3]) await posthook.schedule({ path, postAt: at(hour) });
  }
  const filter = { startTime: at(1), endTime: at(3), endpointKey: "/other" };
  expect(await posthook.bulk("cancel", filter)).toBe(2);
  const left = (await posthook.list()).data.map(({ path, postAt }) => `${path} ${postAt}`);
  expect(left).toEqual([`${PATH} ${at(1)}`, `${PATH} ${at(2)}`, `${PATH} ${at(3)}`, `/other ${at(3)}`]);
  expect(await posthook.bulk("cancel", { ...RANGE, sequenceID: UNKNOWN })).toBe(0);
});

test("retry and replay by filter find hooks among many, page by page", async () => {
  await using posthook = await startPosthook({ retry: SETTINGS.retry });
  await Promise.all(Array.from({ length: 150 }, () => posthook.schedule()));
  await posthook.app.settle();
  expect(posthook.sent).toHaveLength(150);
  expect(await posthook.bulk("replay", { ...RANGE, limit: 130 })).toBe(130);
  expect(posthook.sent).toHaveLength(280);
  expect(await posthook.bulk("retry", RANGE)).toBe(0);
});

describe("check 34: forms of the body", () => {
  test("an empty list changes nothing, and is no error", async () => {
    await using posthook = await startPosthook();
    expect(await posthook.bulk("retry", { hookIDs: [] })).toBe(0);
  });

  test.each<[string, unknown]>([
    ["1001 ids", { hookIDs: Array.from({ length: 1_001 }, () => UNKNOWN) }],
    ["neither form", {}],
    ["both forms", { hookIDs: [], ...RANGE }],
    ["ids that are no texts", { hookIDs: [1] }],
    ["ids that are no list", { hookIDs: UNKNOWN }],
    ["a range without an end", { startTime: RANGE.startTime }],
    ["a range in words", { ...RANGE, startTime: "monday" }],
    ["limit 0", { ...RANGE, limit: 0 }],
    ["limit 1001", { ...RANGE, limit: 1_001 }],
    ["a list", []],
  ])("%s is a 400", async (_name, body) => {
    await using posthook = await startPosthook();
    for (const operation of ["retry", "replay", "cancel"]) {
      const { status, error } = await posthook.call(`/v1/hooks/bulk/${operation}`, { method: "POST", body });
      expect([operation, status, typeof error]).toEqual([operation, 400, "string"]);
    }
  });

  test("another operation, and another method, are not found", async () => {
    await using posthook = await startPosthook();
    expect((await posthook.call("/v1/hooks/bulk/explode", { method: "POST", body: {} })).status).toBe(404);
    expect((await posthook.call("/v1/hooks/bulk/retry")).status).toBe(404);
    expect((await posthook.call("/v1/hooks", { method: "PUT" })).status).toBe(404);
  });
});

test("hooks of another project are passed over", async () => {
  await using posthook = await startPosthook();
  const { data } = await posthook.schedule({ postIn: "1h" });
  const { data: result } = await posthook.call<{ affected: number }>("/v1/hooks/bulk/cancel", {
    method: "POST",
    key: KEYS.other,
    body: { hookIDs: [data.id] },
  });
  expect(result.affected).toBe(0);
  expect(await posthook.statusOf(data.id)).toBe("pending");
});
