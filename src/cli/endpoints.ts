/** `postern endpoints`: where deliveries go; made, changed, tried, and their signing secrets. */
import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../domain/duration.ts";
import { addHeaderOption, type Headers } from "./content.ts";
import { createApiClient } from "./http-client.ts";
import {
  addListOptions,
  addOutputOptions,
  fetchOne,
  isRow,
  type ListOptions,
  type OutputOptions,
  printSection,
  rowsOf,
  runList,
  runOnEach,
} from "./listing.ts";
import { deliver, describe, hasFailed } from "./send.ts";
import { type Column, formatFields, type Row } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/endpoints";

const COLUMNS: readonly Column[] = [
  { title: "name", of: ({ name }) => name },
  { title: "state", of: ({ state }) => state },
  { title: "breaker", of: ({ breaker }) => (isRow(breaker) ? breaker.state : null) },
  { title: "in flight", of: ({ lane }) => (isRow(lane) ? lane.inFlight : null) },
  { title: "sign", of: ({ sign }) => sign },
  { title: "from", of: ({ door }) => door },
  { title: "url", of: ({ url }) => url },
];

interface DefinitionOptions extends OutputOptions {
  readonly url?: string;
  readonly sign?: readonly string[];
  readonly header: Headers;
  readonly concurrency?: number;
  readonly rate?: number;
  readonly timeout?: number;
}

export function addEndpointsCommand(program: Command): void {
  const endpoints = program.command("endpoints").description("look at where deliveries go, and change it");
  addListOptions(endpoints.command("list")).description("list endpoints in service").action(action(list));
  addOutputOptions(endpoints.command("get <endpoint>"))
    .description("show an endpoint, by name or id, without its secrets")
    .action(action(get));
  addDefinitionOptions(addOutputOptions(endpoints.command("create <name> <url>")))
    .description("make an endpoint; it signs under Standard Webhooks unless --sign says otherwise")
    .action(action(create));
  addDefinitionOptions(addOutputOptions(endpoints.command("update <endpoint>")))
    .description("change an endpoint: what is not given stays")
    .option("--url <url>", "where it sends to")
    .action(action(update));
  addOutputOptions(endpoints.command("delete <endpoints...>"))
    .description("take endpoints out of service; what was accepted for them is still sent")
    .action(action(remove));
  addOutputOptions(endpoints.command("test <endpoint>"))
    .description("send an endpoint a test and wait for its answer")
    .action(action(tryOut));
  addStateCommands(endpoints);
  addSecretCommands(endpoints);
}

function addStateCommands(endpoints: Command): void {
  for (const verb of ["pause", "resume"] as const) {
    addOutputOptions(endpoints.command(`${verb} <endpoints...>`))
      .description(
        verb === "pause" ? "park what is for endpoints" : "open endpoints again, disabled ones too",
      )
      .action(
        action((names: readonly string[], options: OutputOptions) => changeState(names, options, verb)),
      );
  }
}

function addSecretCommands(endpoints: Command): void {
  addOutputOptions(endpoints.command("secrets <endpoint>"))
    .description("list the secrets that an endpoint signs with")
    .option("--reveal", "show their values")
    .action(action(listSecrets));
  addOutputOptions(endpoints.command("rotate <endpoint>"))
    .description("sign with a new secret, and with the old ones until the overlap ends")
    .option("--scheme <scheme>", "whose secret (default: the endpoint's first scheme)")
    .option("--overlap <duration>", "how long the old ones go on signing", "24h")
    .action(action(rotate));
}

function addDefinitionOptions(command: Command): Command {
  return addHeaderOption(command, "sent with everything")
    .option("--sign <scheme...>", "how it signs, with secrets made for it: standard, github, ...; or none")
    .option("--concurrency <attempts>", "at once, at most", readCount)
    .option("--rate <per second>", "attempts per second", Number)
    .option("--timeout <duration>", "for one attempt, such as 15s", readTimeout);
}

function list(options: ListOptions): Promise<ExitCode> {
  return runList(options, { path: PATH, filter: {}, columns: COLUMNS, nothing: "No endpoints." });
}

async function get(name: string, options: OutputOptions): Promise<ExitCode> {
  const endpoint = await fetchOne(options, PATH, name);
  if (options.json) printJson(endpoint);
  else {
    const { breaker, lane, ...fields } = endpoint;
    for (const line of formatFields(fields)) print(line);
    if (isRow(breaker)) printSection("breaker", formatFields(breaker));
    if (isRow(lane)) printSection("lane", formatFields(lane));
  }
  return EXIT.ok;
}

async function create(name: string, url: string, options: DefinitionOptions): Promise<ExitCode> {
  const made = await ask(options, { method: "POST", path: PATH, body: { name, ...bodyOf(options), url } });
  if (options.json) printJson(made);
  else {
    print(`${String(made.name)} (${String(made.id)}) sends to ${String(made.url)}`);
    printSection("secrets, shown this once", rowsOf(made.secrets).map(showSecret));
  }
  return EXIT.ok;
}

async function update(name: string, options: DefinitionOptions): Promise<ExitCode> {
  const changed = await ask(options, { method: "PATCH", path: pathOf(name), body: bodyOf(options) });
  if (options.json) printJson(changed);
  else print(`${String(changed.name)} is changed`);
  return EXIT.ok;
}

function remove(names: readonly string[], options: OutputOptions): Promise<ExitCode> {
  const describeOne = (_answer: Row, name: string) => `${name} is out of service`;
  return runOnEach(names, options, {
    method: "DELETE",
    pathOf: (name) => `${PATH}/${name}`,
    describe: describeOne,
  });
}

async function tryOut(name: string, options: OutputOptions): Promise<ExitCode> {
  const body = JSON.stringify({ type: "test", data: { message: "A test from Postern." } });
  const headers = { "webhook-event-type": "test" };
  const client = createApiClient(options);
  const delivery = await deliver(client, { endpoint: name, body, headers, isAwaited: true });
  if (options.json) printJson(delivery);
  else print(describe(delivery));
  return hasFailed(delivery) ? EXIT.failed : EXIT.ok;
}

/** Also what `postern pause` and `postern resume` do. */
export function changeState(
  names: readonly string[],
  options: OutputOptions,
  verb: "pause" | "resume",
): Promise<ExitCode> {
  return runOnEach(names, options, {
    pathOf: (name) => `${PATH}/${name}/${verb}`,
    describe: ({ state }, name) => `${name} is ${String(state)}`,
  });
}

async function listSecrets(
  name: string,
  { reveal, ...options }: OutputOptions & { readonly reveal?: boolean },
): Promise<ExitCode> {
  const query = reveal ? "?reveal=true" : "";
  return printSecrets(
    await ask(options, { method: "GET", path: `${pathOf(name)}/secrets${query}` }),
    options,
  );
}

async function rotate(
  name: string,
  { scheme, overlap, ...options }: OutputOptions & { readonly scheme?: string; readonly overlap: string },
): Promise<ExitCode> {
  const path = `${pathOf(name)}/secrets/rotate`;
  return printSecrets(await ask(options, { method: "POST", path, body: { scheme, overlap } }), options);
}

function printSecrets(answer: Row, options: OutputOptions): ExitCode {
  const secrets = rowsOf(answer.data);
  if (options.json) printJson(answer);
  else if (secrets.length === 0) print("It does not sign.");
  else for (const secret of secrets) print(showSecret(secret));
  return EXIT.ok;
}

/** Never cut, unlike a cell of a table: it is to be copied. */
function showSecret({ id, scheme, value, publicKey, until }: Row): string {
  const end = typeof until === "string" ? `until ${until}` : null;
  const parts = [scheme, id, value, publicKey, end].filter((part) => part !== null && part !== undefined);
  return parts.map(String).join("  ");
}

interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

async function ask(options: OutputOptions, { method, path, body }: Ask): Promise<Row> {
  const answer = await createApiClient(options).request(method, path, body);
  if (isRow(answer)) return answer;
  throw new CommandError("what answered there is no Postern; check --server");
}

function pathOf(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`;
}

function bodyOf({ url, sign, header, concurrency, rate, timeout }: DefinitionOptions): object {
  const schemes = sign?.filter((scheme) => scheme !== "none");
  return {
    url,
    sign: schemes?.map((scheme) => ({ scheme })),
    ...(Object.keys(header).length === 0 ? {} : { headers: header }),
    concurrency,
    ...(rate === undefined ? {} : { rate: { perSecond: rate } }),
    timeoutMs: timeout,
  };
}

function readCount(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number, 1 at least.");
}

function readTimeout(text: string): number {
  const timeoutMs = parseDuration(text);
  if (timeoutMs !== null && timeoutMs > 0) return timeoutMs;
  throw new InvalidArgumentError('It must be a duration such as "15s".');
}
