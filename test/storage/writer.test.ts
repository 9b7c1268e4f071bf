import { Database } from "bun:sqlite";
import { beforeEach, expect, test } from "bun:test";
import { AppError } from "../../src/domain/errors.ts";
import { Writer, type WriterHealth, type WriterOptions } from "../../src/storage/writer.ts";
import { FakeClock } from "../support/fake-clock.ts";

type Add = { value: number | string | null };

let db: Database;
let clock: FakeClock;
let turns: (() => void)[];
let health: WriterHealth[];

beforeEach(() => {
  db = new Database(":memory:");
  db.run("CREATE TABLE item (value INTEGER NOT NULL UNIQUE, filler BLOB) STRICT");
  db.run("CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID");
  clock = new FakeClock();
  turns = [];
  health = [];
});

function createWriter(change: Partial<WriterOptions<Add>> = {}): Writer<Add> {
  const insert = db.query("INSERT INTO item (value, filler) VALUES (?, zeroblob(6000))");
  return new Writer<Add>({
    db,
    apply: ({ value }) => {
      insert.run(value);
      return value;
    },
    defer: (fire) => turns.push(fire),
    delay: (delayMs, fire) => clock.setWallTimer(delayMs, fire),
    onHealth: (now) => health.push(now),
    ...change,
  });
}

/** Ends turns until nobody waits for one: a flush may wait for a few. */
function endTurn(): void {
  while (turns.length > 0) for (const fire of turns.splice(0)) fire();
}

function values(): unknown[] {
  return db
    .query<{ value: unknown }, []>("SELECT value FROM item ORDER BY value")
    .all()
    .map(({ value }) => value);
}

function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "resolved",
    (error: unknown) => (error instanceof AppError ? error.code : error),
  );
}

/** No further page can be allocated, as on a full disk. */
function fillDisk(): void {
  const { page_count } = db.query<{ page_count: number }, []>("PRAGMA page_count").get() ?? { page_count: 0 };
  db.run(`PRAGMA max_page_count = ${page_count}`);
}

function emptyDisk(): void {
  db.run("PRAGMA max_page_count = 1000000");
}

test("everything submitted in one turn is one commit, and the waiters are released in order", async () => {
  const writer = createWriter();
  const order: number[] = [];
  const all = Array.from({ length: 100 }, (_, value) =>
    writer.submit<number>({ value }).then((result) => order.push(result)),
  );
  expect(values()).toEqual([]);
  endTurn();
  await Promise.all(all);
  expect(writer.counts).toEqual({ commits: 1, items: 100, waiting: 0, waitingBytes: 0 });
  expect(order).toEqual(Array.from({ length: 100 }, (_, value) => value));
});

test("what is submitted while waiters are released goes into the next commit", async () => {
  const writer = createWriter();
  const second = writer.submit({ value: 1 }).then(() => writer.submit({ value: 2 }));
  endTurn();
  await Promise.resolve();
  await Promise.resolve();
  endTurn();
  expect(await second).toBe(2);
  expect(writer.counts.commits).toBe(2);
});

test("a long line is written in batches of 512", async () => {
  const writer = createWriter();
  const all = Array.from({ length: 1_100 }, (_, value) => writer.submit({ value }));
  for (let turn = 0; turn < 3; turn += 1) endTurn();
  await Promise.all(all);
  expect(writer.counts.commits).toBe(3);
});

test("one bad command fails alone", async () => {
  const writer = createWriter();
  const results = Promise.allSettled([1, 2, 2, "x", 3].map((value) => writer.submit({ value })));
  endTurn();
  expect((await results).map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "rejected",
    "rejected",
    "fulfilled",
  ]);
  expect(values()).toEqual([1, 2, 3]);
  expect(writer.health.isHealthy).toBe(true);
});

test("past its bounds the line refuses with overloaded and a time to come back", async () => {
  const writer = createWriter({ itemsMax: 2, bytesMax: 1_000 });
  const first = writer.submit({ value: 1 }, { weightBytes: 900 });
  const tooHeavy = writer.submit({ value: 2 }, { weightBytes: 200 }).catch((error: AppError) => error);
  const second = writer.submit({ value: 3 }, { weightBytes: 50 });
  expect(await codeOf(writer.submit({ value: 4 }, { weightBytes: 0 }))).toBe("overloaded");
  expect(await tooHeavy).toMatchObject({ code: "overloaded", retryAfterMs: 1_000 });
  endTurn();
  await Promise.all([first, second]);
  expect(values()).toEqual([1, 3]);
});

test("a single command heavier than the whole bound passes through an empty line", async () => {
  const writer = createWriter({ bytesMax: 10 });
  const done = writer.submit({ value: 1 }, { weightBytes: 1_000 });
  endTurn();
  expect(await done).toBe(1);
});

test("kept commands are never refused for lack of room", async () => {
  const writer = createWriter({ itemsMax: 1 });
  const all = [1, 2, 3].map((value) => writer.submit({ value }, { isKept: true }));
  endTurn();
  expect(await Promise.all(all)).toEqual([1, 2, 3]);
});

const DISASTERS = [
  ["a full disk", fillDisk, emptyDisk],
  ["a read-only file", () => db.run("PRAGMA query_only = ON"), () => db.run("PRAGMA query_only = OFF")],
] as const;

test.each(
  DISASTERS,
)("%s: refusable commands are refused, kept ones are written when it is over", async (...args) => {
  const [, begin, end] = args;
  const writer = createWriter();
  begin();
  const refused = codeOf(writer.submit({ value: 1 }));
  const kept = [2, 3, 4].map((value) => writer.submit({ value }, { isKept: true }));
  endTurn();
  expect(await refused).toBe("storage_unavailable");
  expect(health.map(({ isHealthy }) => isHealthy)).toEqual([false]);
  expect(await codeOf(writer.submit({ value: 5 }))).toBe("storage_unavailable");

  clock.advance(2_000);
  endTurn();
  expect(writer.health.isHealthy).toBe(false);

  end();
  clock.advance(500);
  endTurn();
  expect(await Promise.all(kept)).toEqual([2, 3, 4]);
  expect(values()).toEqual([2, 3, 4]);
  expect(health.map(({ isHealthy }) => isHealthy)).toEqual([false, true]);
});

test("a file that can be written again is healthy without any command", async () => {
  const writer = createWriter();
  fillDisk();
  const refused = codeOf(writer.submit({ value: 1 }));
  endTurn();
  expect(await refused).toBe("storage_unavailable");
  emptyDisk();
  clock.advance(500);
  expect(writer.health).toEqual({ isHealthy: true, reason: null });
});

test("nothing of a batch is written when the file refuses it", async () => {
  const writer = createWriter();
  const before = writer.submit({ value: 0 });
  endTurn();
  await before;
  fillDisk();
  const all = Array.from({ length: 20 }, (_, value) => codeOf(writer.submit({ value: value + 1 })));
  endTurn();
  expect(new Set(await Promise.all(all))).toEqual(new Set(["storage_unavailable"]));
  expect(values()).toEqual([0]);
});

test("stop writes what was submitted and refuses the rest, kept or not", async () => {
  const writer = createWriter();
  const done = writer.submit({ value: 1 });
  const stopped = writer.stop();
  const late = [codeOf(writer.submit({ value: 2 })), codeOf(writer.submit({ value: 3 }, { isKept: true }))];
  endTurn();
  await stopped;
  expect(await done).toBe(1);
  expect(await Promise.all(late)).toEqual(["shutting_down", "shutting_down"]);
  expect(values()).toEqual([1]);
});

test("stop does not wait for a file that cannot be written, and leaves nobody waiting", async () => {
  const writer = createWriter();
  fillDisk();
  const kept = codeOf(writer.submit({ value: 1 }, { isKept: true }));
  endTurn();
  await writer.stop();
  expect(await kept).toBe("shutting_down");
  expect(clock.nextTimerAt()).toBeNull();
});

test("stop waits through several batches", async () => {
  const writer = createWriter();
  const all = Array.from({ length: 1_000 }, (_, value) => writer.submit({ value }));
  const stopped = writer.stop();
  endTurn();
  endTurn();
  await Promise.all([stopped, ...all]);
  expect(values()).toHaveLength(1_000);
});
