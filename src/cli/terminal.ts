/** What commands write and how they end. Results go to stdout, complaints to stderr. */

export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure that the user can act on: printed without a stack, then exit code 1. */
export class CommandError extends Error {}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printError(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/**
 * What happens when whoever reads the output has seen enough, as in `postern tail | head -1`: a command ends,
 * and as what was done is done, that is no failure. A server goes on. Without this it is an event that nobody
 * listens to, which ends the process with a stack.
 */
export function watchOutput(command: string | undefined): void {
  const watch = command === "serve" ? goOn : endWithReader;
  process.stdout.off("error", watch).on("error", watch);
}

function endWithReader(error: Error & { readonly code?: string }): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(process.exitCode ?? EXIT.ok);
}

function goOn(): void {}

/** Returns the text of whatever was thrown, without a stack. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For what nobody foresaw: whoever gets the report needs the stack. */
export function stackOf(error: unknown): string {
  return error instanceof Error && error.stack ? error.stack : reasonOf(error);
}

/**
 * Makes a commander action of what a command does: the result becomes the exit code. The process ends when
 * nothing is left to do rather than at once, so that output to a slow pipe is complete.
 */
export function action<Args extends unknown[]>(
  work: (...args: Args) => ExitCode | Promise<ExitCode>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      process.exitCode = await work(...args);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      printError(error.message);
      process.exitCode = EXIT.failed;
    }
  };
}
