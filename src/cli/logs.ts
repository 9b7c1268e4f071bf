/** `postern logs`: what functions logged, in the order of time, and on from there with --follow. */
import type { Command } from "commander";
import { SystemClock } from "../runtime/clock.ts";
import { createApiClient } from "./http-client.ts";
import {
  addListOptions,
  addTimeOptions,
  fetchRows,
  type ListOptions,
  type Rows,
  readPage,
} from "./listing.ts";
import { type Row, showValue } from "./table.ts";
import { action, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

const PATH = "/_/api/logs";
/** A person watches. */
const ASK_EVERY_MS = 250;
const FOLLOW_ROWS = 500;

interface LogOptions extends ListOptions {
  readonly function?: string;
  readonly execution?: string;
  readonly level?: string;
  readonly text?: string;
  readonly since?: string;
  readonly until?: string;
  readonly follow?: boolean;
}

export function addLogsCommand(program: Command): void {
  addTimeOptions(addListOptions(program.command("logs")))
    .description("show what functions logged, oldest of the newest first")
    .option("--function <function>", "only of this function: its name or id")
    .option("--execution <id>", "only of this execution")
    .option("--level <level>", "only debug, info, warn or error lines")
    .option("--text <text>", "only with this text in the message")
    .option("-f, --follow", "go on with what is logged from now on, until interrupted")
    .action(action(logs));
}

async function logs(options: LogOptions): Promise<ExitCode> {
  const page = await read(options);
  if (!options.follow) {
    if (options.json) printJson(page);
    else if (page.data.length === 0) print("No logs.");
    else for (const line of page.data.toReversed()) print(showLogLine(line));
    if (!options.json && page.nextCursor !== null) {
      printError(`There are older ones: --cursor ${page.nextCursor}`);
    }
    return EXIT.ok;
  }
  show(page.data.toReversed(), options);
  return follow(options, page.data[0]?.cursor);
}

/** Ends only with the connection, or with the process. `cursor` is that of the newest line so far. */
async function follow(options: LogOptions, cursor: unknown): Promise<never> {
  const clock = new SystemClock();
  const client = createApiClient(options);
  for (let after = cursor; ; ) {
    await new Promise<void>((resolve) => clock.setWallTimer(ASK_EVERY_MS, resolve));
    if (typeof after !== "string") {
      const { data } = await read(options);
      show(data.toReversed(), options);
      after = data[0]?.cursor;
      continue;
    }
    for (let isMore = true; isMore; ) {
      const query = new URLSearchParams({ limit: String(FOLLOW_ROWS), after: String(after) });
      for (const [name, value] of Object.entries(filterOf(options))) {
        if (value !== undefined) query.set(name, value);
      }
      const page = readPage(await client.request("GET", `${PATH}?${query}`));
      show(page.data, options);
      after = page.nextCursor ?? after;
      isMore = page.data.length === FOLLOW_ROWS;
    }
  }
}

function filterOf({ function: name, execution, level, text, since, until }: LogOptions) {
  return { function: name, execution, level, q: text, since, until };
}

function read(options: LogOptions): Promise<Rows> {
  return fetchRows(createApiClient(options), options, { path: PATH, filter: filterOf(options) });
}

function show(lines: readonly Row[], { json }: LogOptions): void {
  for (const line of lines) print(json ? JSON.stringify(line) : showLogLine(line));
}

/** One line for a person; the function's name only where lines of several are shown. */
export function showLogLine(line: Row): string {
  const { at, level, message, meta } = line;
  const facts = [at, String(level).toUpperCase().padEnd(5), line.function, message, meta];
  return facts
    .filter((fact) => fact !== null && fact !== undefined)
    .map(showValue)
    .join("  ");
}
