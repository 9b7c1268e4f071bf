/** `postern schedule app --delay 2h --body '{"remind":1}'`: one delivery, later. */
import { type Command, InvalidArgumentError } from "commander";
import { createApiClient } from "./http-client.ts";
import { addOutputOptions, isRow, type OutputOptions } from "./listing.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

type Headers = Readonly<Record<string, string>>;

interface ScheduleOptions extends OutputOptions {
  readonly at?: string;
  readonly delay?: string;
  readonly tz?: string;
  readonly body?: string;
  readonly header: Headers;
}

export function addScheduleCommand(program: Command): void {
  addOutputOptions(program.command("schedule <endpoint>"))
    .description("send an endpoint one delivery later, at a moment or after a delay")
    .option("--at <time>", "an instant, or a local time in --tz: 2026-12-01T09:00:00")
    .option("--delay <delay>", "a duration such as 1d2h, or seconds")
    .option("--tz <zone>", "the time zone of --at (default: UTC)")
    .option("--body <text>", "what is sent; as application/json when it is JSON")
    .option("--header <name: value>", "sent with it; may be repeated", readHeader, {})
    .action(action(schedule));
}

async function schedule(endpoint: string, options: ScheduleOptions): Promise<ExitCode> {
  const { at, delay, tz: timezone, body, header } = options;
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

function readHeader(text: string, earlier: Headers): Headers {
  const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('It must look like "X-Reason: reminder".');
  }
  return { ...earlier, [name.toLowerCase()]: value };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
