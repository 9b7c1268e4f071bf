/**
 * `postern trigger stripe:invoice.paid --to billing`: sends a source what its provider would send, signed
 * with the source's own secrets out of the configuration file.
 */
import { type Command, InvalidArgumentError } from "commander";
import type { Config, SourceConfig } from "../config/config.ts";
import { readSampleName, type Sample, sampleEvent, samplePresets } from "../domain/sample/index.ts";
import { SystemClock } from "../runtime/clock.ts";
import { SystemRandom } from "../runtime/random.ts";
import { sendWebhook } from "./http-client.ts";
import { addConfigOption, type ConfigOption, localUrl, requireSettings } from "./settings.ts";
import { showText } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

type SampleName = NonNullable<ReturnType<typeof readSampleName>>;

interface TriggerOptions extends ConfigOption {
  readonly to: string;
  readonly id?: string;
  readonly server?: string;
  readonly print?: boolean;
  readonly json?: boolean;
}

const ID_BYTES = 8;

export function addTriggerCommand(program: Command): void {
  addConfigOption(program.command("trigger"))
    .description("send a source a signed sample, such as stripe:invoice.paid")
    .argument("<preset:type>", "whose event, and which; the type may be left out", readName)
    .requiredOption("--to <source>", "the source that gets it; its secrets are read from the config")
    .option("--id <id>", "what the event's ids are made of; the same again is a duplicate (default: random)")
    .option("--server <url>", "where the server is (default: server.listen of the config)")
    .option("--print", "print the request as a curl command instead of sending it")
    .option("--json", "print JSON")
    .addHelpText("after", () => `\nPresets, and some of their types:\n${describePresets()}`)
    .action(action(trigger));
}

async function trigger(name: SampleName, options: TriggerOptions): Promise<ExitCode> {
  const config = requireSettings(options.config);
  const source = findSource(config, options.to);
  const server = (options.server ?? localUrl(config.server.listen)).replace(/\/+$/, "");
  if (!URL.canParse(server)) throw new CommandError(`--server ${server} is not a URL`);
  const result = sampleEvent({
    ...name,
    verify: source.verify,
    id: options.id ?? Buffer.from(new SystemRandom().bytes(ID_BYTES)).toString("hex"),
    now: new SystemClock().wallNow(),
    url: `${server}/in/${source.name}`,
  });
  if (!result.ok) throw new CommandError(result.detail);
  if (!options.print) return send(result.sample, options.json ?? false);
  print(toCurl(result.sample));
  return EXIT.ok;
}

async function send({ method, url, headers, body }: Sample, isJson: boolean): Promise<ExitCode> {
  const { status, text } = await sendWebhook(url, { method, headers: Object.entries(headers), body });
  if (isJson) printJson({ status, answer: parseJson(text) });
  else print(`${status} ${showText(text)}`.trimEnd());
  if (status < 300) return EXIT.ok;
  if (status === 401 || status === 404) {
    printError("Does the server run with this configuration? `postern reload` applies a changed file.");
  }
  return EXIT.failed;
}

function findSource({ sources }: Config, name: string): SourceConfig {
  const source = sources.find((candidate) => candidate.name === name);
  if (source) return source;
  const known = sources.map((candidate) => candidate.name).join(", ");
  throw new CommandError(`the config declares no source ${name}; it has ${known === "" ? "none" : known}`);
}

function readName(text: string): SampleName {
  const name = readSampleName(text);
  if (name !== null) return name;
  const presets = samplePresets().map(({ preset }) => preset);
  throw new InvalidArgumentError(`There are samples of ${presets.join(", ")}.`);
}

function describePresets(): string {
  return samplePresets()
    .map(({ preset, types }) => `  ${preset.padEnd(12)}${types.join(", ")}`)
    .join("\n");
}

/** Returns a command that a shell can run as it is. It is valid for as long as the source takes its time. */
function toCurl({ method, url, headers, body }: Sample): string {
  const lines = [`curl -i -X ${method} ${quote(url)}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quote(`${name}: ${value}`)}`);
  return [...lines, `--data-binary ${quote(body)}`].join(" \\\n  ");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
