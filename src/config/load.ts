/**
 * From file and environment to a frozen Config, or to the list of everything that is wrong with it. The
 * steps: parse the text, fill in environment references, decode by the schema (which also reads secret
 * files), check across keys, convert. Only a syntax error stops before the end.
 */

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { checkDeclared } from "./checks.ts";
import type { Config, EndpointConfig, ScheduleConfig, SourceConfig } from "./config.ts";
import { toConfig, toEndpoint, toSchedule, toSource } from "./convert.ts";
import { decode, type Sparse, unreadableReason } from "./decode.ts";
import {
  type Environment,
  interpolate,
  isPresent,
  locate,
  parseDocument,
  type TableNode,
} from "./document.ts";
import { type ConfigIssue, IssueList, type KeyPath } from "./issue.ts";
import { ConfigSchema, type Declared } from "./schema.ts";

export type LoadedConfig =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly ConfigIssue[] }
  | {
      readonly ok: false;
      readonly errors: readonly ConfigIssue[];
      readonly warnings: readonly ConfigIssue[];
    };

/** What only the engine can tell of a source: a secret that is no key, a condition that means nothing. */
export interface SourceFault {
  /** From the source on, with the position in `verify` or `to` as a number. */
  readonly path: KeyPath;
  /** Safe to print. */
  readonly message: string;
}

export type JudgeSchedule = (schedule: ScheduleConfig) => readonly SourceFault[];

/** Its paths begin with `sign` and a position, or with `headers` and a name. */
export type JudgeEndpoint = (endpoint: EndpointConfig) => readonly SourceFault[];

export type JudgeSource = (source: SourceConfig) => readonly SourceFault[];

export interface ConfigInput {
  readonly judgeSource: JudgeSource;
  readonly judgeEndpoint: JudgeEndpoint;
  readonly judgeSchedule: JudgeSchedule;
  readonly text: string;
  /** Absolute; relative paths in the text are resolved against its folder. */
  readonly path: string;
  readonly env: Environment;
  /** Returns the text of a file, or throws; called for `{ file = ... }` secrets only. */
  readonly readFile: (path: string) => string;
}

/** Returns the configuration or every error in it. Pure but for `readFile`; never throws. */
export function parseConfig({ text, path, env, readFile, ...judges }: ConfigInput): LoadedConfig {
  const errors = new IssueList();
  const warnings = new IssueList();
  const root = parseDocument(text, errors);
  if (!root) return { ok: false, errors: errors.sorted(), warnings: [] };
  interpolate(root, env, errors);
  const resolvePath = (file: string) => resolve(dirname(path), file);
  const declared = decode(ConfigSchema, root, [], { issues: errors, resolvePath, readFile });
  checkDeclared(declared as Sparse<Declared>, { root, errors, warnings });
  judgeSources(declared as Declared, { root, errors, judgeSource: judges.judgeSource });
  judgeEndpoints(declared as Declared, { root, errors, judgeEndpoint: judges.judgeEndpoint });
  judgeSchedules(declared as Declared, { root, errors, judgeSchedule: judges.judgeSchedule });
  if (!errors.isEmpty) return { ok: false, errors: errors.sorted(), warnings: warnings.sorted() };
  // Without an error nothing is missing from what the schema promises.
  return { ok: true, config: toConfig(declared as Declared, path), warnings: warnings.sorted() };
}

/** Only sources without a finding of their own are complete enough to be judged. */
function judgeSources(
  { source: sources, server }: Declared,
  context: { root: TableNode; errors: IssueList; judgeSource: JudgeSource },
): void {
  const { root, errors, judgeSource } = context;
  if (errors.touches(["server"]) || !Array.isArray(sources)) return;
  for (const [index, source] of sources.entries()) {
    if (errors.touches(["source", index])) continue;
    for (const { path, message } of judgeSource(toSource(source, server))) {
      const here = pathInFile(root, ["source", index, ...path]);
      errors.add(here, locate(root, here), { message });
    }
  }
}

function judgeEndpoints(
  declared: Declared,
  context: { root: TableNode; errors: IssueList; judgeEndpoint: JudgeEndpoint },
): void {
  const { root, errors, judgeEndpoint } = context;
  const { endpoint: endpoints } = declared;
  const isReadable = !errors.touches(["egress"]) && !errors.touches(["project"]);
  if (!isReadable || !Array.isArray(endpoints)) return;
  for (const [index, endpoint] of endpoints.entries()) {
    if (errors.touches(["endpoint", index])) continue;
    for (const { path, message } of judgeEndpoint(toEndpoint(endpoint, declared))) {
      const here = ["endpoint", index, ...path];
      errors.add(here, locate(root, here), { message });
    }
  }
}

function judgeSchedules(
  { schedule: schedules }: Declared,
  context: { root: TableNode; errors: IssueList; judgeSchedule: JudgeSchedule },
): void {
  const { root, errors, judgeSchedule } = context;
  if (!Array.isArray(schedules)) return;
  for (const [index, schedule] of schedules.entries()) {
    if (errors.touches(["schedule", index])) continue;
    for (const { path, message } of judgeSchedule(toSchedule(schedule))) {
      const here = ["schedule", index, ...path];
      errors.add(here, locate(root, here), { message });
    }
  }
}

/** A single rule may stand without the list that the program always sees. */
function pathInFile(root: TableNode, path: KeyPath): KeyPath {
  const [table, index, key, place, ...rest] = path;
  if (typeof place !== "number" || isPresent(root, path.slice(0, 4))) return path;
  return [table ?? "", index ?? 0, key ?? "", ...rest];
}

export type LoadInput = Pick<ConfigInput, "path" | "env" | "judgeSource" | "judgeEndpoint" | "judgeSchedule">;

/** Reads and parses the file at `path`; a file that cannot be read is an error like any other. */
export function loadConfig({ path, env, ...judges }: LoadInput): LoadedConfig {
  const absolute = resolve(path);
  let text: string;
  try {
    text = readText(absolute);
  } catch (error) {
    const issues = new IssueList();
    issues.add([], WHOLE_FILE, { message: `cannot be read (${unreadableReason(error)})` });
    return { ok: false, errors: issues.sorted(), warnings: [] };
  }
  return parseConfig({ text, path: absolute, env, readFile: readText, ...judges });
}

const WHOLE_FILE = { line: 0, column: 0 };

function readText(path: string): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
}
