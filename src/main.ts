/**
 * What must be settled before anything else loads, because Bun reads it once when the process starts:
 *
 * - How many requests `fetch` may have in flight, which is 256 unless the environment says otherwise; 256
 *   receivers that hang would stop every delivery.
 * - The proxy variables: they capture even requests to 127.0.0.1, and an empty `proxy` option does not switch
 *   them off. The only proxy that counts is `egress.proxy`.
 *
 * Both take effect by starting over in the same process (execve keeps the pid, so supervisors notice
 * nothing). There is no top-level await here: the executable could not be built as bytecode with it.
 */

/**
 * The most that Bun takes. The bound that matters is egress.max_in_flight; this one only must not be lower.
 */
const REQUESTS_MAX = 65_535;
/** Set for the second start, so that an environment that does not stick cannot make an endless loop. */
const MARKER = "POSTERN_RESTARTED";

const isProxyVariable = (name: string) => /_proxy$/i.test(name);

/** Starts the process over if its environment has to change; returns when it is as it should be. */
function settleEnvironment(): void {
  const { env } = process;
  const isSettled = Number(env.BUN_CONFIG_MAX_HTTP_REQUESTS) === REQUESTS_MAX;
  const proxyVariables = Object.keys(env).filter(isProxyVariable);
  const isSecondStart = env[MARKER] !== undefined;
  delete env[MARKER];
  for (const name of proxyVariables) delete env[name];
  if ((isSettled && proxyVariables.length === 0) || isSecondStart) return;
  env.BUN_CONFIG_MAX_HTTP_REQUESTS = String(REQUESTS_MAX);
  // Only Windows has no execve; there the limit stays at 256.
  process.execve?.(process.execPath, commandLine(), { ...env, [MARKER]: "1" });
}

/** The arguments that lead here again, from the repository and inside the executable. */
function commandLine(): string[] {
  const { argv, argv0, execArgv } = process;
  // Inside the executable argv[1] is a path in its embedded file system and no argument.
  const isExecutable = import.meta.path.startsWith("/$bunfs/");
  return isExecutable ? [argv0, ...argv.slice(2)] : [argv0, ...execArgv, ...argv.slice(1)];
}

settleEnvironment();
void import("./cli/index.ts").then(({ runCommandLine }) => runCommandLine(process.argv.slice(2)));
