/** `postern functions`: what applications registered, and what an operator can do to it. */
import { type Command, InvalidArgumentError } from "commander";
import { parseJson } from "../domain/exact-json.ts";
import {
  addListOptions,
  addOutputOptions,
  fetchOne,
  type ListOptions,
  type OutputOptions,
  runList,
  runOnEach,
} from "./listing.ts";
import { type Column, formatFields } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/functions";

interface FunctionListOptions extends ListOptions {
  readonly status?: string;
  readonly kind?: string;
}

interface RunOptions extends OutputOptions {
  /** Wrapped, because null is a payload. */
  readonly payload?: { readonly value: unknown };
}

const COLUMNS: readonly Column[] = [
  { title: "name", of: ({ name }) => name },
  { title: "kind", of: ({ kind }) => kind },
  { title: "schedule", of: ({ schedule }) => schedule },
  { title: "status", of: ({ status }) => status },
  { title: "next run", of: ({ nextRunAt }) => nextRunAt },
  { title: "last run", of: ({ lastRunAt }) => lastRunAt },
  { title: "retries", of: ({ retries }) => retries },
  {
    title: "timeout",
    of: ({ timeoutMs }) => (typeof timeoutMs === "number" ? `${timeoutMs / 1_000}s` : null),
  },
];

export function addFunctionsCommand(program: Command): void {
  const functions = program
    .command("functions")
    .description("look at what applications registered, and act on it");
  addListOptions(functions.command("list"))
    .description("list functions, oldest first")
    .option("--status <status>", "only active, paused or inactive ones")
    .option("--kind <kind>", "only crons, or only tasks: cron or task")
    .action(action(list));
  addOutputOptions(functions.command("get <function>"))
    .description("show a function, by its name or id")
    .action(action(get));
  addPauseAction(functions, "pause", "let schedules of functions rest until they are resumed");
  addPauseAction(functions, "resume", "let paused functions run on their schedules again, from now on");
  addOutputOptions(functions.command("run <functions...>"))
    .description("run functions once, now, paused or not")
    .option("--payload <json>", "what they are given", readPayload)
    .action(action(run));
}

function addPauseAction(functions: Command, verb: "pause" | "resume", description: string): void {
  addOutputOptions(functions.command(`${verb} <functions...>`))
    .description(description)
    .action(
      action((names: readonly string[], options: OutputOptions) =>
        runOnEach(names, options, {
          pathOf: (name) => `${PATH}/${name}/${verb}`,
          describe: ({ status }, name) => `${name} is ${String(status)}`,
        }),
      ),
    );
}

function list(options: FunctionListOptions): Promise<ExitCode> {
  const { status, kind } = options;
  return runList(options, {
    path: PATH,
    filter: { status, kind },
    columns: COLUMNS,
    nothing: "No functions.",
  });
}

async function get(name: string, options: OutputOptions): Promise<ExitCode> {
  const found = await fetchOne(options, PATH, name);
  if (options.json) printJson(found);
  else for (const line of formatFields(found)) print(line);
  return EXIT.ok;
}

function run(names: readonly string[], options: RunOptions): Promise<ExitCode> {
  const { payload } = options;
  return runOnEach(names, options, {
    pathOf: (name) => `${PATH}/${name}/run`,
    ...(payload === undefined ? {} : { body: { payload: payload.value } }),
    describe: ({ id }, name) => `${name} is being run: ${String(id)}`,
  });
}

function readPayload(text: string): { value: unknown } {
  try {
    return { value: parseJson(text) };
  } catch {
    throw new InvalidArgumentError("It must be JSON; a text needs its quotation marks.");
  }
}
