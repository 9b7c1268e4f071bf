/** The one table: a row per number, its ceiling beside it, the ratio, and what was aimed for. */

export type Unit = "perSecond" | "ms" | "us" | "MiB" | "count";

export interface Row {
  /** The letters of what was measured. */
  readonly part: string;
  readonly what: string;
  readonly unit: Unit;
  /** What the number stands beside; null when there is nothing to compare with. */
  readonly beside: number | null;
  readonly value: number | null;
  readonly ratio: Ratio | null;
  readonly aim: Aim | null;
}

/** Over the rounds: what the table goes by, and between which values the rounds were. */
export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface Aim {
  readonly text: string;
  readonly isMet: boolean;
}

export function aimAtLeast(ratio: number, least: number): Aim {
  return { text: `at least ${least.toFixed(2)}`, isMet: ratio >= least };
}

export function aimAtMost(ratio: number, most: number): Aim {
  return { text: `at most ${most.toFixed(2)}`, isMet: ratio <= most };
}

export function aimUnder(value: number, limit: number, unit: string): Aim {
  return { text: `under ${limit.toLocaleString("en")} ${unit}`, isMet: value < limit };
}

/** A row of one number without a ceiling. */
export function plainRow(
  part: string,
  what: string,
  { unit, value, aim = null }: { readonly unit: Unit; readonly value: number; readonly aim?: Aim | null },
): Row {
  return { part, what, unit, beside: null, value, ratio: null, aim };
}

/** A row for what could not be measured. */
export function missingRow(part: string, reason: string): Row {
  return {
    part,
    what: `not measured: ${reason}`,
    unit: "count",
    beside: null,
    value: null,
    ratio: null,
    aim: null,
  };
}

const HEADERS = ["", "what", "ceiling", "Postern", "ratio", "in rounds", "aim"] as const;
const IS_NUMBER = [false, false, true, true, true, true, false];

export function renderTable(rows: readonly Row[]): string {
  const cells = rows.map(({ part, what, unit, beside, value, ratio, aim }) => [
    part,
    what + UNIT_TEXT[unit],
    show(beside, unit),
    show(value, unit),
    ratio === null ? "" : ratio.median.toFixed(2),
    ratio === null ? "" : `${ratio.least.toFixed(2)}-${ratio.most.toFixed(2)}`,
    aim === null ? "" : `${aim.text}: ${aim.isMet ? "met" : "MISSED"}`,
  ]);
  const all = [[...HEADERS], ...cells];
  const widths = HEADERS.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  const lines = all.map((line) =>
    line
      .map((cell, column) => pad(cell, widths[column] ?? 0, IS_NUMBER[column] === true))
      .join("  ")
      .trimEnd(),
  );
  const rule = "-".repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

const UNIT_TEXT: Readonly<Record<Unit, string>> = {
  perSecond: "/s",
  ms: ", ms",
  us: ", us",
  MiB: ", MiB",
  count: "",
};

function show(value: number | null, unit: Unit): string {
  if (value === null) return "";
  if (Number.isNaN(value)) return "?";
  const digits = (unit === "ms" || unit === "us") && Math.abs(value) < 100 ? 1 : 0;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function pad(cell: string, width: number, isNumber: boolean): string {
  return isNumber ? cell.padStart(width) : cell.padEnd(width);
}
