/** `postern projects`: the tenancy roots, with a key of the project default. */
import type { Command } from "commander";
import { createApiClient } from "./http-client.ts";
import {
  addListOptions,
  addOutputOptions,
  type ListOptions,
  type OutputOptions,
  runList,
  runOnEach,
} from "./listing.ts";
import type { Column } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/projects";

const COLUMNS: readonly Column[] = [
  { title: "name", of: ({ name }) => name },
  { title: "from", of: ({ door }) => door },
  { title: "created", of: ({ createdAt }) => createdAt },
];

export function addProjectsCommand(program: Command): void {
  const projects = program.command("projects").description("look at projects, make and delete them");
  addListOptions(projects.command("list")).description("list projects in service").action(action(list));
  addOutputOptions(projects.command("create <name>"))
    .description("make a project; it is of use once it has a key")
    .action(action(create));
  addOutputOptions(projects.command("delete <names...>"))
    .description("take projects out of service, and their keys with them")
    .action(action(remove));
}

function list(options: ListOptions): Promise<ExitCode> {
  return runList(options, { path: PATH, filter: {}, columns: COLUMNS, nothing: "No projects." });
}

async function create(name: string, options: OutputOptions): Promise<ExitCode> {
  const made = await createApiClient(options).request("POST", PATH, { name });
  if (options.json) printJson(made);
  else print(`${name} is there; postern keys create --project ${name} makes its first key`);
  return EXIT.ok;
}

function remove(names: readonly string[], options: OutputOptions): Promise<ExitCode> {
  return runOnEach(names, options, {
    method: "DELETE",
    pathOf: (name) => `${PATH}/${name}`,
    describe: (_answer, name) => `${name} is out of service`,
  });
}
