// The accepted cron dialect, and its canonical form. croner takes more than we want to promise (W, +, #L,
// years) and tells less when it refuses, so the text is read here first: every problem at once, each naming
// its field. What passes is rewritten to six plain fields of numbers, which croner then compiles.
//
//   fields     minute hour day-of-month month day-of-week, with seconds in front when there are six
//   anywhere   *  n  a-b  */s  a-b/s  n/s (from n on; not in day-of-week), and lists of these
//   day fields ? for *; L in day-of-month; 5L and FRIL, 1#2 and MON#2 in day-of-week
//   names      JAN-DEC and SUN-SAT in any case; day-of-week is 0-7, both ends being Sunday
//   aliases    @yearly @annually @monthly @weekly @daily @midnight @hourly
//
// When day-of-month and day-of-week are both restricted, a day that matches either one fires. A field that
// covers every value ("1-31", "*/1") is no restriction.

export interface CronSyntax {
  /** Six fields of numbers: second minute hour day-of-month month day-of-week. */
  readonly pattern: string;
  /** True when the second, minute or hour field has `*`, a step or a range. */
  readonly hasOpenTime: boolean;
  /** True when the hour field has `*`, a step or a range. */
  readonly hasOpenHours: boolean;
}

export type CronReading =
  | { readonly ok: true; readonly syntax: CronSyntax }
  | { readonly ok: false; readonly problems: readonly string[] };

interface FieldRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** The largest step that still means something. */
  readonly stepMax: number;
  readonly names: readonly string[];
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const DAY_OF_MONTH: FieldRule = { name: "day-of-month", min: 1, max: 31, stepMax: 31, names: [] };
const DAY_OF_WEEK: FieldRule = { name: "day-of-week", min: 0, max: 7, stepMax: 7, names: DAYS };
const FIELDS: readonly FieldRule[] = [
  { name: "second", min: 0, max: 59, stepMax: 60, names: [] },
  { name: "minute", min: 0, max: 59, stepMax: 60, names: [] },
  { name: "hour", min: 0, max: 23, stepMax: 24, names: [] },
  DAY_OF_MONTH,
  { name: "month", min: 1, max: 12, stepMax: 12, names: MONTHS },
  DAY_OF_WEEK,
];
const TIME_FIELDS = 3;
const HOUR_FIELD = 2;

const ALIASES: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** No real expression is longer; what is longer would only cost time. */
const CRON_CHARS_MAX = 500;

/** Thrown and caught inside this file: the rest of a field makes no sense after its first problem. */
class FieldProblem extends Error {}

/** Returns the canonical form of a cron expression, or one sentence per problem. */
export function readCronSyntax(text: string): CronReading {
  if (text.length > CRON_CHARS_MAX) return refuse(`is longer than ${CRON_CHARS_MAX} characters`);
  if (/[^\t -~]/.test(text)) return refuse("has a character that no field knows");
  const trimmed = text.replace(/^[ \t]+|[ \t]+$/g, "");
  if (trimmed.startsWith("@")) return readAlias(trimmed);
  const written = trimmed === "" ? [] : trimmed.split(/[ \t]+/);
  if (written.length !== 5 && written.length !== 6) {
    return refuse(`has ${written.length} fields, not 5 (or 6 with seconds in front)`);
  }
  return readFields(written.length === 5 ? ["0", ...written] : written);
}

function refuse(...problems: string[]): CronReading {
  return { ok: false, problems };
}

function readAlias(text: string): CronReading {
  const fields = ALIASES[text.toLowerCase()];
  if (fields !== undefined) return readFields(["0", ...fields.split(" ")]);
  if (/^@every\b/i.test(text))
    return refuse(`${text} is an interval, not a cron expression: use every = "15m"`);
  return refuse(`${text} is not an alias; there are ${Object.keys(ALIASES).join(" ")}`);
}

function readFields(written: readonly string[]): CronReading {
  const problems: string[] = [];
  const fields = FIELDS.map((rule, index) => {
    try {
      return readField(written[index] ?? "", rule);
    } catch (error) {
      if (!(error instanceof FieldProblem)) throw error;
      problems.push(`${rule.name}: ${error.message}`);
      return "";
    }
  });
  if (problems.length > 0) return { ok: false, problems };
  const isOpen = (field: string) => /[*/-]/.test(field);
  return {
    ok: true,
    syntax: {
      pattern: fields.join(" "),
      hasOpenTime: written.slice(0, TIME_FIELDS).some(isOpen),
      hasOpenHours: isOpen(written[HOUR_FIELD] ?? ""),
    },
  };
}

/**
 * Returns the field in numbers. One that covers every value is "*", so that only a real limit counts as one.
 */
function readField(text: string, rule: FieldRule): string {
  if (text === "?") {
    if (rule !== DAY_OF_MONTH && rule !== DAY_OF_WEEK)
      throw new FieldProblem('"?" stands only in a day field');
    return "*";
  }
  const items = text.split(",");
  if (items.length > 1 && items.includes("*"))
    throw new FieldProblem(`"${text}" lists "*", which is every value`);
  const read = items.map((item) => readItem(item.toUpperCase(), rule));
  return read.includes("*") ? "*" : read.join(",");
}

function readItem(item: string, rule: FieldRule): string {
  if (item === "") throw new FieldProblem("a value is missing");
  if (rule === DAY_OF_MONTH && item === "L") return "L";
  if (rule === DAY_OF_WEEK) {
    const last = /^(\w+)L$/.exec(item);
    if (last) return `${readValue(last[1] ?? "", rule) % 7}L`;
    const nth = /^(\w+)#(\w+)$/.exec(item);
    if (nth) return readNth(nth[1] ?? "", nth[2] ?? "");
  }
  if (/[LW#?+]/.test(item.replace(/[A-Z]{3}/g, ""))) {
    throw new FieldProblem(`"${item}" is not supported here`);
  }
  const [range = "", step, ...more] = item.split("/");
  if (more.length > 0) throw new FieldProblem(`"${item}" has two steps`);
  return joinRange(readRange(range, rule, step !== undefined), readStep(step, rule), rule);
}

function readNth(day: string, nth: string): string {
  if (!/^[1-5]$/.test(nth)) throw new FieldProblem(`"${day}#${nth}" counts from 1 to 5`);
  return `${readValue(day, DAY_OF_WEEK) % 7}#${nth}`;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

function readRange(text: string, rule: FieldRule, hasStep: boolean): Range {
  if (text === "*") return { from: rule.min, to: rule === DAY_OF_WEEK ? 6 : rule.max };
  const [low = "", high, ...more] = text.split("-");
  if (more.length > 0) throw new FieldProblem(`"${text}" is no range`);
  const from = readValue(low, rule);
  if (high === undefined) {
    if (!hasStep) return { from, to: from };
    if (rule === DAY_OF_WEEK) throw new FieldProblem(`a step needs a range, such as ${from % 7}-6/2`);
    return { from, to: rule.max };
  }
  // SAT-SUN is a weekend: as an end, Sunday is the seventh day.
  const to = high === "SUN" && from > 0 ? 7 : readValue(high, rule);
  if (from > to) throw new FieldProblem(`the range "${text}" runs backwards`);
  return { from, to };
}

function readStep(text: string | undefined, rule: FieldRule): number {
  if (text === undefined) return 1;
  const step = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (step < 1 || step > rule.stepMax)
    throw new FieldProblem(`the step "${text}" is not 1 to ${rule.stepMax}`);
  return step;
}

function joinRange({ from, to }: Range, step: number, rule: FieldRule): string {
  const count = rule === DAY_OF_WEEK ? 7 : rule.max - rule.min + 1;
  if (step === 1 && to - from + 1 >= count) return "*";
  if (from === to) return String(from);
  return step === 1 ? `${from}-${to}` : `${from}-${to}/${step}`;
}

function readValue(text: string, rule: FieldRule): number {
  const index = rule.names.indexOf(text);
  if (index >= 0) return index + rule.min;
  if (!/^\d{1,2}$/.test(text)) {
    const names = rule.names.length > 0 ? ` or ${rule.names[0]}-${rule.names.at(-1)}` : "";
    throw new FieldProblem(`"${text}" is not ${rule.min}-${rule.max}${names}`);
  }
  const value = Number(text);
  if (value < rule.min || value > rule.max) {
    throw new FieldProblem(`${text} is out of range, ${rule.min} to ${rule.max}`);
  }
  return value;
}
