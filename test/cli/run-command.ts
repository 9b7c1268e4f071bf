/** Runs the command line from the repository, as `npm start` does, or within this process. */
import { join } from "node:path";
import { runCommandLine } from "../../src/cli/index.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface CommandPlace {
  cwd?: string;
  env?: Record<string, string>;
}

/**
 * Runs `postern <args>` to its end. The environment is empty but for PATH, `env`, and what main.ts would set
 * and start over for, which only takes time here.
 */
export async function runCommand(args: readonly string[], place: CommandPlace = {}): Promise<CommandResult> {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd: place.cwd ?? import.meta.dir,
    env: { PATH: process.env.PATH ?? "", BUN_CONFIG_MAX_HTTP_REQUESTS: "65535", ...place.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

/**
 * The same within this process, which is a hundred times faster: for commands that only talk to a server. One
 * at a time, because there is one standard output.
 */
export async function callCommand(args: readonly string[]): Promise<CommandResult> {
  const written = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const original = { stdout: process.stdout.write, stderr: process.stderr.write };
  for (const stream of ["stdout", "stderr"] as const) {
    process[stream].write = (chunk: string | Uint8Array) => {
      written[stream].push(Buffer.from(chunk));
      return true;
    };
  }
  try {
    await runCommandLine(args);
  } finally {
    process.stdout.write = original.stdout;
    process.stderr.write = original.stderr;
  }
  const exitCode = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  const textOf = (stream: "stdout" | "stderr") => Buffer.concat(written[stream]).toString();
  return { exitCode, stdout: textOf("stdout"), stderr: textOf("stderr") };
}
