/** `postern bulk`: the repairs of many deliveries that run, wait or are over. */
import type { Command } from "commander";
import {
  addListOptions,
  addOutputOptions,
  fetchOne,
  type ListOptions,
  type OutputOptions,
  runList,
  runOnEach,
} from "./listing.ts";
import { describe } from "./repair.ts";
import { type Column, formatFields } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/bulk";

const COLUMNS: readonly Column[] = [
  { title: "id", of: ({ id }) => id },
  { title: "created", of: ({ createdAt }) => createdAt },
  { title: "action", of: ({ action: verb }) => verb },
  { title: "state", of: ({ state }) => state },
  { title: "changed", of: ({ changed }) => changed },
  { title: "skipped", of: ({ skipped }) => skipped },
  { title: "rate", of: ({ rate }) => rate },
];

const CHANGES = {
  pause: "hold it where it is, also over restarts",
  resume: "go on with it",
  cancel: "end it; what it has changed stays so",
} as const;

export function addBulkCommand(program: Command): void {
  const bulk = program.command("bulk").description("look at repairs of many deliveries, and steer them");
  addListOptions(bulk.command("list")).description("list bulk operations, newest first").action(action(list));
  addOutputOptions(bulk.command("get <id>")).description("show one").action(action(get));
  for (const [verb, description] of Object.entries(CHANGES)) {
    addOutputOptions(bulk.command(`${verb} <ids...>`))
      .description(description)
      .action(
        action((ids: readonly string[], options: OutputOptions) =>
          runOnEach(ids, options, { pathOf: (id) => `${PATH}/${id}/${verb}`, describe }),
        ),
      );
  }
}

function list(options: ListOptions): Promise<ExitCode> {
  return runList(options, { path: PATH, filter: {}, columns: COLUMNS, nothing: "No bulk operations." });
}

async function get(id: string, options: OutputOptions): Promise<ExitCode> {
  const bulk = await fetchOne(options, PATH, id);
  if (options.json) {
    printJson(bulk);
    return EXIT.ok;
  }
  const { filter, ...rest } = bulk;
  const wanted = Object.entries(filter as Record<string, unknown>).filter(([, value]) => value !== null);
  const text = wanted.map(([name, value]) => `${name}=${String(value)}`).join(" ");
  for (const line of formatFields({ ...rest, filter: text })) print(line);
  return EXIT.ok;
}
