/** `postern tail`: what happens, as it happens, one line each, until it is interrupted. */
import type { Command } from "commander";
import { streamLines } from "./http-client.ts";
import { addOutputOptions, isRow, type OutputOptions } from "./listing.ts";
import { type Row, showText } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printError } from "./terminal.ts";

interface TailOptions extends OutputOptions {
  readonly since?: string;
  readonly endpoint?: string;
  readonly type?: string;
  readonly state?: string;
  /** False with --no-follow. */
  readonly follow: boolean;
}

export function addTailCommand(program: Command): void {
  addOutputOptions(program.command("tail"))
    .description("watch events, deliveries and attempts as they happen")
    .option("--since <cursor>", "go on after this cursor, as far as it is still kept")
    .option("--endpoint <endpoint>", "only deliveries to this endpoint: its name or id")
    .option("--type <type>", "only of this event type, or of a prefix such as invoice.*")
    .option("--state <state>", "only deliveries that come into this state")
    .option("--no-follow", "end when everything so far is shown")
    .action(action(tail));
}

async function tail(options: TailOptions): Promise<ExitCode> {
  const { since, endpoint, type, state, follow, json } = options;
  const query = new URLSearchParams(follow ? {} : { wait: "no" });
  for (const [name, value] of Object.entries({ since, endpoint, type, state })) {
    if (value !== undefined) query.set(name, value);
  }
  let cursor = since ?? "";
  try {
    for await (const text of streamLines(options, `/_/api/tail?${query}`)) {
      const line: unknown = JSON.parse(text);
      if (!isRow(line)) continue;
      cursor = String(line.cursor);
      const shown = json ? text : showLine(line);
      if (shown !== null && line.kind !== "ping") print(shown);
    }
  } catch (error) {
    if (cursor !== "" && error instanceof CommandError) printError(goOn(cursor));
    throw error;
  }
  printError(goOn(cursor));
  return EXIT.ok;
}

function goOn(cursor: string): string {
  return `Go on with --since ${cursor}`;
}

/** Returns the line for a person; null for what only programs need. */
function showLine({ kind, at, missed, event, delivery, attempt }: Row): string | null {
  if (kind === "gap")
    return `-- ${typeof missed === "number" ? String(missed) : "an unknown number"} missed --`;
  if (isRow(event)) {
    const facts = [event.source, event.type, `${String(event.sizeBytes)} bytes`];
    return join([at, "event", event.id, ...facts]);
  }
  if (!isRow(delivery)) return null;
  const tried = isRow(attempt) ? [`attempt ${String(attempt.number)}`, attempt.error ?? attempt.status] : [];
  const took = isRow(attempt) ? [`${String(attempt.durationMs)} ms`] : [];
  return join([at, "delivery", delivery.id, delivery.endpoint, delivery.state, ...tried, ...took]);
}

function join(parts: readonly unknown[]): string {
  return parts
    .filter((part) => part !== null && part !== undefined)
    .map((part) => showText(String(part)))
    .join("  ");
}
