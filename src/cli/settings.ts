/** Reading the configuration file for a command, and its addresses as a person writes them. */
import type { Command } from "commander";
import type { Config, ListenAddress } from "../config/config.ts";
import { formatIssue } from "../config/issue.ts";
import { type LoadedConfig, loadConfig } from "../config/load.ts";
import { checkSigning } from "../domain/header-rules.ts";
import { checkSchedule } from "../domain/schedule-check.ts";
import { checkSource } from "../domain/source-check.ts";
import { CommandError } from "./terminal.ts";

export interface ConfigOption {
  readonly config: string;
}

export function addConfigOption(command: Command): Command {
  return command.option("-c, --config <file>", "the configuration file", "./config.toml");
}

export function readSettings(path: string): LoadedConfig {
  return loadConfig({
    path,
    env: process.env,
    judgeSource: checkSource,
    judgeEndpoint: checkSigning,
    judgeSchedule: checkSchedule,
  });
}

/** Returns the configuration or throws a CommandError whose message lists every error, one per line. */
export function requireSettings(path: string): Config {
  const loaded = readSettings(path);
  if (loaded.ok) return loaded.config;
  throw new CommandError(loaded.errors.map((issue) => formatIssue(issue, path)).join("\n"));
}

/** Returns "127.0.0.1:8420" or "[::1]:8420". */
export function showListen({ hostname, port }: ListenAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Returns the URL at which this machine reaches a listener: a wildcard is no address to connect to. */
export function localUrl({ hostname, port }: ListenAddress): string {
  const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
  return `http://${showListen({ hostname: host, port })}`;
}
