import { describe, expect, test } from "bun:test";
import { DAY, HOUR, MINUTE } from "../../src/domain/duration.ts";
import { readPlan, type ScheduleSpec } from "../../src/domain/schedule-spec.ts";

const CREATED = Date.UTC(2026, 0, 1);

function planOf(spec: ScheduleSpec) {
  const read = readPlan(spec, CREATED);
  return read.ok ? read.plan : read.problems;
}

/** The keys that have a problem, in the order in which they are told. */
function faultyKeys(spec: ScheduleSpec): string[] {
  const read = readPlan(spec, CREATED);
  return read.ok ? [] : read.problems.map(({ key }) => key);
}

describe("A schedule's specification", () => {
  test("is a cron in a zone, whose name is spelled as usual", () => {
    expect(planOf({ cron: "0 3 * * *", timezone: "europe/berlin", jitter: "10m" })).toEqual({
      timing: {
        kind: "cron",
        cron: { text: "0 3 * * *", pattern: "0 0 3 * * *", pace: "fixed", hasNamedHours: true },
      },
      zone: "Europe/Berlin",
      startAt: null,
      endAt: null,
      jitterMs: 10 * MINUTE,
    });
  });

  test("is an interval that counts from its start, else from its creation", () => {
    const interval = { kind: "every", intervalMs: 15 * MINUTE };
    expect(planOf({ every: "15m" })).toMatchObject({
      timing: { ...interval, anchorAt: CREATED },
      zone: "UTC",
    });
    expect(planOf({ every: "15m", start: "2026-03-01T09:07:00", timezone: "Europe/Berlin" })).toMatchObject({
      timing: { ...interval, anchorAt: Date.parse("2026-03-01T08:07:00Z") },
      startAt: Date.parse("2026-03-01T08:07:00Z"),
    });
  });

  test("is a single instant, local or with an offset", () => {
    expect(planOf({ at: "2026-12-01T09:00:00", timezone: "Europe/Berlin" })).toMatchObject({
      timing: { kind: "at", at: Date.parse("2026-12-01T08:00:00Z"), note: null },
    });
    expect(planOf({ at: "2026-03-29T02:30:00", timezone: "Europe/Berlin" })).toMatchObject({
      timing: { kind: "at", at: Date.parse("2026-03-29T01:00:00Z"), note: "gap: moved from 02:30" },
    });
    expect(planOf({ at: "2020-01-01T00:00:00+01:00" })).toMatchObject({
      timing: { kind: "at", at: Date.parse("2019-12-31T23:00:00Z") },
    });
  });

  test("has a window of moments or dates in its zone", () => {
    expect(
      planOf({ cron: "@daily", timezone: "Asia/Tokyo", start: "2026-02-01", end: "2026-03-01T00:00:00Z" }),
    ).toMatchObject({
      startAt: CREATED + 31 * DAY - 9 * HOUR,
      endAt: Date.UTC(2026, 2, 1),
    });
  });

  const faulty: [string, ScheduleSpec, string[]][] = [
    ["says nothing about when", {}, ["cron"]],
    ["says it twice", { cron: "@daily", every: "15m" }, ["every"]],
    ["has a cron with two problems", { cron: "61 24 * * *" }, ["cron", "cron"]],
    ["has a cron that never fires", { cron: "0 0 30 2 *" }, ["cron"]],
    ["has no interval", { every: "often" }, ["every"]],
    ["has an interval below a second", { every: "999ms" }, ["every"]],
    ["has an interval of more than ten years", { every: "3651d" }, ["every"]],
    ["has no time", { at: "tomorrow" }, ["at"]],
    ["has an unknown zone", { cron: "@daily", timezone: "Mars/Olympus" }, ["timezone"]],
    ["has an offset for a zone", { cron: "@daily", timezone: "+01:00" }, ["timezone"]],
    ["has more than a day of jitter", { cron: "@daily", jitter: "25h" }, ["jitter"]],
    ["ends before it starts", { cron: "@daily", start: "2026-02-01", end: "2026-01-15" }, ["end"]],
    ["ends before its first run", { cron: "0 0 1 6 *", end: "2026-05-31" }, ["end"]],
    ["has its only run before its start", { at: "2026-01-01T00:00:00Z", start: "2026-02-01" }, ["at"]],
    ["has its only run at its end", { at: "2026-02-01T00:00:00Z", end: "2026-02-01" }, ["end"]],
    [
      "is wrong throughout",
      { cron: "x", timezone: "Nowhere", start: "?", end: "?", jitter: "?" },
      ["timezone", "start", "end", "jitter", "cron"],
    ],
  ];

  test.each(faulty)("that %s is refused with every problem under its key", (_, spec, keys) => {
    expect(faultyKeys(spec)).toEqual(keys);
  });

  test("is read to the same plan again, so that a run that is due is not lost", () => {
    const spec: ScheduleSpec = { every: "1h", timezone: "Europe/Berlin", end: "2027-01-01", jitter: "5m" };
    expect(readPlan(spec, CREATED)).toEqual(readPlan({ ...spec }, CREATED));
  });
});
