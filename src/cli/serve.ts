/**
 * `postern serve`: builds the app, starts it, and turns the process's signals into its verbs.
 *
 *   starting   until every listener is open; a failure here is one line on stderr and exit code 1
 *   running    SIGHUP reloads the configuration
 *   draining   after the first SIGTERM or SIGINT: no new requests, attempts in flight may end, exit code 0
 *
 * A second SIGTERM or SIGINT ends the process at once, with exit code 1; what was in flight is sent again
 * after the next start.
 */
import type { Command } from "commander";
import { type App, createApp } from "../app.ts";
import type { Config } from "../config/config.ts";
import { type ConfigIssue, formatIssue } from "../config/issue.ts";
import { SystemClock } from "../runtime/clock.ts";
import { createLog, type Log } from "../runtime/log.ts";
import { SystemRandom } from "../runtime/random.ts";
import { StoreOpenError } from "../storage/database.ts";
import { COMMIT, VERSION } from "./build-info.ts";
import { demoLines } from "./demo.ts";
import { addConfigOption, type ConfigOption, readSettings } from "./settings.ts";
import { action, CommandError, EXIT, type ExitCode, print, printError } from "./terminal.ts";

export function addServeCommand(program: Command): void {
  addConfigOption(program.command("serve")).description("run the server").action(action(serve));
}

async function serve({ config: file }: ConfigOption): Promise<ExitCode> {
  const config = loadOrExplain(file);
  const log = createLog(config.log.level);
  const random = new SystemRandom();
  const app = createApp({
    config,
    clock: new SystemClock(),
    random,
    log,
    reloadConfig: async () => readSettings(file),
    version: { version: VERSION, commit: COMMIT },
  });
  const stopping = Promise.withResolvers<string>();
  listenForSignals(app, { log, stopping, file });
  await startOrExplain(app, config, random);
  const signal = await stopping.promise;
  log.info("server.draining", { signal, limitMs: config.server.drainTimeoutMs });
  await app.stop({ limitMs: config.server.drainTimeoutMs });
  log.flush();
  // Idle sockets to receivers would keep the process for a while.
  process.exit(EXIT.ok);
}

/** Returns the configuration. Warnings go to stderr; errors too, all of them, and end the command. */
function loadOrExplain(file: string): Config {
  const loaded = readSettings(file);
  for (const issue of loaded.warnings) printError(`warning: ${formatIssue(issue, file)}`);
  if (loaded.ok) return loaded.config;
  throw new CommandError(loaded.errors.map((issue) => `error: ${formatIssue(issue, file)}`).join("\n"));
}

async function startOrExplain(app: App, config: Config, random: SystemRandom): Promise<void> {
  try {
    const { listeners } = await app.start();
    for (const { role, url } of listeners) print(`Listening on ${url} (${role})`);
    for (const line of demoLines(config, random)) print(line);
  } catch (error) {
    const reason = explainStart(error);
    if (reason === null) throw error;
    printError(`error: ${reason}`);
    // Whatever did start must not keep the process alive.
    process.exit(EXIT.failed);
  }
}

/** Returns one line for what an operator can put right, null for everything else. */
function explainStart(error: unknown): string | null {
  if (error instanceof StoreOpenError) return error.message;
  if (!(error instanceof Error) || !("code" in error)) return null;
  const place = "address" in error && "port" in error ? ` ${error.address}:${error.port}` : "";
  if (error.code === "EADDRINUSE") return `the address${place} is in use by another program`;
  if (error.code === "EACCES") return `no permission to listen on${place}: ${error.message}`;
  if (error.code === "EADDRNOTAVAIL") return `the address${place} does not belong to this machine`;
  return null;
}

interface SignalContext {
  readonly log: Log;
  readonly stopping: PromiseWithResolvers<string>;
  readonly file: string;
}

function listenForSignals(app: App, { log, stopping, file }: SignalContext): void {
  let isStopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (!isStopping) {
        isStopping = true;
        stopping.resolve(signal);
        return;
      }
      log.warn("server.aborted", { signal });
      app.abort();
      log.flush();
      process.exit(EXIT.failed);
    });
  }
  process.on("SIGHUP", () => {
    app.reload().then(
      (result) => logReload(result, log, file),
      (error: unknown) => log.error("config.reload_failed", { error: String(error) }),
    );
  });
}

type ReloadOutcome = Awaited<ReturnType<App["reload"]>>;

function logReload(result: ReloadOutcome, log: Log, file: string): void {
  if (result.ok) {
    log.info("config.reloaded", {});
    return;
  }
  const errors = result.errors.map((issue: ConfigIssue) => formatIssue(issue, file));
  log.error("config.rejected", { errors });
}
