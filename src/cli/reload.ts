/** `postern reload`: has the running server read its configuration file again. */
import type { Command } from "commander";
import { addServerOptions, createApiClient, type ServerOptions } from "./http-client.ts";
import { addConfigOption } from "./settings.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

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
  const { body } = await client.request("POST", "/_/api/reload");
  if (options.json) printJson(body);
  else print(`${client.server} runs with the new configuration`);
  return EXIT.ok;
}
