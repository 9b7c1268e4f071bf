import type { Config } from "../../src/config/config.ts";
import { formatIssue } from "../../src/config/issue.ts";
import { type LoadedConfig, parseConfig } from "../../src/config/load.ts";
import { checkSigning } from "../../src/domain/header-rules.ts";
import { checkSchedule } from "../../src/domain/schedule-check.ts";
import { checkSource } from "../../src/domain/source-check.ts";

export interface Surroundings {
  env?: Record<string, string | undefined>;
  /** Absolute path to content; any other file is missing. */
  files?: Record<string, string>;
}

/**
 * Parses a configuration that stands at /etc/postern/config.toml, with nothing around it but what is given.
 */
export function parseText(text: string, { env = {}, files = {} }: Surroundings = {}): LoadedConfig {
  const readFile = (path: string) => {
    const content = files[path];
    if (content === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    return content;
  };
  return parseConfig({
    text,
    path: "/etc/postern/config.toml",
    env,
    readFile,
    judgeSource: checkSource,
    judgeEndpoint: checkSigning,
    judgeSchedule: checkSchedule,
  });
}

/** Returns the printed errors of a configuration that must not load. */
export function errorsOf(text: string, surroundings?: Surroundings): string[] {
  const loaded = parseText(text, surroundings);
  return loaded.ok ? [] : loaded.errors.map((issue) => formatIssue(issue, "config.toml"));
}

/** Returns the printed warnings, whether the configuration loads or not. */
export function warningsOf(text: string, surroundings?: Surroundings): string[] {
  return parseText(text, surroundings).warnings.map((issue) => formatIssue(issue, "config.toml"));
}

/** Returns the configuration, or fails the test with its errors. */
export function configOf(text: string, surroundings?: Surroundings): Config {
  const loaded = parseText(text, surroundings);
  if (!loaded.ok) throw new Error(loaded.errors.map((issue) => formatIssue(issue, "config.toml")).join("\n"));
  return loaded.config;
}
