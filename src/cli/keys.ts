/**
 * `postern keys`: API keys. Through the server, or with --offline straight in the store that nobody else has
 * open: how to get in again when every key is lost.
 */
import { type Command, Option } from "commander";
import { KEY_SCOPES } from "../domain/access.ts";
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
import { createKeyOffline, listKeysOffline, revokeKeyOffline } from "./offline-keys.ts";
import { type Column, formatTable, type Row } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

const PATH = "/_/api/keys";

const COLUMNS: readonly Column[] = [
  { title: "id", of: ({ id }) => id },
  { title: "project", of: ({ project }) => project },
  { title: "scope", of: ({ scope }) => scope },
  { title: "label", of: ({ label }) => label },
  { title: "from", of: ({ door }) => door },
  { title: "created", of: ({ createdAt }) => createdAt },
];

interface KeyOptions {
  readonly offline?: boolean;
  readonly project?: string;
}

interface CreateOptions extends OutputOptions, KeyOptions {
  readonly scope: (typeof KEY_SCOPES)[number];
  readonly label?: string;
}

export function addKeysCommand(program: Command): void {
  const keys = program.command("keys").description("look at API keys, make and revoke them");
  addKeyOptions(addListOptions(keys.command("list")))
    .description("list the keys of a project that are valid")
    .action(action(list));
  addKeyOptions(addOutputOptions(keys.command("create")))
    .description("make a key; it is shown this once")
    .addOption(new Option("--scope <scope>", "what it may do").choices(KEY_SCOPES).default("ingest"))
    .option("--label <label>", "who has it")
    .action(action(create));
  addOutputOptions(keys.command("revoke <ids...>"))
    .description("make keys invalid, at once")
    .option("--offline", "in the store itself, while no server runs")
    .action(action(revoke));
}

function addKeyOptions(command: Command): Command {
  return command
    .option("--project <project>", "of another project than the key's own")
    .option("--offline", "in the store itself, while no server runs");
}

async function list(options: ListOptions & KeyOptions): Promise<ExitCode> {
  const { offline, project } = options;
  if (!offline) {
    return runList(options, { path: PATH, filter: { project }, columns: COLUMNS, nothing: "No keys." });
  }
  const data = await listKeysOffline(options.config, project ?? null);
  if (options.json) printJson({ data, nextCursor: null });
  else if (data.length === 0) print("No keys.");
  else for (const line of formatTable(COLUMNS, data)) print(line);
  return EXIT.ok;
}

async function create(options: CreateOptions): Promise<ExitCode> {
  const { offline, project, scope, label } = options;
  const made: unknown = offline
    ? await createKeyOffline(options.config, { project: project ?? "default", scope, label: label ?? null })
    : await createApiClient(options).request("POST", PATH, { project, scope, label });
  if (!isRow(made)) throw new CommandError("what answered there is no Postern; check --server");
  if (options.json) printJson(made);
  else {
    // The key alone on standard output, for whoever puts it into a variable.
    print(String(made.key));
    printError(`${String(made.id)} may ${meaningOf(made)} in ${String(made.project)}; it is shown this once`);
  }
  return EXIT.ok;
}

async function revoke(
  ids: readonly string[],
  { offline, ...options }: OutputOptions & KeyOptions,
): Promise<ExitCode> {
  if (!offline) {
    return runOnEach(ids, options, {
      method: "DELETE",
      pathOf: (id) => `${PATH}/${id}`,
      describe: (_answer, id) => `${id} is revoked`,
    });
  }
  const revoked = await revokeKeyOffline(options.config, ids);
  if (options.json) printJson(revoked);
  else for (const { id } of revoked) print(`${String(id)} is revoked`);
  return EXIT.ok;
}

function meaningOf({ scope }: Row): string {
  return scope === "ingest" ? "publish" : scope === "read" ? "look" : "do everything";
}
