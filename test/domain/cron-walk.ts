/**
 * The scheduling rule a second time, as slowly and plainly as it can be said: look at every minute of the
 * zone's clock, as Intl shows it, and ask whether the schedule fires in it. It shares no code with what it
 * checks: neither croner nor Temporal, and its schedules are made from sets of values rather than parsed from
 * text.
 */
import fc from "fast-check";

const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
/** Longer than any fold or gap, so that a walk knows what its first minutes repeat. */
const LEAD_MINUTES = 26 * HOUR_MINUTES;

/** What one field accepts, and how it is written. */
interface Field {
  readonly text: string;
  readonly has: (value: number) => boolean;
  /** Written with `*`, a step or a range. */
  readonly isOpen: boolean;
}

/** What a day field accepts; `any` when it restricts nothing. */
interface DayField {
  readonly text: string;
  readonly any: boolean;
  readonly has: (day: Date) => boolean;
}

export interface WalkedSchedule {
  readonly text: string;
  readonly minute: Field;
  readonly hour: Field;
  readonly month: Field;
  readonly dayOfMonth: DayField;
  readonly dayOfWeek: DayField;
}

/** Local minutes since 1970 (local time read as UTC), one per minute of real time. */
export interface WallClock {
  readonly startAt: number;
  readonly walls: Int32Array;
}

/** Of one offset from end to end when both ends agree: no zone leaves an offset and comes back so soon. */
const STRIDE = 15;

/** Reads the zone's clock for every minute from a day before `fromAt` up to `toAt`. */
export function readWallClock(zone: string, fromAt: number, toAt: number): WallClock {
  const read = clockReader(zone);
  const startAt = fromAt - LEAD_MINUTES * MINUTE_MS;
  const walls = new Int32Array(Math.ceil((toAt - startAt) / MINUTE_MS));
  const readAt = (index: number) => read(startAt + index * MINUTE_MS);
  for (let from = 0; from < walls.length; from += STRIDE) {
    const to = Math.min(from + STRIDE, walls.length);
    const wall = readAt(from);
    const isSteady = readAt(to) - wall === to - from;
    for (let index = from; index < to; index++) {
      walls[index] = isSteady ? wall + index - from : readAt(index);
    }
  }
  return { startAt, walls };
}

/** Returns a reader of local minutes since 1970. */
function clockReader(zone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
  return (at) => {
    // "29/03/2026, 03:00"
    const text = format.format(at);
    const part = (from: number, to: number) => Number(text.slice(from, to));
    return Date.UTC(part(6, 10), part(3, 5) - 1, part(0, 2), part(12, 14), part(15, 17)) / MINUTE_MS;
  };
}

/** Returns every instant from `fromAt` on at which the schedule fires while the clock was read. */
export function walk(schedule: WalkedSchedule, clock: WallClock, fromAt: number): number[] {
  const isFixed = !schedule.minute.isOpen && !schedule.hour.isOpen;
  const fires: number[] = [];
  let before = clock.walls[0] ?? 0;
  let highest = before - 1;
  clock.walls.forEach((wall, index) => {
    const isFire =
      (matches(schedule, wall) && !(isFixed && wall <= highest)) ||
      (wall > before + 1 && isOwed(schedule, isFixed, before + 1, wall));
    const at = clock.startAt + index * MINUTE_MS;
    if (isFire && at >= fromAt) fires.push(at);
    before = wall;
    highest = Math.max(highest, wall);
  });
  return fires;
}

function matches({ minute, hour, month, dayOfMonth, dayOfWeek }: WalkedSchedule, wall: number): boolean {
  const local = new Date(wall * MINUTE_MS);
  if (!minute.has(local.getUTCMinutes()) || !hour.has(local.getUTCHours())) return false;
  if (!month.has(local.getUTCMonth() + 1)) return false;
  if (dayOfMonth.any || dayOfWeek.any) return dayOfMonth.has(local) && dayOfWeek.has(local);
  return dayOfMonth.has(local) || dayOfWeek.has(local);
}

/** Tells whether the minutes from `from` to before `to`, which the clock left out, must be made up for. */
function isOwed(schedule: WalkedSchedule, isFixed: boolean, from: number, to: number): boolean {
  if (!isFixed && schedule.hour.isOpen) return false;
  for (let missing = from; missing < to; missing++) {
    if (!matches(schedule, missing)) continue;
    if (isFixed) return true;
    const hourStart = missing - (missing % HOUR_MINUTES);
    let isHourGone = true;
    for (let minute = hourStart; minute < hourStart + HOUR_MINUTES; minute++) {
      if ((minute < from || minute >= to) && matches(schedule, minute)) isHourGone = false;
    }
    if (isHourGone) return true;
  }
  return false;
}

/** Returns fields of a range of values; numbers are drawn from up to `likelyMax` only. */
function fieldOf(min: number, max: number, likelyMax = max): fc.Arbitrary<Field> {
  const value = fc.integer({ min, max: likelyMax });
  const range = fc.tuple(value, value).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  const step = fc.integer({ min: 1, max: Math.ceil((max - min) / 2) });
  const list = fc.uniqueArray(value, { minLength: 1, maxLength: 3 });
  return fc.oneof(
    { weight: 5, arbitrary: list.map((values) => listOf(values)) },
    { weight: 1, arbitrary: fc.constant<Field>({ text: "*", has: () => true, isOpen: true }) },
    { weight: 2, arbitrary: step.map((by) => stepOf(`*/${by}`, [min, max], by)) },
    { weight: 1, arbitrary: range.map(([low, high]) => stepOf(`${low}-${high}`, [low, high], 1)) },
    {
      weight: 1,
      arbitrary: fc.tuple(range, step).map(([ends, by]) => stepOf(`${ends.join("-")}/${by}`, ends, by)),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(value, step).map(([low, by]) => stepOf(`${low}/${by}`, [low, max], by)),
    },
  );
}

function listOf(values: readonly number[]): Field {
  return { text: values.join(","), has: (value) => values.includes(value), isOpen: false };
}

function stepOf(text: string, [low, high]: readonly [number, number], by: number): Field {
  return { text, has: (value) => value >= low && value <= high && (value - low) % by === 0, isOpen: true };
}

const ANY_DAY: DayField = { text: "*", any: true, has: () => true };
const DAY_MS = 24 * HOUR_MINUTES * MINUTE_MS;

/** Tells whether the day some days later (or earlier) is of the same month. */
function isSameMonth(day: Date, days: number): boolean {
  return new Date(day.getTime() + days * DAY_MS).getUTCMonth() === day.getUTCMonth();
}

const dayOfMonth: fc.Arbitrary<DayField> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(ANY_DAY) },
  { weight: 1, arbitrary: fc.constant({ text: "L", any: false, has: (day: Date) => !isSameMonth(day, 1) }) },
  {
    weight: 2,
    arbitrary: fc
      .uniqueArray(fc.integer({ min: 1, max: 31 }), { minLength: 1, maxLength: 8 })
      .map((days) => ({
        text: days.join(","),
        any: false,
        has: (day: Date) => days.includes(day.getUTCDate()),
      })),
  },
);

const weekday = fc.integer({ min: 0, max: 6 });
const WEEK = 7;

const dayOfWeek: fc.Arbitrary<DayField> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ ...ANY_DAY, text: "?" }) },
  {
    weight: 2,
    arbitrary: fc.uniqueArray(weekday, { minLength: 1, maxLength: 6 }).map((days) => ({
      text: days.map((day) => (day === 0 ? 7 : day)).join(","),
      any: false,
      has: (day: Date) => days.includes(day.getUTCDay()),
    })),
  },
  {
    weight: 1,
    arbitrary: weekday.map((wanted) => ({
      text: `${wanted}L`,
      any: false,
      has: (day: Date) => day.getUTCDay() === wanted && !isSameMonth(day, WEEK),
    })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(weekday, fc.integer({ min: 1, max: 4 })).map(([wanted, nth]) => ({
      text: `${wanted}#${nth}`,
      any: false,
      has: (day: Date) =>
        day.getUTCDay() === wanted && isSameMonth(day, -WEEK * (nth - 1)) && !isSameMonth(day, -WEEK * nth),
    })),
  },
);

/** Schedules of every kind that fire at whole minutes, most of them in the hours in which clocks change. */
export const walkedSchedule: fc.Arbitrary<WalkedSchedule> = fc
  .record({
    minute: fieldOf(0, 59),
    hour: fc.oneof({ weight: 2, arbitrary: fieldOf(0, 23, 4) }, { weight: 1, arbitrary: fieldOf(0, 23) }),
    dayOfMonth,
    month: fc.oneof(
      { weight: 4, arbitrary: fc.constant<Field>({ text: "*", has: () => true, isOpen: true }) },
      { weight: 1, arbitrary: fieldOf(1, 12) },
    ),
    dayOfWeek,
  })
  .map((fields) => {
    const { minute, hour, dayOfMonth: day, month, dayOfWeek: week } = fields;
    return { text: [minute, hour, day, month, week].map((field) => field.text).join(" "), ...fields };
  });
