/** `postern subscriptions`: which events of which tenant go to which endpoint. */
import type { Command } from "commander";
import { createApiClient } from "./http-client.ts";
import {
  addListOptions,
  addOutputOptions,
  isRow,
  type ListOptions,
  type OutputOptions,
  runList,
  runOnEach,
} from "./listing.ts";
import type { Column } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/subscriptions";

const COLUMNS: readonly Column[] = [
  { title: "name", of: ({ name }) => name },
  { title: "tenant", of: ({ tenant }) => (tenant === "" ? null : tenant) },
  { title: "events", of: ({ eventTypes }) => eventTypes },
  { title: "endpoint", of: ({ endpoint }) => endpoint },
  { title: "from", of: ({ door }) => door },
];

interface CreateOptions extends OutputOptions {
  readonly to: string;
  readonly events: readonly string[];
  readonly tenant?: string;
}

export function addSubscriptionsCommand(program: Command): void {
  const subscriptions = program
    .command("subscriptions")
    .description("look at who gets which events, and change it");
  addListOptions(subscriptions.command("list"))
    .description("list subscriptions in service")
    .action(action(list));
  addOutputOptions(subscriptions.command("create <name>"))
    .description("send events to an endpoint, by their type")
    .requiredOption("--to <endpoint>", "the endpoint's name or id")
    .option("--events <patterns...>", "types such as invoice.paid, invoice.* or *", ["*"])
    .option("--tenant <tenant>", "whose events (default: those without a tenant)")
    .action(action(create));
  addOutputOptions(subscriptions.command("delete <names...>"))
    .description("take subscriptions out of service")
    .action(action(remove));
}

function list(options: ListOptions): Promise<ExitCode> {
  return runList(options, { path: PATH, filter: {}, columns: COLUMNS, nothing: "No subscriptions." });
}

async function create(name: string, options: CreateOptions): Promise<ExitCode> {
  const { to: endpoint, events: eventTypes, tenant } = options;
  const body = { name, endpoint, eventTypes, tenant };
  const made = await createApiClient(options).request("POST", PATH, body);
  if (!isRow(made)) throw new CommandError("what answered there is no Postern; check --server");
  if (options.json) printJson(made);
  else print(`${name} sends ${eventTypes.join(", ")} to ${String(made.endpoint)}`);
  return EXIT.ok;
}

function remove(names: readonly string[], options: OutputOptions): Promise<ExitCode> {
  return runOnEach(names, options, {
    method: "DELETE",
    pathOf: (name) => `${PATH}/${name}`,
    describe: (_answer, name) => `${name} is out of service`,
  });
}
