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
import { type Command, InvalidArgumentError, Option } from "commander";
import { type App, createApp, type ReloadResult } from "../app.ts";
import type { Config } from "../config/config.ts";
import { formatIssue } from "../config/issue.ts";
import { parseInstant } from "../domain/instant.ts";
import { type Clock, SystemClock } from "../runtime/clock.ts";
import { createLog, type Log } from "../runtime/log.ts";
import { RepeatableRandom, SystemRandom } from "../runtime/random.ts";
import { VirtualClock } from "../runtime/virtual-clock.ts";
import { StoreOpenError } from "../storage/database.ts";
import { COMMIT, VERSION } from "./build-info.ts";
import { demoLines } from "./demo.ts";
import { addConfigOption, type ConfigOption, readSettings } from "./settings.ts";
import {
  action,
  CommandError,
  EXIT,
  type ExitCode,
  print,
  printError,
  reasonOf,
  stackOf,
} from "./terminal.ts";

interface ServeOptions extends ConfigOption {
  readonly clock: Clock["kind"];
  readonly clockStart?: number;
}

export function addServeCommand(program: Command): void {
  addConfigOption(program.command("serve"))
    .description("run the server")
    .addOption(
      new Option("--clock <kind>", "virtual: time stands still until `postern clock advance` moves it")
        .choices(["system", "virtual"])
        .default("system"),
    )
    .option("--clock-start <instant>", "where a virtual clock begins: 2026-03-28T00:00:00Z", readStart)
    .action(action(serve));
}

function readStart(text: string): number {
  const at = parseInstant(text);
  if (at !== null) return at;
  throw new InvalidArgumentError("It must be an instant of RFC 3339, such as 2026-03-28T00:00:00Z.");
}

function createClock({ clock: kind, clockStart }: ServeOptions): Clock {
  const system = new SystemClock();
  if (kind === "virtual") return new VirtualClock(clockStart ?? system.now(), system);
  if (clockStart === undefined) return system;
  throw new CommandError("--clock-start is for --clock virtual");
}

async function serve(options: ServeOptions): Promise<ExitCode> {
  const { config: file } = options;
  const clock = createClock(options);
  const config = loadOrExplain(file);
  const log = createLog(config.log.level, clock);
  const random = clock.kind === "virtual" ? new RepeatableRandom() : new SystemRandom();
  const app = createApp({
    config,
    clock,
    random,
    log,
    reloadConfig: async () => readSettings(file),
    version: { version: VERSION, commit: COMMIT },
  });
  const stopping = Promise.withResolvers<string>();
  listenForSignals(app, { log, stopping, file });
  const { listeners } = await startOrExplain(app, config);
  log.flush();
  for (const { role, url } of listeners) print(`Listening on ${url} (${role})`);
  if (clock.kind === "virtual") print(`The clock stands still at ${new Date(clock.now()).toISOString()}`);
  for (const line of demoLines(config, random, file)) print(line);
  const signal = await stopping.promise;
  log.info("server.draining", { signal, limitMs: config.server.drainTimeoutMs });
  log.flush();
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

/** Starts the app and returns its listeners. A failure ends the process here. */
async function startOrExplain(app: App, config: Config): Promise<Awaited<ReturnType<App["start"]>>> {
  try {
    return await app.start();
  } catch (error) {
    const reason = explainStart(error, config);
    printError(reason === null ? stackOf(error) : `error: ${reason}`);
    // Whatever did start must not keep the process alive.
    process.exit(EXIT.failed);
  }
}

/** Returns one line for what an operator can put right, null for what only we can: that gets a stack. */
function explainStart(error: unknown, { store }: Config): string | null {
  if (error instanceof StoreOpenError) return error.message;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return null;
  return error.code.startsWith("SQLITE_") ? `the store ${store.path}: ${error.message}` : error.message;
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
      (error: unknown) => log.error("config.reload_failed", { error: reasonOf(error) }),
    );
  });
}

function logReload(result: ReloadResult, log: Log, file: string): void {
  // What was applied stands in the log already.
  if (!result.ok) {
    const errors = result.errors.map((issue) => formatIssue(issue, file));
    log.error("config.rejected", { errors });
  }
  log.flush();
}
