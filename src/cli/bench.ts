/** `postern bench`: the published measurements, on this machine. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { IS_EXECUTABLE } from "./build-info.ts";
import { action, CommandError, EXIT, type ExitCode } from "./terminal.ts";

export function addBenchCommand(program: Command): void {
  program
    .command("bench")
    .description("measure this machine: throughput, latency and memory, beside the ceilings")
    .argument("[args...]", "passed on; see bench/run.ts")
    .allowUnknownOption()
    .action(action(runBench));
}

/** The measurements start load generators and rival programs from the repository, so they need it. */
async function runBench(args: readonly string[]): Promise<ExitCode> {
  const script = resolve(import.meta.dir, "../../bench/run.ts");
  if (IS_EXECUTABLE || !existsSync(script)) {
    throw new CommandError("bench needs the source repository: run `npm ci && npm run bench` there");
  }
  const child = Bun.spawn([process.execPath, script, ...args], { stdio: ["inherit", "inherit", "inherit"] });
  return (await child.exited) === 0 ? EXIT.ok : EXIT.failed;
}
