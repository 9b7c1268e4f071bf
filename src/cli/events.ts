/** `postern events`: what was received. */
import type { Command } from "commander";
import {
  addListOptions,
  addOutputOptions,
  addTimeOptions,
  fetchOne,
  isRow,
  type ListOptions,
  type OutputOptions,
  printBody,
  printSection,
  rowsOf,
  runList,
  writeBody,
} from "./listing.ts";
import { type Column, formatFields, formatTable } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/events";

interface EventListOptions extends ListOptions {
  readonly source?: string;
  readonly type?: string;
  readonly since?: string;
  readonly until?: string;
  readonly search?: string;
}

interface EventGetOptions extends OutputOptions {
  readonly body?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: "id", of: ({ id }) => id },
  { title: "received", of: ({ receivedAt }) => receivedAt },
  { title: "source", of: ({ source }) => source },
  { title: "bytes", of: ({ sizeBytes }) => sizeBytes },
  { title: "type", of: ({ type }) => type },
];

const DELIVERY_COLUMNS: readonly Column[] = [
  { title: "id", of: ({ id }) => id },
  { title: "endpoint", of: ({ endpoint }) => endpoint },
  { title: "state", of: ({ state }) => state },
  { title: "attempts", of: ({ attemptCount }) => attemptCount },
  { title: "last", of: ({ lastStatus, lastError }) => lastError ?? lastStatus },
];

export function addEventsCommand(program: Command): void {
  const events = program.command("events").description("look at what was received");
  addTimeOptions(addListOptions(events.command("list")))
    .description("list received events, newest first")
    .option("--source <source>", "only of this source: its name or id")
    .option("--type <type>", "only of this type")
    .option("--search <text>", "only with this text in the body")
    .action(action(list));
  addOutputOptions(events.command("get <id>"))
    .description("show an event with its headers, deliveries and body")
    .option("--body", "write its bytes, and nothing else")
    .action(action(get));
}

function list(options: EventListOptions): Promise<ExitCode> {
  const { source, type, since, until, search } = options;
  const filter = { source, type, since, until, q: search };
  return runList(options, { path: PATH, filter, columns: COLUMNS, nothing: "No events." });
}

async function get(id: string, options: EventGetOptions): Promise<ExitCode> {
  const event = await fetchOne(options, PATH, id);
  if (options.body) writeBody(event);
  else if (options.json) printJson(event);
  else {
    const { source, type, tenant, receivedAt, remoteAddress, sizeBytes } = event;
    const fields = { id: event.id, source, type, tenant, received: receivedAt, from: remoteAddress };
    for (const line of formatFields({ ...fields, bytes: sizeBytes })) print(line);
    const deliveries = rowsOf(event.deliveries);
    if (deliveries.length > 0) printSection("deliveries", formatTable(DELIVERY_COLUMNS, deliveries));
    if (isRow(event.headers)) printSection("headers", formatFields(event.headers));
    else print("\nHeaders and body are no longer kept.");
    printBody(event);
  }
  return EXIT.ok;
}
