/** `postern send app --body '{"hello":"world"}'`: one delivery to one endpoint, now. */
import type { Command } from "commander";
import { SystemClock } from "../runtime/clock.ts";
import { addHeaderOption, type Headers, isJson, readContent } from "./content.ts";
import { type ApiClient, createApiClient } from "./http-client.ts";
import { addOutputOptions, isRow, type OutputOptions } from "./listing.ts";
import type { Row } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

interface SendOptions extends OutputOptions {
  readonly body: string;
  readonly header: Headers;
  readonly wait?: boolean;
}

const PATH = "/_/api/deliveries";
const POLL_MS = 200;
/** Longer than an attempt takes by default. */
const WAIT_MS = 60_000;
const OVER = ["succeeded", "dead", "cancelled", "discarded"];

export function addSendCommand(program: Command): void {
  addHeaderOption(addOutputOptions(program.command("send <endpoint>")), "sent with it")
    .description("send an endpoint one delivery, now")
    .option("--body <text>", "a text, @file, or - for standard input; application/json when it is JSON", "")
    .option("--wait", "wait for its first attempt; fails when that does")
    .action(action(send));
}

async function send(endpoint: string, options: SendOptions): Promise<ExitCode> {
  const delivery = await deliver(createApiClient(options), {
    endpoint,
    body: readContent(options.body),
    headers: options.header,
    isAwaited: options.wait === true,
  });
  if (options.json) printJson(delivery);
  else print(describe(delivery));
  return hasFailed(delivery) ? EXIT.failed : EXIT.ok;
}

interface Wanted {
  readonly endpoint: string;
  readonly body: string;
  readonly headers: Headers;
  /** Whether to wait for the outcome of the first attempt. */
  readonly isAwaited: boolean;
}

/** Sends and returns the delivery as it is then. */
export async function deliver(client: ApiClient, wanted: Wanted): Promise<Row> {
  const { endpoint, body, isAwaited } = wanted;
  const headers = isJson(body) ? { "content-type": "application/json", ...wanted.headers } : wanted.headers;
  let delivery = await client.request("POST", PATH, { endpoint, body, headers });
  const clock = new SystemClock();
  const deadlineMs = clock.monotonicMs() + WAIT_MS;
  while (isRow(delivery) && isAwaited && isUnderWay(delivery) && clock.monotonicMs() < deadlineMs) {
    await new Promise<void>((resolve) => void clock.setWallTimer(POLL_MS, resolve));
    delivery = await client.request("GET", `${PATH}/${String(delivery.id)}`);
  }
  if (!isRow(delivery)) throw new CommandError("what answered there is no Postern; check --server");
  return delivery;
}

function isUnderWay({ state, attemptCount }: Row): boolean {
  return attemptCount === 0 && state !== "held" && !OVER.includes(String(state));
}

export function hasFailed({ state, lastError }: Row): boolean {
  return state === "retrying" || state === "dead" || (lastError !== null && state !== "succeeded");
}

export function describe({ id, endpoint, state, lastStatus, lastError }: Row): string {
  const said = lastError ?? lastStatus;
  const outcome = said === null || said === undefined ? "" : ` (${String(said)})`;
  return `${String(id)} to ${String(endpoint)} is ${String(state)}${outcome}`;
}
