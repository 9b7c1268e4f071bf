import { describe, expect, test } from "bun:test";
import { type Cron, nextFireAt, noteOnFire, parseCron, previousFireAt } from "../../src/domain/cron.ts";
import { readLocal } from "../../src/domain/zone.ts";
import { DST_CASES } from "./cron-dst-cases.ts";

function cronOf(text: string): Cron {
  const parsed = parseCron(text);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  return parsed.cron;
}

function show(at: number | null, zone: string): string {
  if (at === null) return "never";
  const { local, offset } = readLocal(at, zone);
  return local + offset;
}

describe.each([...DST_CASES])("In $zone a schedule", ({ zone, cases }) => {
  test.each([...cases])("$does: $cron", ({ cron: text, after, fires }) => {
    const cron = cronOf(text);
    const found: string[] = [];
    let at: number | null = Date.parse(after);
    while (at !== null && found.length < fires.length) {
      at = nextFireAt(cron, zone, at);
      found.push(show(at, zone));
    }
    expect(found).toEqual([...fires]);
  });

  test.each([...cases])("is found the same way backwards: $cron after $after", ({ cron: text, fires }) => {
    const cron = cronOf(text);
    const found: string[] = [];
    let at: number | null = Date.parse(fires.at(-1) ?? "") + 1;
    while (at !== null && found.length < fires.length) {
      at = previousFireAt(cron, zone, at);
      found.unshift(show(at, zone));
    }
    expect(found).toEqual([...fires]);
  });
});

test("The table covers forty cases and more in at least six zones", () => {
  expect(DST_CASES.length).toBeGreaterThanOrEqual(6);
  expect(DST_CASES.flatMap(({ cases }) => cases).length).toBeGreaterThanOrEqual(40);
});

describe("The note on an occurrence", () => {
  const notes: [string, string, string, string | null][] = [
    ["30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "gap: moved from 02:30"],
    ["0,30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "gap: moved from 02:00"],
    ["30 2,3 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z", null],
    ["0 2,3 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "gap: also stands for 02:00"],
    ["15 30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "gap: moved from 02:30:15"],
    ["*/15 * * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", null],
    ["0 3 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", null],
    ["0 9 * * *", "Pacific/Apia", "2011-12-30T10:00:00Z", "gap: moved from 2011-12-30 09:00"],
    ["30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "fold: first of two"],
    ["*/30 * * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", "fold: second of two"],
    ["0 3 * * *", "Europe/Berlin", "2026-10-25T02:00:00Z", null],
    ["30 2 * * *", "Europe/Berlin", "2026-03-28T01:30:00Z", null],
  ];

  test.each(notes)("of %s in %s at %s says %p", (text, zone, at, note) => {
    expect(noteOnFire(cronOf(text), zone, Date.parse(at))).toBe(note);
  });
});
