/** `postern version`: what this program is made of. */
import type { Command } from "commander";
import { sqliteVersion } from "../storage/database.ts";
import { COMMIT, VERSION } from "./build-info.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

interface VersionOptions {
  readonly json?: boolean;
}

export function addVersionCommand(program: Command): void {
  program
    .command("version")
    .description("show the version of Postern and of what is inside it")
    .option("--json", "print JSON")
    .action(action(showVersion));
}

function showVersion({ json }: VersionOptions): ExitCode {
  const versions = { version: VERSION, commit: COMMIT, bun: Bun.version, sqlite: sqliteVersion() };
  if (json) printJson(versions);
  else {
    print(`postern ${versions.version} (${versions.commit})`);
    print(`bun     ${versions.bun}`);
    print(`sqlite  ${versions.sqlite}`);
  }
  return EXIT.ok;
}
