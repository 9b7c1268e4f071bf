/**
 * `postern replay`, `retry`, `cancel`, `discard`: deliveries by their ids, or all that a filter matches, as a
 * bulk operation that the server carries out whether this command waits for it or not.
 */
import { type Command, InvalidArgumentError } from "commander";
import { SystemClock } from "../runtime/clock.ts";
import { type ApiClient, createApiClient } from "./http-client.ts";
import { addOutputOptions, addTimeOptions, isRow, type OutputOptions, rowsOf, runOnEach } from "./listing.ts";
import { type Column, formatTable, type Row } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

const VERBS = {
  replay: "send finished deliveries again: dead letters, unless another state is named",
  retry: "make waiting deliveries due now",
  cancel: "cancel deliveries that wait",
  discard: "give up dead or cancelled deliveries for good",
} as const;

type Verb = keyof typeof VERBS;

interface FilterOptions {
  readonly state?: readonly string[];
  readonly endpoint?: string;
  readonly source?: string;
  readonly type?: string;
  readonly tenant?: string;
  readonly since?: string;
  readonly until?: string;
  readonly error?: string;
  readonly status?: number;
}

interface RepairOptions extends OutputOptions, FilterOptions {
  readonly all?: boolean;
  readonly rate?: number;
  readonly dryRun?: boolean;
  readonly asNew?: boolean;
  /** False with --no-wait. */
  readonly wait: boolean;
}

/** Small repairs are over at once, so the first looks come soon. */
const ASK_FIRST_MS = 10;
const ASK_LAST_MS = 1_000;

export function addRepairCommands(program: Command): void {
  for (const [verb, description] of Object.entries(VERBS) as [Verb, string][]) {
    const command = addFilterOptions(addTimeOptions(addOutputOptions(program.command(`${verb} [ids...]`))))
      .description(description)
      .option("--all", "everything that the action is for, without a filter")
      .option(
        "--rate <perSecond>",
        "deliveries per second (default: as fast as receivers take them)",
        readRate,
      )
      .option("--dry-run", "count what it would touch, and change nothing")
      .option("--no-wait", "begin it and do not wait for its end");
    if (verb === "replay") command.option("--as-new", "as copies that have ids of their own");
    command.action(action((ids: readonly string[], options: RepairOptions) => repair(verb, ids, options)));
  }
}

/** Adds what chooses deliveries. */
function addFilterOptions(command: Command): Command {
  return command
    .option("--state <states...>", "only in these states")
    .option("--endpoint <endpoint>", "only to this endpoint: its name or id")
    .option("--source <source>", "only from this source: its name or id")
    .option("--type <type>", "only of this event type, or of a prefix such as invoice.*")
    .option("--tenant <tenant>", "only of this tenant's events")
    .option("--error <text>", "only with this text in the newest error")
    .option("--status <status>", "only with this HTTP status on the newest attempt", readStatus);
}

async function repair(verb: Verb, ids: readonly string[], options: RepairOptions): Promise<ExitCode> {
  const filter = filterOf(options);
  const hasFilter = Object.keys(filter).length > 0;
  if (ids.length > 0) {
    if (hasFilter || options.all || options.dryRun || options.rate !== undefined) {
      return misused("give ids, or what chooses deliveries, not both");
    }
    return runOnEach(ids, options, {
      pathOf: (id) => `/_/api/deliveries/${id}/${verb}`,
      ...(options.asNew ? { body: { asNew: true } } : {}),
      describe: ({ id: sent, state }) => `${String(sent)} is ${String(state)}`,
    });
  }
  if (!hasFilter && !options.all) {
    return misused(`say what to ${verb}: ids, a filter such as --endpoint, or --all`);
  }
  return repairMany(verb, filter, options);
}

function misused(problem: string): ExitCode {
  printError(problem);
  return EXIT.usage;
}

async function repairMany(verb: Verb, filter: FilterOptions, options: RepairOptions): Promise<ExitCode> {
  const client = createApiClient(options);
  const { rate, asNew, dryRun } = options;
  const answer = asRow(
    await client.request("POST", "/_/api/bulk", { action: verb, filter, rate, asNew, dryRun }),
  );
  if (dryRun) {
    if (options.json) printJson(answer);
    else printPreview(verb, answer);
    return EXIT.ok;
  }
  const last = options.wait ? await follow(client, answer, options) : answer;
  if (options.json) printJson(last);
  else print(describe(last));
  return last.state === "cancelled" ? EXIT.failed : EXIT.ok;
}

/** Shows the progress until the operation is over or paused; returns it as it then is. */
async function follow(client: ApiClient, begun: Row, { json }: OutputOptions): Promise<Row> {
  const clock = new SystemClock();
  const path = `/_/api/bulk/${String(begun.id)}`;
  if (!json) printError(`${String(begun.id)} goes on without this command; postern bulk cancel ends it.`);
  let shown = "";
  for (let waitMs = ASK_FIRST_MS; ; waitMs = Math.min(waitMs * 2, ASK_LAST_MS)) {
    const now = asRow(await client.request("GET", path));
    if (now.state !== "running") return now;
    const line = describe(now);
    if (!json && line !== shown) printError(line);
    shown = line;
    await new Promise<void>((resolve) => clock.setWallTimer(waitMs, resolve));
  }
}

/** One line about a bulk operation. */
export function describe({ id, action: verb, state, changed, skipped, progress }: Row): string {
  const percent = typeof progress === "number" ? Math.floor(progress * 100) : 0;
  const left = skipped === 0 ? "" : `, ${String(skipped)} skipped`;
  return `${String(id)} ${String(verb)} is ${String(state)}: ${String(changed)} changed${left}, ${percent} %`;
}

const ENDPOINT_COLUMNS: readonly Column[] = [
  { title: "endpoint", of: ({ endpoint }) => endpoint },
  { title: "count", of: ({ count }) => count },
];
const TYPE_COLUMNS: readonly Column[] = [
  { title: "type", of: ({ type }) => type },
  { title: "count", of: ({ count }) => count },
];
const AGE_COLUMNS: readonly Column[] = [
  { title: "age", of: ({ upToMs }) => showAge(upToMs) },
  { title: "count", of: ({ count }) => count },
];

function printPreview(verb: Verb, { count, isComplete, byEndpoint, byType, byAge }: Row): void {
  const bound = isComplete === false ? "at least " : "";
  print(`Would ${verb} ${bound}${String(count)} deliveries.`);
  if (count === 0) return;
  const tables = [
    [ENDPOINT_COLUMNS, byEndpoint],
    [TYPE_COLUMNS, byType],
    [AGE_COLUMNS, byAge],
  ] as const;
  for (const [columns, rows] of tables) {
    print("");
    for (const line of formatTable(columns, rowsOf(rows))) print(line);
  }
}

function showAge(upToMs: unknown): string {
  if (typeof upToMs !== "number") return "older";
  const hours = upToMs / 3_600_000;
  return hours < 48 ? `up to ${hours}h` : `up to ${hours / 24}d`;
}

function filterOf(options: FilterOptions): FilterOptions {
  const { state, endpoint, source, type, tenant, since, until, error, status } = options;
  const members = { state, endpoint, source, type, tenant, since, until, error, status };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function asRow(answer: unknown): Row {
  if (!isRow(answer)) throw new CommandError("what answered there is no Postern; check --server");
  return answer;
}

function readRate(text: string): number {
  const rate = Number(text);
  if (!(rate >= 0.01 && rate <= 100_000)) {
    throw new InvalidArgumentError("It must be a number from 0.01 to 100000.");
  }
  return rate;
}

function readStatus(text: string): number {
  const status = /^\d{3}$/.test(text) ? Number(text) : 0;
  if (status < 100 || status > 599) throw new InvalidArgumentError("It must be an HTTP status such as 503.");
  return status;
}
