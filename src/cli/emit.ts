/** `postern emit invoice.paid --data '{"total":42}'`: an event for everybody who subscribes to it. */
import type { Command } from "commander";
import { isJson, readContent } from "./content.ts";
import { createApiClient, JsonBody } from "./http-client.ts";
import { addOutputOptions, isRow, type OutputOptions, printSection, rowsOf } from "./listing.ts";
import { type Column, formatTable } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

interface EmitOptions extends OutputOptions {
  readonly data: string;
  readonly tenant?: string;
  readonly id?: string;
  readonly idempotencyKey?: string;
  readonly orderingKey?: string;
}

const COLUMNS: readonly Column[] = [
  { title: "delivery", of: ({ id }) => id },
  { title: "endpoint", of: ({ endpoint }) => endpoint },
];

export function addEmitCommand(program: Command): void {
  addOutputOptions(program.command("emit <type>"))
    .description("publish an event to everybody who subscribes to its type")
    .option("--data <json>", "what it carries: JSON, @file, or - for standard input", "{}")
    .option("--tenant <tenant>", "whose subscriptions are asked (default: those without a tenant)")
    .option("--id <id>", "your own name for it; the same one again within a day is a duplicate")
    .option("--idempotency-key <key>", "what makes it the same event, when that is not its id")
    .option("--ordering-key <key>", "for endpoints that keep the order of each key")
    .action(action(emit));
}

async function emit(type: string, options: EmitOptions): Promise<ExitCode> {
  const { tenant, id, idempotencyKey, orderingKey } = options;
  const data = readContent(options.data).trim();
  if (!isJson(data)) throw new CommandError("--data is no JSON");
  const facts = JSON.stringify({ type, tenant, id, idempotencyKey, orderingKey });
  // The text goes as it was given: parsed and written again, large numbers would lose digits.
  const body = new JsonBody(`${facts.slice(0, -1)},"data":${data}}`);
  const answer = await createApiClient(options).request("POST", "/_/api/events", body);
  if (!isRow(answer)) throw new CommandError("what answered there is no Postern; check --server");
  if (options.json) printJson(answer);
  else {
    const count = Number(answer.deliveryCount);
    const said = answer.duplicate === true ? "came before" : "is stored";
    print(`${String(answer.id)} ${said}; ${count} ${count === 1 ? "delivery" : "deliveries"}`);
    if (count > 0) printSection("to", formatTable(COLUMNS, rowsOf(answer.deliveries)));
  }
  return EXIT.ok;
}
