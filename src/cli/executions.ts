/** `postern executions`: what functions did, attempt by attempt, with their logs and what came of them. */
import type { Command } from "commander";
import { createApiClient } from "./http-client.ts";
import {
  addListOptions,
  addOutputOptions,
  addTimeOptions,
  fetchOne,
  isRow,
  type ListOptions,
  type OutputOptions,
  printSection,
  rowsOf,
  runList,
  runOnEach,
} from "./listing.ts";
import { showLogLine } from "./logs.ts";
import { type Column, formatFields, formatTable, type Row, showText, showValue } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/executions";

interface ExecutionListOptions extends ListOptions {
  readonly function?: string;
  readonly status?: string;
  readonly parent?: string;
  readonly search?: string;
  readonly since?: string;
  readonly until?: string;
}

const COLUMNS: readonly Column[] = [
  { title: "id", of: ({ id }) => id },
  { title: "created", of: ({ createdAt }) => createdAt },
  { title: "function", of: (row) => row.function },
  { title: "status", of: ({ status }) => status },
  { title: "attempts", of: ({ attemptCount }) => attemptCount },
  { title: "ms", of: ({ durationMs }) => durationMs },
  { title: "last", of: ({ lastStatus, lastError }) => lastError ?? lastStatus },
];

const ATTEMPT_COLUMNS: readonly Column[] = [
  { title: "no", of: ({ number }) => number },
  { title: "started", of: ({ startedAt }) => startedAt },
  { title: "ms", of: ({ durationMs }) => durationMs },
  { title: "outcome", of: ({ outcome }) => outcome },
  { title: "status", of: ({ status }) => status },
  { title: "error", of: ({ error, failure }) => error ?? failure },
];

export function addExecutionsCommand(program: Command): void {
  const executions = program.command("executions").description("look at what functions did, and act on it");
  addTimeOptions(addListOptions(executions.command("list")))
    .description("list executions, newest first")
    .option("--function <function>", "only of this function: its name or id")
    .option("--status <status>", "only pending, running, success or failed ones")
    .option("--parent <id>", "only what this execution asked for")
    .option("--search <text>", "only with this text in name, payload, error, answer or logs")
    .action(action(list));
  addOutputOptions(executions.command("get <id>"))
    .description("show an execution with its payload, attempts and logs")
    .action(action(get));
  addOutputOptions(executions.command("tree <id>"))
    .description("show everything that came of the root of an execution")
    .action(action(tree));
  addOutputOptions(executions.command("retry <ids...>"))
    .description("run failed executions again, and waiting ones now")
    .action(
      action((ids: readonly string[], options: OutputOptions) =>
        runOnEach(ids, options, {
          pathOf: (id) => `${PATH}/${id}/retry`,
          describe: ({ status }, id) => `${id} is ${String(status)}`,
        }),
      ),
    );
}

function list(options: ExecutionListOptions): Promise<ExitCode> {
  const { status, parent, search, since, until } = options;
  const filter = { function: options.function, status, parent, q: search, since, until };
  return runList(options, { path: PATH, filter, columns: COLUMNS, nothing: "No executions." });
}

async function get(id: string, options: OutputOptions): Promise<ExitCode> {
  const execution = await fetchOne(options, PATH, id);
  if (options.json) {
    printJson(execution);
    return EXIT.ok;
  }
  const { attempts, logs, payload, payloadEncoding, ...fields } = execution;
  for (const line of formatFields(fields)) print(line);
  if (typeof payload === "string") {
    const kind = payloadEncoding === "base64" ? "payload (base64)" : "payload";
    printSection(kind, showText(payload).split("\n"));
  }
  const tried = rowsOf(attempts);
  if (tried.length > 0) printSection("attempts", formatTable(ATTEMPT_COLUMNS, tried));
  const { responseExcerpt, responseEncoding } = tried.at(-1) ?? {};
  if (typeof responseExcerpt === "string" && responseExcerpt !== "" && responseEncoding === "text") {
    printSection("newest answer", showText(responseExcerpt).trimEnd().split("\n"));
  }
  printSection("logs", rowsOf(logs).map(showLogLine));
  return EXIT.ok;
}

async function tree(id: string, options: OutputOptions): Promise<ExitCode> {
  const path = `${PATH}/${encodeURIComponent(id)}/tree`;
  const answer = await createApiClient(options).request("GET", path);
  if (!isRow(answer)) throw new CommandError("what answered there is no Postern; check --server");
  if (options.json) printJson(answer);
  else for (const line of treeLines(rowsOf(answer.nodes))) print(line);
  return EXIT.ok;
}

/** One line per execution, below the one that asked for it. Nodes come parents first. */
function treeLines(nodes: readonly Row[]): string[] {
  const children = new Map<unknown, Row[]>();
  for (const node of nodes.slice(1)) {
    const siblings = children.get(node.parentId);
    if (siblings) siblings.push(node);
    else children.set(node.parentId, [node]);
  }
  const lines: string[] = [];
  const waiting = nodes.slice(0, 1).map((node) => ({ node, depth: 0 }));
  // Not by recursion: a chain of executions may be longer than the stack.
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, depth } = next;
    lines.push("  ".repeat(depth) + nodeLine(node));
    const below = children.get(node.id) ?? [];
    waiting.push(...below.toReversed().map((child) => ({ node: child, depth: depth + 1 })));
  }
  return lines;
}

function nodeLine(node: Row): string {
  const { id, status, attemptCount, durationMs, lastError } = node;
  const took = typeof durationMs === "number" ? `${durationMs} ms` : null;
  const tries = typeof attemptCount === "number" && attemptCount > 1 ? `${attemptCount} attempts` : null;
  return [node.function, status, id, tries, took, lastError]
    .filter((fact) => fact !== null && fact !== undefined)
    .map(showValue)
    .join("  ");
}
