/** `postern schedule app --delay 2h --body '{"remind":1}'`: one delivery, later. */
import type { Command } from "commander";
import { addHeaderOption, type Headers, isJson, readContent } from "./content.ts";
import { createApiClient } from "./http-client.ts";
import { addOutputOptions, isRow, type OutputOptions } from "./listing.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

interface ScheduleOptions extends OutputOptions {
  readonly at?: string;
  readonly delay?: string;
  readonly tz?: string;
  readonly body?: string;
  readonly header: Headers;
}

export function addScheduleCommand(program: Command): void {
  addHeaderOption(addOutputOptions(program.command("schedule <endpoint>")), "sent with it")
    .description("send an endpoint one delivery later, at a moment or after a delay")
    .option("--at <time>", "an instant, or a local time in --tz: 2026-12-01T09:00:00")
    .option("--delay <delay>", "a duration such as 1d2h, or seconds")
    .option("--tz <zone>", "the time zone of --at (default: UTC)")
    .option("--body <text>", "a text, @file, or - for standard input; application/json when it is JSON")
    .action(action(schedule));
}

async function schedule(endpoint: string, options: ScheduleOptions): Promise<ExitCode> {
  const { at, delay, tz: timezone, header } = options;
  const body = options.body === undefined ? undefined : readContent(options.body);
  if (at !== undefined && delay !== undefined) throw new CommandError("give either --at or --delay");
  const headers =
    body !== undefined && isJson(body) ? { "content-type": "application/json", ...header } : header;
  const answer = await createApiClient(options).request("POST", "/_/api/deliveries", {
    endpoint,
    at,
    delay,
    timezone,
    body,
    headers,
  });
  if (!isRow(answer)) throw new CommandError("what answered there is no Postern; check --server");
  if (options.json) printJson(answer);
  else print(`${String(answer.id)} is due at ${String(answer.dueAt ?? answer.scheduledAt)}`);
  return EXIT.ok;
}
