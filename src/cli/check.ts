/** `postern check`: everything that is wrong with a configuration file, and what is risky about it. */
import type { Command } from "commander";
import { type ConfigIssue, formatIssue } from "../config/issue.ts";
import { addConfigOption, type ConfigOption, readSettings } from "./settings.ts";
import { action, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

interface CheckOptions extends ConfigOption {
  readonly json?: boolean;
}

export function addCheckCommand(program: Command): void {
  addConfigOption(program.command("check"))
    .description("validate the configuration file: every error and warning, with its line")
    .option("--json", "print JSON")
    .action(action(checkConfig));
}

function checkConfig({ config: file, json }: CheckOptions): ExitCode {
  const loaded = readSettings(file);
  const errors = loaded.ok ? [] : loaded.errors;
  const exitCode = loaded.ok ? EXIT.ok : EXIT.failed;
  if (json) {
    const inFile = (issues: readonly ConfigIssue[]) => issues.map((issue) => ({ file, ...issue }));
    printJson({ ok: loaded.ok, errors: inFile(errors), warnings: inFile(loaded.warnings) });
    return exitCode;
  }
  for (const issue of errors) printError(`error: ${formatIssue(issue, file)}`);
  for (const issue of loaded.warnings) printError(`warning: ${formatIssue(issue, file)}`);
  if (loaded.ok) {
    const { projects, sources, endpoints, schedules } = loaded.config;
    const counts = [
      count(projects.length, "project"),
      count(sources.length, "source"),
      count(endpoints.length, "endpoint"),
      count(schedules.length, "schedule"),
    ];
    print(`${file} is valid: ${counts.join(", ")}, ${count(loaded.warnings.length, "warning")}`);
  } else printError(`${file}: ${count(errors.length, "error")}, ${count(loaded.warnings.length, "warning")}`);
  return exitCode;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
