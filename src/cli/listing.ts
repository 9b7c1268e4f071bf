/**
 * What the commands that look at a running server share: options, pages, one object, its body, and an action
 * on several objects.
 */
import { type Command, InvalidArgumentError } from "commander";
import {
  type ApiClient,
  addServerOptions,
  createApiClient,
  RefusedError,
  type ServerOptions,
} from "./http-client.ts";
import { addConfigOption } from "./settings.ts";
import { type Column, formatTable, type Row, showText } from "./table.ts";
import { CommandError, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

export interface OutputOptions extends ServerOptions {
  readonly json?: boolean;
}

export interface ListOptions extends OutputOptions {
  readonly limit?: number;
  readonly cursor?: string;
  readonly all?: boolean;
}

/** The server's own limit of a page. */
const PAGE_ROWS_MAX = 500;
const ROWS_DEFAULT = 50;
/** --all must not turn into the whole table in memory and on a terminal. */
const ALL_ROWS_MAX = 10_000;

/** Adds the options of every command that talks to a server and prints what it says. */
export function addOutputOptions(command: Command): Command {
  return addServerOptions(addConfigOption(command)).option("--json", "print JSON");
}

export function addListOptions(command: Command): Command {
  return addOutputOptions(command)
    .option("--limit <rows>", `rows to show, newest first (default: ${ROWS_DEFAULT})`, readLimit)
    .option("--cursor <cursor>", "go on where an earlier list ended")
    .option("--all", `everything, up to ${ALL_ROWS_MAX} rows`);
}

/** Adds --since and --until, which the server reads. */
export function addTimeOptions(command: Command): Command {
  return command
    .option("--since <instant>", "from this instant on: 2026-01-31, or 2026-01-31T09:00:00Z")
    .option("--until <instant>", "before this instant");
}

interface ListInput {
  readonly path: string;
  /** Query parameters; the undefined ones are left out. */
  readonly filter: Readonly<Record<string, string | undefined>>;
  readonly columns: readonly Column[];
  /** What to say when there is nothing, such as "no events". */
  readonly nothing: string;
}

/** Prints a list, over as many pages as were asked for. */
export async function runList(options: ListOptions, input: ListInput): Promise<ExitCode> {
  const page = await fetchRows(createApiClient(options), options, input);
  if (options.json) {
    printJson(page);
    return EXIT.ok;
  }
  if (page.data.length === 0) print(input.nothing);
  else for (const line of formatTable(input.columns, page.data)) print(line);
  if (page.nextCursor !== null) printError(`There are more: --cursor ${page.nextCursor}`);
  return EXIT.ok;
}

export interface Rows {
  readonly data: readonly Row[];
  readonly nextCursor: string | null;
}

/** Fetches as many pages as were asked for. */
export async function fetchRows(
  client: ApiClient,
  options: ListOptions,
  { path, filter }: Pick<ListInput, "path" | "filter">,
): Promise<Rows> {
  const wanted = options.all ? ALL_ROWS_MAX : (options.limit ?? ROWS_DEFAULT);
  const data: Row[] = [];
  let cursor = options.cursor ?? null;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE_ROWS_MAX, wanted - data.length)) });
    for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, value);
    if (cursor !== null) query.set("cursor", cursor);
    const page = readPage(await client.request("GET", `${path}?${query}`));
    data.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null && data.length < wanted);
  return { data, nextCursor: cursor };
}

/** Fetches one object. `id` is what the user typed. */
export async function fetchOne(options: OutputOptions, path: string, id: string): Promise<Row> {
  const answer = await createApiClient(options).request("GET", `${path}/${encodeURIComponent(id)}`);
  if (!isRow(answer)) throw notPostern();
  return answer;
}

interface ActInput {
  /** POST when absent. */
  readonly method?: "DELETE";
  /** The path of an action on one object. */
  readonly pathOf: (id: string) => string;
  readonly body?: unknown;
  readonly describe: (answer: Row, id: string) => string;
  /** What else could be done about a refusal, or null. */
  readonly advise?: (refusal: RefusedError) => string | null;
}

/** Acts on each id in turn. One that fails is reported and does not keep the others from their turn. */
export async function runOnEach(
  ids: readonly string[],
  options: OutputOptions,
  { method, pathOf, body, describe, advise }: ActInput,
): Promise<ExitCode> {
  const client = createApiClient(options);
  const answers: Row[] = [];
  let failedCount = 0;
  for (const id of ids) {
    try {
      const answer = await client.request(method ?? "POST", pathOf(encodeURIComponent(id)), body);
      if (!isRow(answer)) throw notPostern();
      answers.push(answer);
      if (!options.json) print(describe(answer, id));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      failedCount += 1;
      printError(error.message);
      const advice = error instanceof RefusedError ? advise?.(error) : null;
      if (advice) printError(advice);
    }
  }
  if (options.json) printJson(ids.length === 1 ? (answers[0] ?? null) : answers);
  return failedCount === 0 ? EXIT.ok : EXIT.failed;
}

/** Prints what a row carries as body and bodyEncoding, under a heading. */
export function printBody({ body, bodyEncoding }: Row): void {
  if (typeof body !== "string") return;
  const kind = bodyEncoding === "base64" ? "body (base64)" : "body";
  print("");
  print(body === "" ? `${kind}: empty` : `${kind}:\n${showText(body)}`);
}

/** Writes the bytes that a row carries to standard output, exactly. */
export function writeBody({ body, bodyEncoding }: Row): void {
  if (typeof body !== "string") throw new CommandError("the body is no longer kept");
  process.stdout.write(Buffer.from(body, bodyEncoding === "base64" ? "base64" : "utf8"));
}

/** Prints lines under a heading, indented. */
export function printSection(heading: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  print("");
  print(`${heading}:`);
  for (const line of lines) print(`  ${line}`);
}

export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function rowsOf(value: unknown): readonly Row[] {
  return Array.isArray(value) ? value.filter(isRow) : [];
}

/** Returns the page that a list answered with; throws CommandError when it is none. */
export function readPage(answer: unknown): Rows {
  if (!isRow(answer) || !Array.isArray(answer.data)) throw notPostern();
  const { nextCursor } = answer;
  return { data: rowsOf(answer.data), nextCursor: typeof nextCursor === "string" ? nextCursor : null };
}

function notPostern(): CommandError {
  return new CommandError("what answered there is no Postern; check --server");
}

function readLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > ALL_ROWS_MAX) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${ALL_ROWS_MAX}.`);
  }
  return limit;
}
