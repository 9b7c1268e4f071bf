/** `postern reload`: has the running server read its configuration file again. */
import type { Command } from "commander";
import { type ConfigIssue, formatIssue } from "../config/issue.ts";
import { addServerOptions, createApiClient, RefusedError, type ServerOptions } from "./http-client.ts";
import { addConfigOption } from "./settings.ts";
import { action, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

interface ReloadOptions extends ServerOptions {
  readonly json?: boolean;
}

export function addReloadCommand(program: Command): void {
  addServerOptions(addConfigOption(program.command("reload")))
    .description("make the running server apply its configuration file; a bad file changes nothing")
    .option("--json", "print JSON")
    .action(action(reload));
}

async function reload(options: ReloadOptions): Promise<ExitCode> {
  const client = createApiClient(options);
  let answer: unknown;
  try {
    answer = await client.request("POST", "/_/api/reload");
  } catch (error) {
    const issues = error instanceof RefusedError ? issuesOf(error.details) : [];
    for (const issue of issues) printError(`error: ${formatIssue(issue, options.config)}`);
    throw error;
  }
  if (options.json) printJson(answer);
  else for (const line of describeChanges(answer)) print(line);
  return EXIT.ok;
}

/** A file with errors is refused with the list that `postern check` would show. */
function issuesOf(details: unknown): readonly ConfigIssue[] {
  if (typeof details !== "object" || details === null || !("errors" in details)) return [];
  return Array.isArray(details.errors) ? details.errors : [];
}

const CHANGES = { created: "created", updated: "updated", retired: "taken out of service" } as const;

function describeChanges(answer: unknown): string[] {
  const changes = answer as Readonly<Record<string, readonly string[] | undefined>> | null;
  const lines = Object.entries(CHANGES).flatMap(([key, verb]) =>
    (changes?.[key] ?? []).map((name) => `${verb}: ${name}`),
  );
  const restartFor = changes?.restartFor ?? [];
  if (restartFor.length > 0) lines.push(`only a restart applies: ${restartFor.join(", ")}`);
  return lines.length > 0 ? lines : ["nothing to change"];
}
