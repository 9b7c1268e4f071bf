/** Reference section 9: conformance checks 23 to 29. */
import { describe, expect, test } from "bun:test";
import { type HookJson, type Posthook, startPosthook } from "./postern.ts";

/** What listAll of every SDK does (section 9.1), and how many requests it took. */
async function listAll(posthook: Posthook, pageSize: number): Promise<{ hooks: HookJson[]; pages: number }> {
  const hooks: HookJson[] = [];
  let after: string | null = null;
  for (let pages = 1; pages < 20; pages += 1) {
    const cursor = after === null ? "" : `&postAtAfter=${encodeURIComponent(after)}`;
    const { data } = await posthook.list(`?sortBy=postAt&sortOrder=ASC&limit=${pageSize}${cursor}`);
    hooks.push(...data);
    if (data.length < pageSize) return { hooks, pages };
    after = data.at(-1)?.postAt ?? null;
  }
  throw new Error("the loop does not end");
}

const at = (seconds: number) => new Date(Date.UTC(2026, 5, 1, 0, 0, seconds)).toISOString();

async function scheduleMany(posthook: Posthook, count: number, atOf: (index: number) => string) {
  await Promise.all(Array.from({ length: count }, (_, index) => posthook.schedule({ postAt: atOf(index) })));
}

test("check 23: 250 hooks at distinct times are listed in order in three pages of 100", async () => {
  await using posthook = await startPosthook();
  await scheduleMany(posthook, 250, (index) => at((index * 7) % 250));
  const { hooks, pages } = await listAll(posthook, 100);
  expect(new Set(hooks.map(({ id }) => id)).size).toBe(250);
  expect(hooks.map(({ postAt }) => Date.parse(postAt))).toEqual(
    hooks.map(({ postAt }) => Date.parse(postAt)).sort((a, b) => a - b),
  );
  expect(pages).toBe(3);
});

test("check 24: 250 hooks of one instant are all listed, and the loop ends", async () => {
  await using posthook = await startPosthook();
  await scheduleMany(posthook, 250, () => at(0));
  const { hooks } = await listAll(posthook, 100);
  expect(hooks).toHaveLength(250);
  expect(new Set(hooks.map(({ id }) => id)).size).toBe(250);
});

test("check 24: a page that ends inside of an instant is extended through it, and no further", async () => {
  await using posthook = await startPosthook();
  await scheduleMany(posthook, 9, (index) => at(Math.floor(index / 3)));
  const { data, meta } = await posthook.list("?limit=2");
  expect([data.length, meta.totalItems]).toEqual([3, 9]);
  const next = await posthook.list(`?limit=10&cursor=${meta.cursor}`);
  expect([next.data.length, next.meta.cursor]).toEqual([6, undefined]);
});

test("check 25: exactly 100 hooks end after an empty second page", async () => {
  await using posthook = await startPosthook();
  await scheduleMany(posthook, 100, at);
  const { hooks, pages } = await listAll(posthook, 100);
  expect([hooks.length, pages]).toEqual([100, 2]);
});

test("check 26: without parameters at most 10 come, of an empty project a list without any", async () => {
  await using posthook = await startPosthook();
  expect((await posthook.list()).text).toBe('{"data":[],"meta":{"totalItems":0}}');
  await scheduleMany(posthook, 12, at);
  const { data, meta } = await posthook.list();
  expect([data.length, meta.totalItems, typeof meta.cursor]).toEqual([10, 12, "string"]);
});

describe("check 27: bounds are exclusive, in every spelling of an instant", () => {
  test.each([
    "2026-06-01T00:00:05.123Z",
    "2026-06-01T00:00:05.123000+00:00",
    "2026-06-01T02:00:05.123+02:00",
    "2026-06-01T00:00:05.123000 00:00",
  ])("%s", async (text) => {
    await using posthook = await startPosthook();
    for (const postAt of [at(4), "2026-06-01T00:00:05.123Z", at(6)]) await posthook.schedule({ postAt });
    const encoded = encodeURIComponent(text);
    const after = await posthook.list(`?postAtAfter=${encoded}`);
    const before = await posthook.list(`?postAtBefore=${encoded}`);
    expect(after.data.map(({ postAt }) => postAt)).toEqual(["2026-06-01T00:00:06Z"]);
    expect(before.data.map(({ postAt }) => postAt)).toEqual(["2026-06-01T00:00:04Z"]);
  });

  test("and so are those of createdAt", async () => {
    await using posthook = await startPosthook();
    for (let count = 0; count < 3; count += 1) {
      await posthook.schedule({ postIn: "30d" });
      posthook.app.clock.advance(1_000);
    }
    const middle = "2026-01-01T00:00:01Z";
    const listed = async (query: string) =>
      (await posthook.list(query)).data.map(({ createdAt }) => createdAt);
    expect(await listed(`?createdAtAfter=${middle}`)).toEqual(["2026-01-01T00:00:02Z"]);
    expect(await listed(`?createdAtBefore=${middle}&sortBy=createdAt`)).toEqual(["2026-01-01T00:00:00Z"]);
  });
});

test("check 28: status, sort, order and offset do what they say", async () => {
  await using posthook = await startPosthook({ retry: { ...RETRY, retries: 1 } });
  posthook.answer(500, 500, 500, 200);
  const failed = await posthook.deliver();
  await posthook.app.advance(15_000);
  const retrying = await posthook.deliver();
  const completed = await posthook.deliver();
  await scheduleMany(posthook, 8, at);
  const ids = async (query: string) => (await posthook.list(query)).data.map(({ id }) => id);
  expect(await ids("?status=failed")).toEqual([failed]);
  expect(await ids("?status=retry")).toEqual([retrying]);
  expect(await ids("?status=completed")).toEqual([completed]);
  expect(await ids("?status=pending&limit=1000")).toHaveLength(8);
  expect((await posthook.list("?status=pending&limit=3")).meta.totalItems).toBe(8);
  const all = await ids("?limit=1000");
  expect(await ids("?offset=5&limit=3")).toEqual(all.slice(5, 8));
  expect(await ids("?sortOrder=desc&limit=1000")).toEqual([...all].reverse());
  const byCreation = (await posthook.list("?sortBy=createdAt&sortOrder=DESC&limit=1000")).data;
  const instants = byCreation.map(({ createdAt }) => Date.parse(createdAt));
  expect(instants).toEqual([...instants].sort((a, b) => b - a));
});

const RETRY = {
  retries: 2,
  strategy: "fixed",
  delayMs: 15_000,
  factor: 2,
  delayMaxMs: 3_600_000,
  hasJitter: false,
} as const;

test("the cursor goes through everything once, in either order", async () => {
  await using posthook = await startPosthook();
  await scheduleMany(posthook, 25, (index) => at(index % 4));
  for (const order of ["sortBy=createdAt&sortOrder=ASC", "sortBy=postAt&sortOrder=DESC"]) {
    const seen: string[] = [];
    for (let cursor = ""; ; ) {
      const { data, meta } = await posthook.list(`?${order}&limit=4${cursor}`);
      seen.push(...data.map(({ id }) => id));
      if (meta.cursor === undefined) break;
      cursor = `&cursor=${meta.cursor}`;
    }
    expect([order, seen.length, new Set(seen).size]).toEqual([order, 25, 25]);
  }
});

describe("check 29: what cannot be meant is a 400, never a silently shorter page", () => {
  test.each([
    "limit=1001",
    "limit=0",
    "limit=-1",
    "limit=x",
    "limit=",
    "offset=-1",
    "status=done",
    "status=constructor",
    "sortBy=path",
    "sortOrder=UP",
    "postAtAfter=yesterday",
    "cursor=x",
    "cursor=WyJjcmVhdGVkQXQiLGZhbHNlLDEsMV0",
  ])("%s", async (query) => {
    await using posthook = await startPosthook();
    const { status, error } = await posthook.list(`?${query}`);
    expect([status, typeof error]).toEqual([400, "string"]);
  });
});
