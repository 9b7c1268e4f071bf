import { expect, test } from "bun:test";
import { createIdFactory, ID_PREFIX, type IdKind, readId, showId } from "../../src/domain/id.ts";
import { countingBytes } from "../support/store.ts";

const AT = Date.UTC(2026, 0, 1);

function factory(now: () => number, floor: string | null = null): () => string {
  return createIdFactory({ now, randomBytes: countingBytes() }, floor);
}

function expectAscending(ids: readonly string[]): void {
  for (const [index, id] of ids.entries()) {
    if (index > 0) expect(id > (ids[index - 1] as string)).toBe(true);
  }
}

test("an id is a UUIDv7: 48 bits of time, version 7, variant 10 (RFC 9562 section 5.7)", () => {
  const nextId = factory(() => AT);
  for (let count = 0; count < 100; count += 1) {
    const id = nextId();
    expect(id).toMatch(/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
    expect(Number.parseInt(id.slice(0, 12), 16)).toBe(AT);
  }
});

test("ids of one millisecond ascend, also when more than 4,096 fall into it", () => {
  const nextId = factory(() => AT);
  const ids = Array.from({ length: 10_000 }, nextId);
  expectAscending(ids);
  expect(Number.parseInt(ids.at(-1)?.slice(0, 12) ?? "", 16)).toBe(AT + 2);
});

test("ids ascend while the clock steps back and forth", () => {
  let now = AT;
  const nextId = factory(() => now);
  const ids: string[] = [];
  for (const step of [0, 5, -1_000, 1, 1, -3_600_000, 3_600_000, 2_000, 0]) {
    now += step;
    for (let count = 0; count < 50; count += 1) ids.push(nextId());
  }
  expectAscending(ids);
});

test.each([
  0, -3_600_000, 1,
])("after a restart ids ascend from the newest, with the clock %p ms on", (step) => {
  const before = Array.from(
    { length: 5_000 },
    factory(() => AT),
  );
  const after = Array.from(
    { length: 5_000 },
    factory(() => AT + step, before.at(-1) as string),
  );
  expectAscending([before.at(-1) as string, ...after]);
});

test("ids of two factories at the same instant differ", () => {
  let seed = 0;
  const randomBytes = (length: number) => {
    seed += 1;
    return new Uint8Array(length).fill(seed);
  };
  const [first, second] = [0, 1].map(() => createIdFactory({ now: () => AT, randomBytes }));
  expect(first?.()).not.toBe(second?.() as string);
});

const ID = "0190a1b2c3d47abc8def0123456789ab";

test.each(Object.keys(ID_PREFIX) as IdKind[])("a %s id is shown with its prefix and read back", (kind) => {
  expect(readId(kind, showId(kind, ID))).toBe(ID);
});

test.each([
  ["another kind's prefix", showId("endpoint", ID)],
  ["no prefix", ID],
  ["too short", showId("event", ID).slice(0, -1)],
  ["too long", `${showId("event", ID)}0`],
  ["upper case", showId("event", ID.toUpperCase())],
  ["no hex", showId("event", `${ID.slice(0, -1)}g`)],
  ["a line end", `${showId("event", ID)}\n`],
  ["nothing", ""],
])("%s is no event id", (_, text) => {
  expect(readId("event", text)).toBeNull();
});

test("no prefix begins another", () => {
  const prefixes = Object.values(ID_PREFIX);
  for (const one of prefixes) {
    expect(prefixes.filter((other) => other.startsWith(one))).toEqual([one]);
  }
});
