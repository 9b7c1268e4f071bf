import { describe, expect, test } from "bun:test";
import { HOUR } from "../../src/domain/duration.ts";
import { parseLocal } from "../../src/domain/instant.ts";
import {
  canonicalZone,
  foldPass,
  formatOffset,
  isKnownZone,
  readLocal,
  resolveLocal,
  spanAt,
} from "../../src/domain/zone.ts";

const iso = (at: number) => new Date(at).toISOString().replace(".000Z", "Z");

describe("A zone's name", () => {
  const names: [string, string | null][] = [
    ["Europe/Berlin", "Europe/Berlin"],
    ["europe/berlin", "Europe/Berlin"],
    ["US/Eastern", "US/Eastern"],
    ["Europe/Kyiv", "Europe/Kyiv"],
    ["America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"],
    ["America/Port-au-Prince", "America/Port-au-Prince"],
    ["Etc/GMT+5", "Etc/GMT+5"],
    ["UTC", "UTC"],
    ["utc", "UTC"],
    ["Europe/Atlantis", null],
    ["PST", null],
    ["Z", null],
    ["", null],
    ["+01:00", null],
    ["-0300", null],
    ["2026-01-01T00:00Z[Europe/Berlin]", null],
    ["Europe/Berlin ", null],
    ["Europe//Berlin", null],
    ["../etc/passwd", null],
  ];

  test.each(names)("%p is spelled %p", (name, spelled) => {
    expect(canonicalZone(name)).toBe(spelled);
    expect(isKnownZone(name)).toBe(spelled !== null);
  });
});

describe("A local time", () => {
  /** The first five rows are those of the Posthook reference, section 7.2. */
  const cases: [string, string, string, "exact" | "gap" | "fold"][] = [
    ["2026-03-08T02:30:00", "America/New_York", "2026-03-08T07:00:00Z", "gap"],
    ["2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00Z", "fold"],
    ["2026-03-29T01:15:00", "Europe/London", "2026-03-29T01:00:00Z", "gap"],
    ["2026-10-04T02:10:00", "Australia/Lord_Howe", "2026-10-03T15:30:00Z", "gap"],
    ["2026-06-15T10:00:00", "America/New_York", "2026-06-15T14:00:00Z", "exact"],
    ["2026-03-29T01:59:59", "Europe/Berlin", "2026-03-29T00:59:59Z", "exact"],
    ["2026-03-29T02:00:00", "Europe/Berlin", "2026-03-29T01:00:00Z", "gap"],
    ["2026-03-29T02:59:59", "Europe/Berlin", "2026-03-29T01:00:00Z", "gap"],
    ["2026-03-29T03:00:00", "Europe/Berlin", "2026-03-29T01:00:00Z", "exact"],
    ["2026-10-25T01:59:59", "Europe/Berlin", "2026-10-24T23:59:59Z", "exact"],
    ["2026-10-25T02:00:00", "Europe/Berlin", "2026-10-25T00:00:00Z", "fold"],
    ["2026-10-25T02:59:59", "Europe/Berlin", "2026-10-25T00:59:59Z", "fold"],
    ["2026-10-25T03:00:00", "Europe/Berlin", "2026-10-25T02:00:00Z", "exact"],
    ["2026-04-05T01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "fold"],
    ["2018-11-04T00:30:00", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "gap"],
    ["2018-02-17T23:30:00", "America/Sao_Paulo", "2018-02-18T01:30:00Z", "fold"],
    ["2019-11-03T00:30:00", "America/Sao_Paulo", "2019-11-03T03:30:00Z", "exact"],
    ["2011-12-30T00:00:00", "Pacific/Apia", "2011-12-30T10:00:00Z", "gap"],
    ["2011-12-30T23:59:59", "Pacific/Apia", "2011-12-30T10:00:00Z", "gap"],
    ["2026-02-15T02:30:00", "Africa/Casablanca", "2026-02-15T01:30:00Z", "fold"],
    ["2026-03-22T02:30:00", "Africa/Casablanca", "2026-03-22T02:00:00Z", "gap"],
    ["2026-03-29T02:30:00", "Antarctica/Troll", "2026-03-29T01:00:00Z", "gap"],
    ["2018-05-04T23:45:00", "Asia/Pyongyang", "2018-05-04T15:00:00Z", "gap"],
    ["2026-03-29T02:30:00", "UTC", "2026-03-29T02:30:00Z", "exact"],
  ];

  test.each(cases)("%s in %s is %s (%s)", (local, zone, at, kind) => {
    const resolved = resolveLocal(parseLocal(local) ?? Number.NaN, zone);
    expect({ ...resolved, at: iso(resolved.at) }).toEqual({ at, kind });
  });

  test("is read back with its offset", () => {
    const read = (at: string, zone: string) => readLocal(Date.parse(at), zone);
    expect(read("2026-03-29T01:00:00Z", "Europe/Berlin")).toEqual({
      local: "2026-03-29T03:00:00",
      offset: "+02:00",
    });
    expect(read("2026-03-28T23:59:59.250Z", "Asia/Kathmandu")).toEqual({
      local: "2026-03-29T05:44:59.250",
      offset: "+05:45",
    });
    expect(read("2026-01-01T00:00:00Z", "America/St_Johns").offset).toBe("-03:30");
    expect(read("1900-01-01T00:00:00Z", "Africa/Monrovia").offset).toBe("-00:43:08");
  });

  test("has an offset that is written with its sign", () => {
    expect([0, 5.75 * HOUR, -9.5 * HOUR, 14 * HOUR].map(formatOffset)).toEqual([
      "+00:00",
      "+05:45",
      "-09:30",
      "+14:00",
    ]);
  });
});

describe("A fold", () => {
  test("has a first and a second pass, and the times around it have none", () => {
    const passAt = (at: string) => foldPass(Date.parse(at), "Europe/Berlin");
    expect(passAt("2026-10-24T23:59:59.999Z")).toBeNull();
    expect(passAt("2026-10-25T00:00:00Z")).toBe("first");
    expect(passAt("2026-10-25T00:59:59.999Z")).toBe("first");
    expect(passAt("2026-10-25T01:00:00Z")).toBe("second");
    expect(passAt("2026-10-25T01:59:59.999Z")).toBe("second");
    expect(passAt("2026-10-25T02:00:00Z")).toBeNull();
  });
});

describe("A span of one offset", () => {
  test("reaches from one transition to the next, its first instant included", () => {
    const summer = {
      startAt: Date.parse("2026-03-29T01:00:00Z"),
      endAt: Date.parse("2026-10-25T01:00:00Z"),
      offsetMs: 2 * HOUR,
      previousOffsetMs: HOUR,
      nextOffsetMs: HOUR,
    };
    expect(spanAt(summer.startAt, "Europe/Berlin")).toEqual(summer);
    expect(spanAt(summer.endAt - 1, "Europe/Berlin")).toEqual(summer);
    expect(spanAt(summer.startAt - 1, "Europe/Berlin")).toMatchObject({
      endAt: summer.startAt,
      offsetMs: HOUR,
    });
    expect(spanAt(summer.endAt, "Europe/Berlin")).toMatchObject({ startAt: summer.endAt, offsetMs: HOUR });
  });

  test("has no end where a zone's clocks change no more, and none at all in UTC", () => {
    expect(spanAt(Date.UTC(2026, 0, 1), "America/Sao_Paulo")).toMatchObject({
      startAt: Date.parse("2019-02-17T02:00:00Z"),
      endAt: Number.POSITIVE_INFINITY,
      nextOffsetMs: -3 * HOUR,
    });
    expect(spanAt(Date.UTC(2026, 0, 1), "UTC")).toMatchObject({
      startAt: Number.NEGATIVE_INFINITY,
      endAt: Number.POSITIVE_INFINITY,
    });
  });

  test("of an unknown zone is refused", () => {
    expect(() => spanAt(0, "Europe/Atlantis")).toThrow(RangeError);
  });
});
