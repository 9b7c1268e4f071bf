import { describe, expect, test } from "bun:test";
import { DELAY_MAX_MS, readDelay, readMoment } from "../../src/domain/delay.ts";
import { HOUR, SECOND } from "../../src/domain/duration.ts";
import { parseDate, parseInstant, parseLocal } from "../../src/domain/instant.ts";

describe("A delay", () => {
  const delays: [string | number, number | null][] = [
    ["1d2h30m15s", 95_415 * SECOND],
    ["15m", 900 * SECOND],
    ["1.5h", 1.5 * HOUR],
    ["250ms", 250],
    ["0s", 0],
    ["900", 900 * SECOND],
    [900, 900 * SECOND],
    [0.5, 500],
    [0, 0],
    [-1, null],
    [Number.NaN, null],
    [Number.POSITIVE_INFINITY, null],
    ["", null],
    ["-5", null],
    ["15M", null],
    [" 15m", null],
    ["15 m", null],
    ["1e3", null],
    ["abc", null],
    [DELAY_MAX_MS / SECOND, DELAY_MAX_MS],
    [DELAY_MAX_MS / SECOND + 1, null],
    ["36501d", null],
  ];

  test.each(delays)("of %p is %p ms", (value, delayMs) => {
    const read = readDelay(value);
    expect(read.ok ? read.delayMs : null).toBe(delayMs);
  });
});

describe("An RFC 3339 timestamp", () => {
  const timestamps: [string, string | null][] = [
    ["2026-12-01T09:00:00Z", "2026-12-01T09:00:00.000Z"],
    ["2026-12-01t09:00:00z", "2026-12-01T09:00:00.000Z"],
    ["2026-12-01T09:00:00+01:00", "2026-12-01T08:00:00.000Z"],
    ["2026-12-01T09:00:00-03:30", "2026-12-01T12:30:00.000Z"],
    ["2026-12-01T09:00:00-00:00", "2026-12-01T09:00:00.000Z"],
    ["2026-12-01T23:30:00-23:59", "2026-12-02T23:29:00.000Z"],
    ["2026-12-01T09:00:00.5Z", "2026-12-01T09:00:00.500Z"],
    ["2026-12-01T09:00:00.123456789Z", "2026-12-01T09:00:00.123Z"],
    ["2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z"],
    ["1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999Z"],
    ["2026-02-29T00:00:00Z", null],
    ["2026-04-31T00:00:00Z", null],
    ["2026-13-01T00:00:00Z", null],
    ["2026-00-01T00:00:00Z", null],
    ["2026-12-01T24:00:00Z", null],
    ["2026-12-01T09:60:00Z", null],
    ["2026-12-31T23:59:60Z", null],
    ["2026-12-01T09:00:00", null],
    ["2026-12-01 09:00:00Z", null],
    ["2026-12-01T09:00Z", null],
    ["2026-12-01T09:00:00.Z", null],
    ["2026-12-01T09:00:00.1234567890Z", null],
    ["2026-12-01T09:00:00,5Z", null],
    ["2026-12-01T09:00:00+0100", null],
    ["2026-12-01T09:00:00+24:00", null],
    ["2026-12-01T09:00:00+01:00[Europe/Berlin]", null],
    ["+002026-12-01T09:00:00Z", null],
    ["20261201T090000Z", null],
    ["2026-12-01T09:00:00Z\n", null],
    ["2026-12-01", null],
    ["1796115600", null],
    ["", null],
  ];

  test.each(timestamps)("%p is %p", (text, instant) => {
    const at = parseInstant(text);
    expect(at === null ? null : new Date(at).toISOString()).toBe(instant);
  });
});

describe("A local time as text", () => {
  test("is exactly a date, T and a time", () => {
    expect(parseLocal("2026-12-01T09:00:00")).toBe(Date.UTC(2026, 11, 1, 9));
    for (const text of ["2026-12-01T09:00:00Z", "2026-12-01T09:00", "2026-12-01T09:00:00.5", "2026-12-01"]) {
      expect(parseLocal(text)).toBeNull();
    }
    expect(parseLocal("2026-02-30T09:00:00")).toBeNull();
  });

  test("may be a date where a day's first moment is meant", () => {
    expect(parseDate("2026-12-01")).toBe(Date.UTC(2026, 11, 1));
    expect(parseDate("2026-02-30")).toBeNull();
    expect(parseDate("2026-12-1")).toBeNull();
  });
});

describe("A moment", () => {
  const moments: [string, string, string, string | null][] = [
    ["2026-12-01T09:00:00Z", "Europe/Berlin", "2026-12-01T09:00:00.000Z", null],
    ["2026-12-01T09:00:00", "Europe/Berlin", "2026-12-01T08:00:00.000Z", null],
    ["2026-12-01", "Europe/Berlin", "2026-11-30T23:00:00.000Z", null],
    ["2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:00:00.000Z", "gap: moved from 02:30"],
    ["2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00.000Z", "fold: first of two"],
    ["2011-12-30T09:00:00", "Pacific/Apia", "2011-12-30T10:00:00.000Z", "gap: moved from 2011-12-30 09:00"],
    ["2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00.000Z", "gap: moved from 00:00"],
  ];

  test.each(moments)("%s in %s is %s, with the note %p", (text, zone, at, note) => {
    expect(readMoment(text, zone)).toEqual({ ok: true, at: Date.parse(at), note });
  });

  test("that is none is refused", () => {
    expect(readMoment("tomorrow", "UTC").ok).toBe(false);
    expect(readMoment("2026-12-01T09:00", "UTC").ok).toBe(false);
  });
});
