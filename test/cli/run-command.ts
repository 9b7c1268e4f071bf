/** Runs the command line from the repository, as `npm start` does. */
import { join } from "node:path";

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
