/** What commands are given to send: a text on the command line, a file, or standard input. */
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { CommandError, reasonOf } from "./terminal.ts";

export type Headers = Readonly<Record<string, string>>;

/** Returns the text itself, what stands in the file of "@file", or what comes in on "-". */
export function readContent(text: string): string {
  if (text !== "-" && !text.startsWith("@")) return text;
  const file = text === "-" ? "/dev/stdin" : text.slice(1);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${reasonOf(error)}`);
  }
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Adds --header, which may be repeated. */
export function addHeaderOption(command: Command, description: string): Command {
  const option = new Option("--header <name: value>", `${description}; may be repeated`);
  return command.addOption(option.argParser(readHeader).default({}, "none"));
}

function readHeader(text: string, earlier: Headers): Headers {
  const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('It must look like "X-Reason: reminder".');
  }
  return { ...earlier, [name]: value };
}
