/** `postern pause app` and `postern resume app`: endpoints by default, sources with --source. */
import type { Command } from "commander";
import { changeState } from "./endpoints.ts";
import { addOutputOptions, type OutputOptions, runOnEach } from "./listing.ts";
import { action, type ExitCode } from "./terminal.ts";

interface PauseOptions extends OutputOptions {
  readonly source?: boolean;
}

const DESCRIPTIONS = {
  pause: "park what is for endpoints, or let sources take nothing more",
  resume: "open endpoints or sources again; what was parked is sent",
} as const;

export function addPauseCommands(program: Command): void {
  for (const verb of ["pause", "resume"] as const) {
    addOutputOptions(program.command(`${verb} <names...>`))
      .description(DESCRIPTIONS[verb])
      .option("--source", "the names are those of sources")
      .action(action((names: readonly string[], options: PauseOptions) => change(names, options, verb)));
  }
}

function change(
  names: readonly string[],
  options: PauseOptions,
  verb: "pause" | "resume",
): Promise<ExitCode> {
  if (!options.source) return changeState(names, options, verb);
  return runOnEach(names, options, {
    pathOf: (name) => `/_/api/sources/${name}/${verb}`,
    describe: ({ state }, name) => `${name} is ${String(state)}`,
  });
}
