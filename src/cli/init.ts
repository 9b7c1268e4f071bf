/**
 * `postern init`: the manual as a first configuration file, with secrets of its own in place of the known
 * ones.
 */
import { closeSync, fchmodSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { Command } from "commander";
import manual from "../../config.toml" with { type: "text" };
import { type Random, SystemRandom } from "../runtime/random.ts";
import { addConfigOption, type ConfigOption } from "./settings.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson, reasonOf } from "./terminal.ts";

interface InitOptions extends ConfigOption {
  readonly force?: boolean;
  readonly json?: boolean;
}

const MANUAL: string = manual;
const SECRET_BYTES = 24;

/** What in the manual everybody knows, and how a fresh one is written. */
const PLACEHOLDERS: readonly (readonly [known: string, fresh: (bytes: Uint8Array) => string])[] = [
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is what stands in the manual.
  ['"${POSTERN_API_KEY:-dev-key-change-me}"', (bytes) => JSON.stringify(`pk_${base64url(bytes)}`)],
  ['"demo-secret"', (bytes) => JSON.stringify(base64url(bytes))],
  [
    '"whsec_ZGVtby1zZWNyZXQtZm9yLXRoZS1lY2hvLXJlY2VpdmVy"',
    (bytes) => JSON.stringify(`whsec_${Buffer.from(bytes).toString("base64")}`),
  ],
];

export function addInitCommand(program: Command): void {
  addConfigOption(program.command("init"))
    .description("write a commented configuration file with fresh secrets")
    .option("--force", "overwrite an existing file")
    .option("--json", "print JSON")
    .action(action(init));
}

/** Returns the manual with every known secret replaced. Throws when the manual no longer has one of them. */
export function createConfigText(random: Random): string {
  let text = MANUAL;
  for (const [known, fresh] of PLACEHOLDERS) {
    if (!text.includes(known)) throw new Error(`the manual does not contain ${known}`);
    text = text.replaceAll(known, fresh(random.bytes(SECRET_BYTES)));
  }
  return text;
}

function init({ config: path, force, json }: InitOptions): ExitCode {
  writeNew(path, createConfigText(new SystemRandom()), force ?? false);
  if (json) {
    printJson({ path });
    return EXIT.ok;
  }
  const flag = path === "./config.toml" ? "" : ` --config ${path}`;
  print(`Wrote ${path} with fresh secrets; only you can read it. Next:`);
  print("");
  print(`  postern check${flag}     look for mistakes, also after your own changes`);
  print(`  postern doctor${flag}    see whether this machine is ready`);
  print(`  postern serve${flag}     start; it prints how to send a first event`);
  print("");
  print("Then point the endpoint at your application, add your own sources, and turn dev.echo off.");
  return EXIT.ok;
}

/** The file holds secrets, so it is for its owner only from the first byte on. */
function writeNew(path: string, text: string, isOverwriting: boolean): void {
  try {
    const file = openSync(path, isOverwriting ? "w" : "wx", 0o600);
    try {
      // The mode given to open counts for a new file only.
      fchmodSync(file, 0o600);
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    const reason = isThere ? "it exists already; --force overwrites it" : reasonOf(error);
    throw new CommandError(`cannot write ${path}: ${reason}`);
  }
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}
