/** `postern master-key rotate`: has the running server change the key that its secrets are sealed under. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { addServerOptions, createApiClient, type ServerOptions } from "./http-client.ts";
import { addConfigOption } from "./settings.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

interface RotateOptions extends ServerOptions {
  readonly newKey?: string;
  readonly json?: boolean;
}

export function addMasterKeyCommand(program: Command): void {
  const masterKey = program.command("master-key").description("the key that stored secrets are sealed under");
  addServerOptions(addConfigOption(masterKey.command("rotate")))
    .description(
      "seal every stored secret under a new key while the server runs; the old key is then useless",
    )
    .option("--new-key <file>", "file with the new key; made by the server when it reads its key from a file")
    .option("--json", "print JSON")
    .action(action(rotate));
}

async function rotate(options: RotateOptions): Promise<ExitCode> {
  const client = createApiClient(options);
  const newKey = options.newKey === undefined ? undefined : readKey(options.newKey);
  const answer = (await client.request("POST", "/_/api/master-key/rotate", { newKey })) as {
    readonly resealed: number;
    readonly isKeyFileReplaced: boolean;
  };
  if (options.json) printJson(answer);
  else {
    print(`${answer.resealed} values are sealed under the new key.`);
    print(
      answer.isKeyFileReplaced
        ? "The key file holds it."
        : "Put it where the configuration takes store.master_key from, before the next start.",
    );
  }
  return EXIT.ok;
}

function readKey(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
