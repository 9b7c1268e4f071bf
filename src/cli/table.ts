/** What the server says, as a person reads it in a terminal: aligned, and unable to drive the terminal. */

/** An object of an API answer. The server has checked it against its schema; here it is only shown. */
export type Row = Readonly<Record<string, unknown>>;

export interface Column {
  readonly title: string;
  readonly of: (row: Row) => unknown;
  /** Left out when no row has anything there. */
  readonly isSparse?: boolean;
}

/** Wider cells make every row wrap; `get` and --json have the whole text. The last column may be wider. */
const CELL_CHARS_MAX = 48;
const LAST_CELL_CHARS_MAX = 120;
/** C0 and C1 controls: senders choose types, headers and bodies, and must not move an operator's cursor. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above, but for line feeds and tabs.
const CONTROL_IN_TEXT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Returns one line per row under a line of titles, all columns but the last padded to the same width. */
export function formatTable(all: readonly Column[], rows: readonly Row[]): string[] {
  const columns = all.filter(
    ({ isSparse, of }) => !isSparse || rows.some((row) => showValue(of(row)) !== "-"),
  );
  const cells = rows.map((row) =>
    columns.map(({ of }, index) =>
      cut(showValue(of(row)), index === columns.length - 1 ? LAST_CELL_CHARS_MAX : CELL_CHARS_MAX),
    ),
  );
  return align([columns.map(({ title }) => title.toUpperCase()), ...cells]);
}

/** Returns one line per pair, the values below each other. */
export function formatFields(fields: Readonly<Record<string, unknown>>): string[] {
  return align(Object.entries(fields).map(([name, value]) => [name, showValue(value)]));
}

/** Returns a value on one line: "-" for nothing, JSON for what has parts. */
export function showValue(value: unknown): string {
  if (value === null || value === undefined || value === "") return "-";
  if (typeof value === "string") return value.replace(CONTROL, escapeControl);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
    return value.length === 0 ? "-" : value.map(showValue).join(", ");
  }
  return JSON.stringify(value).replace(CONTROL, escapeControl);
}

/** Returns a text of several lines with every control character but line feed and tab made visible. */
export function showText(text: string): string {
  return text.replace(CONTROL_IN_TEXT, escapeControl);
}

function align(lines: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const cells of lines) {
    for (const [index, cell] of cells.entries())
      widths[index] = Math.max(widths[index] ?? 0, Bun.stringWidth(cell));
  }
  return lines.map((cells) =>
    cells
      .map((cell, index) => cell + " ".repeat(Math.max(0, (widths[index] ?? 0) - Bun.stringWidth(cell))))
      .join("  ")
      .trimEnd(),
  );
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}

function escapeControl(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
