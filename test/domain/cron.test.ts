import { describe, expect, test } from "bun:test";
import { type Cron, nextFireAt, parseCron, previousFireAt } from "../../src/domain/cron.ts";
import { ACCEPTED, REFUSED } from "./cron-dialect-cases.ts";

const NEW_YEAR = Date.UTC(2026, 0, 1);

function cronOf(text: string): Cron {
  const parsed = parseCron(text);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  return parsed.cron;
}

/** "01-31 09:30" in 2026, with the year in any other and the seconds where there are some. */
function show(at: number | null): string {
  if (at === null) return "never";
  const text = new Date(at).toISOString().replace(".000Z", "").replace("T", " ");
  return text.replace(/^2026-/, "").replace(/:00$/, "");
}

describe("The accepted dialect", () => {
  test.each([...ACCEPTED])("has $means: $cron", ({ cron: text, fires }) => {
    const cron = cronOf(text);
    const found: string[] = [];
    let at: number | null = NEW_YEAR;
    while (at !== null && found.length < fires.length) {
      at = nextFireAt(cron, "UTC", at);
      found.push(show(at));
    }
    expect(found).toEqual([...fires]);
  });

  test.each([...REFUSED])("refuses $cron and says why", ({ cron, problems }) => {
    expect(parseCron(cron)).toEqual({ ok: false, problems: [...problems] });
  });

  test("is read the same again, from the text that was read", () => {
    const { text, pattern } = cronOf(" 0 9 * * mon-FRI ");
    expect(text).toBe(" 0 9 * * mon-FRI ");
    expect(pattern).toBe("0 0 9 * * 1-5");
    expect(cronOf(pattern)).toMatchObject({ pattern, pace: "fixed" });
  });
});

describe("A schedule's pace", () => {
  const paces: [string, Cron["pace"], boolean][] = [
    ["30 2 * * *", "fixed", true],
    ["0,30 2,14 * * *", "fixed", true],
    ["0 9 1-7 */2 MON-FRI", "fixed", true],
    ["15 30 2 * * *", "fixed", true],
    ["@daily", "fixed", true],
    ["@hourly", "elapsed", false],
    ["*/15 2 * * *", "elapsed", true],
    ["15/15 2 * * *", "elapsed", true],
    ["0-10 2 * * *", "elapsed", true],
    ["0 2-2 * * *", "elapsed", false],
    ["0 */6 * * *", "elapsed", false],
    ["*/10 30 2 * * *", "elapsed", true],
  ];

  test.each(paces)("of %s is %s (named hours: %p)", (text, pace, hasNamedHours) => {
    expect(cronOf(text)).toMatchObject({ pace, hasNamedHours });
  });
});

describe("The next fire", () => {
  const after = (instant: string) => show(nextFireAt(cronOf("* * * * *"), "UTC", Date.parse(instant)));

  test("lies strictly after the reference instant, even when that is a fire itself", () => {
    expect(after("2026-01-01T10:07:00.000Z")).toBe("01-01 10:08");
    expect(after("2026-01-01T10:06:59.999Z")).toBe("01-01 10:07");
    expect(after("2026-01-01T10:07:00.001Z")).toBe("01-01 10:08");
  });

  test("of a rare date is found across all the years between", () => {
    const cron = cronOf("30 2 29 2 *");
    expect(show(nextFireAt(cron, "Europe/Berlin", Date.UTC(2096, 5, 1)))).toBe("2104-02-29 01:30");
    expect(show(previousFireAt(cron, "Europe/Berlin", Date.UTC(2104, 0, 1)))).toBe("2096-02-29 01:30");
  });

  test("does not exist from the year 3000 on", () => {
    expect(nextFireAt(cronOf("@daily"), "UTC", Date.UTC(2999, 11, 31))).toBeNull();
    expect(nextFireAt(cronOf("@daily"), "Asia/Tokyo", Date.UTC(9999, 0, 1))).toBeNull();
    expect(nextFireAt(cronOf("@daily"), "UTC", 8.64e15)).toBeNull();
  });

  test("is the same when the compiled form has left the cache", () => {
    const first = cronOf("7 7 7 7 *");
    for (let index = 0; index < 3_000; index++) {
      cronOf(`${index % 60} ${Math.floor(index / 60) % 24} ${1 + Math.floor(index / 1_440)} * *`);
    }
    expect(show(nextFireAt(first, "UTC", NEW_YEAR))).toBe("07-07 07:07");
  });

  test("of an expression that nobody checked is refused as a fault of the program", () => {
    const forged: Cron = {
      text: "61 * * * *",
      pattern: "0 61 * * * *",
      pace: "elapsed",
      hasNamedHours: false,
    };
    expect(() => nextFireAt(forged, "UTC", NEW_YEAR)).toThrow("was not made by parseCron");
  });
});
