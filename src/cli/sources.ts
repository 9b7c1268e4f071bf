/** `postern sources`: where requests come from, and whether they may at the moment. */
import type { Command } from "commander";
import {
  addListOptions,
  addOutputOptions,
  fetchOne,
  isRow,
  type ListOptions,
  type OutputOptions,
  printSection,
  rowsOf,
  runList,
  runOnEach,
} from "./listing.ts";
import { type Column, formatFields, type Row } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/sources";

const COLUMNS: readonly Column[] = [
  { title: "name", of: ({ name }) => name },
  { title: "state", of: ({ state }) => state },
  { title: "verify", of: ({ verify }) => verify },
  { title: "to", of: ({ mode, to }) => (mode === "pull" ? "(pull)" : rowsOf(to).map(({ name }) => name)) },
  { title: "accepted", of: ({ counters }) => countOf(counters, "accepted") },
  { title: "duplicates", of: ({ counters }) => countOf(counters, "duplicates") },
  { title: "rejected", of: ({ counters }) => countOf(counters, "rejected") },
  { title: "url", of: ({ ingestUrl }) => ingestUrl },
];

export function addSourcesCommand(program: Command): void {
  const sources = program
    .command("sources")
    .description("look at where requests come from, pause and resume");
  addListOptions(sources.command("list")).description("list sources in service").action(action(list));
  addOutputOptions(sources.command("get <source>"))
    .description("show a source, by name or id, without its secrets")
    .action(action(get));
  for (const verb of ["pause", "resume"] as const) {
    addOutputOptions(sources.command(`${verb} <sources...>`))
      .description(
        verb === "pause" ? "take no more requests from sources" : "take requests from sources again",
      )
      .action(
        action((names: readonly string[], options: OutputOptions) =>
          runOnEach(names, options, {
            pathOf: (name) => `${PATH}/${name}/${verb}`,
            describe: ({ state }, name) => `${name} is ${String(state)}`,
          }),
        ),
      );
  }
}

function list(options: ListOptions): Promise<ExitCode> {
  return runList(options, { path: PATH, filter: {}, columns: COLUMNS, nothing: "No sources." });
}

async function get(name: string, options: OutputOptions): Promise<ExitCode> {
  const source = await fetchOne(options, PATH, name);
  if (options.json) printJson(source);
  else {
    const { counters, ...fields } = source;
    for (const line of formatFields(fields)) print(line);
    if (isRow(counters)) printSection("since the server started", formatFields(counters));
  }
  return EXIT.ok;
}

/** Refusals are counted by reason; the list shows their sum. */
function countOf(counters: unknown, name: string): number {
  const value = isRow(counters) ? counters[name] : 0;
  if (typeof value === "number") return value;
  return isRow(value) ? sum(value) : 0;
}

function sum(counts: Row): number {
  return Object.values(counts).reduce<number>((total, count) => total + Number(count), 0);
}
