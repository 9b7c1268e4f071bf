/** `postern clock`: the time that schedules and retries follow, and moving it when it is virtual. */
import type { Command } from "commander";
import { readDelay, readMoment } from "../domain/delay.ts";
import { MINUTE } from "../domain/duration.ts";
import { type ApiClient, createApiClient } from "./http-client.ts";
import { addOutputOptions, isRow, type OutputOptions } from "./listing.ts";
import { formatFields, type Row } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/clock";
/** Longer than the server walks in one call. */
const ADVANCE_TIMEOUT_MS = 15 * MINUTE;

interface AdvanceOptions extends OutputOptions {
  readonly to?: string;
}

export function addClockCommand(program: Command): void {
  const clock = program.command("clock").description("the time that schedules, retries and retention follow");
  addOutputOptions(clock.command("show", { isDefault: true }))
    .description("show the server's clock")
    .action(action(show));
  addOutputOptions(clock.command("advance [by]"))
    .description("advance a virtual clock, such as by 1d; all that becomes due happens before this ends")
    .option("--to <instant>", "where to, instead of how far: 2026-04-01, or 2026-04-01T09:00:00Z")
    .action(action(advance));
}

async function show(options: OutputOptions): Promise<ExitCode> {
  const { kind, now } = await fetchClock(createApiClient(options));
  if (options.json) printJson({ kind, now });
  else for (const line of formatFields({ clock: kind, now })) print(line);
  return EXIT.ok;
}

async function advance(by: string | undefined, options: AdvanceOptions): Promise<ExitCode> {
  const client = createApiClient(options);
  const started = await fetchClock(client);
  const to = new Date(readTarget(by, options, Date.parse(String(started.now)))).toISOString();
  let attempts = 0;
  let from: unknown = null;
  for (;;) {
    const answer = asRow(
      await client.request("POST", `${PATH}/advance`, { to }, { timeoutMs: ADVANCE_TIMEOUT_MS }),
    );
    from ??= answer.from;
    attempts += Number(answer.attempts);
    const { now } = answer;
    if (answer.isComplete !== true && answer.steps === 0) {
      throw new CommandError(`the clock is held at ${String(now)}: something there does not end`);
    }
    if (answer.isComplete !== true) continue;
    if (options.json) printJson({ from, now, attempts });
    else print(`The clock went from ${String(from)} to ${String(now)}; attempts: ${attempts}`);
    return EXIT.ok;
  }
}

function readTarget(by: string | undefined, { to }: AdvanceOptions, now: number): number {
  if ((by === undefined) === (to === undefined)) {
    throw new CommandError("say either how far, such as 1d, or where to, with --to");
  }
  if (to === undefined) {
    const delay = readDelay(by ?? "");
    if (!delay.ok) throw new CommandError(delay.problem);
    return now + delay.delayMs;
  }
  const moment = readMoment(to, "UTC");
  if (!moment.ok) throw new CommandError(`--to: ${moment.problem}`);
  return moment.at;
}

async function fetchClock(client: ApiClient): Promise<Row> {
  return asRow(await client.request("GET", PATH));
}

function asRow(answer: unknown): Row {
  if (isRow(answer)) return answer;
  throw new CommandError("what answered there is no Postern; check --server");
}
