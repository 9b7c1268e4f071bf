/**
 * The configuration file as a tree in which every value knows its line. Built from the parser's syntax tree
 * and not with its own getStaticTOMLValue, which drops the positions and writes through "__proto__" keys;
 * tables are Maps here, so no key is special. Environment references are filled in on this tree, after
 * parsing, so that a variable's text can never become syntax.
 */

import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import type { IssueList, KeyPath, Position } from "./issue.ts";

export interface ScalarNode {
  readonly kind: "string" | "number" | "boolean" | "date";
  /** Dates keep their text, because a local and an offset date-time must stay distinguishable. */
  value: string | number | boolean;
  readonly at: Position;
  /** Already reported; whoever reads the value stays silent about it. */
  isBroken: boolean;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: ConfigNode[];
  readonly at: Position;
}

export interface TableNode {
  readonly kind: "table";
  readonly entries: Map<string, TableEntry>;
  readonly at: Position;
}

export interface TableEntry {
  readonly keyAt: Position;
  readonly node: ConfigNode;
}

export type ConfigNode = ScalarNode | ListNode | TableNode;

const START: Position = { line: 1, column: 1 };

function positionOf(node: AST.TOMLNode): Position {
  return { line: node.loc.start.line, column: node.loc.start.column + 1 };
}

function tableAt(at: Position): TableNode {
  return { kind: "table", entries: new Map(), at };
}

/** Returns the tree, or null after reporting the syntax error. The parser stops at the first one. */
export function parseDocument(text: string, issues: IssueList): TableNode | null {
  try {
    const root = tableAt(START);
    for (const part of parseTOML(text, { tomlVersion: "1.0" }).body[0].body) {
      if (part.type === "TOMLKeyValue") addKeyValue(root, part);
      else {
        const table = openTable(root, part.resolvedKey, positionOf(part.key));
        for (const pair of part.body) addKeyValue(table, pair);
      }
    }
    return root;
  } catch (error) {
    // Anything but a ParseError is the parser or this file giving up on absurd input, such as nesting that
    // exhausts the stack; the reader still gets an answer instead of a stack trace.
    if (error instanceof ParseError) {
      const at = { line: error.lineNumber, column: error.column + 1 };
      issues.add([], at, { message: `is not valid TOML: ${error.message}` });
    } else {
      issues.add([], START, { message: "is not valid TOML, or nested too deeply to be read" });
    }
    return null;
  }
}

function childTable(parent: TableNode, key: string, at: Position): TableNode {
  const found = parent.entries.get(key);
  if (found) {
    if (found.node.kind !== "table") throw new TypeError(`${key} is no table`);
    return found.node;
  }
  const node = tableAt(at);
  parent.entries.set(key, { keyAt: at, node });
  return node;
}

function childOfList(parent: TableNode, key: string, place: { index: number; at: Position }): TableNode {
  const found = parent.entries.get(key)?.node;
  if (found && found.kind !== "list") throw new TypeError(`${key} is no list`);
  const list: ListNode = found ?? { kind: "list", items: [], at: place.at };
  if (!found) parent.entries.set(key, { keyAt: place.at, node: list });
  if (place.index === list.items.length) list.items.push(tableAt(place.at));
  const item = list.items[place.index];
  if (item?.kind !== "table") throw new TypeError(`${key}[${place.index}] is no table`);
  return item;
}

/** Walks to the table of a [header], whose resolved key has a number after each array-of-tables name. */
function openTable(root: TableNode, path: readonly (string | number)[], at: Position): TableNode {
  let table = root;
  for (const [step, key] of path.entries()) {
    if (typeof key === "number") continue;
    const index = path[step + 1];
    table = typeof index === "number" ? childOfList(table, key, { index, at }) : childTable(table, key, at);
  }
  return table;
}

function addKeyValue(table: TableNode, pair: AST.TOMLKeyValue): void {
  const keys = pair.key.keys;
  let target = table;
  for (const [index, part] of keys.entries()) {
    const name = part.type === "TOMLBare" ? part.name : part.value;
    if (index < keys.length - 1) target = childTable(target, name, positionOf(part));
    else target.entries.set(name, { keyAt: positionOf(part), node: toNode(pair.value) });
  }
}

function toNode(content: AST.TOMLContentNode): ConfigNode {
  const at = positionOf(content);
  if (content.type === "TOMLArray") return { kind: "list", items: content.elements.map(toNode), at };
  if (content.type === "TOMLInlineTable") {
    const table = tableAt(at);
    for (const pair of content.body) addKeyValue(table, pair);
    return table;
  }
  switch (content.kind) {
    case "string":
    case "boolean":
      return { kind: content.kind, value: content.value, at, isBroken: false };
    case "integer":
    case "float":
      return { kind: "number", value: content.value, at, isBroken: false };
    default:
      return { kind: "date", value: content.datetime, at, isBroken: false };
  }
}

/** Returns the tree of a default, which is written in the schema in the same words as in the file. */
export function nodeOf(value: unknown, at: Position): ConfigNode {
  if (Array.isArray(value)) return { kind: "list", items: value.map((item) => nodeOf(item, at)), at };
  if (typeof value === "string") return { kind: "string", value, at, isBroken: false };
  if (typeof value === "number") return { kind: "number", value, at, isBroken: false };
  if (typeof value === "boolean") return { kind: "boolean", value, at, isBroken: false };
  const table = tableAt(at);
  for (const [key, item] of Object.entries(value ?? {})) {
    table.entries.set(key, { keyAt: at, node: nodeOf(item, at) });
  }
  return table;
}

/** Returns the value without positions, its tables as plain objects and its dates as text. */
export function plainOf(node: ConfigNode): unknown {
  if (node.kind === "list") return node.items.map(plainOf);
  if (node.kind !== "table") return node.value;
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plainOf(entry.node)]));
}

function childOf(node: ConfigNode, step: string | number): ConfigNode | undefined {
  if (node.kind === "list" && typeof step === "number") return node.items[step];
  return node.kind === "table" && typeof step === "string" ? node.entries.get(step)?.node : undefined;
}

/** Returns where a path's value stands, or the nearest table or list around it when the value is absent. */
export function locate(root: TableNode, path: KeyPath): Position {
  let node: ConfigNode = root;
  for (const step of path) {
    const child = childOf(node, step);
    if (!child) break;
    node = child;
  }
  return node.at;
}

/** Returns whether the file itself has a value at the path; a default has none. */
export function isPresent(root: TableNode, path: KeyPath): boolean {
  let node: ConfigNode | undefined = root;
  for (const step of path) node = node && childOf(node, step);
  return node !== undefined;
}

const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Fills in ${NAME} and ${NAME:-default} in every string below `node`; $${ stands for a literal ${. The
 * default also replaces an empty variable, as in a shell. A value with a reference that cannot be filled is
 * reported and broken.
 */
export function interpolate(node: ConfigNode, env: Environment, issues: IssueList, path: KeyPath = []): void {
  if (node.kind === "table") {
    for (const [key, entry] of node.entries) interpolate(entry.node, env, issues, [...path, key]);
  } else if (node.kind === "list") {
    for (const [index, item] of node.items.entries()) interpolate(item, env, issues, [...path, index]);
  } else if (node.kind === "string" && typeof node.value === "string" && node.value.includes("${")) {
    node.value = node.value.replace(REFERENCE, (reference, name?: string, fallback?: string) => {
      if (reference === "$${") return "${";
      const value = name === undefined ? undefined : env[name];
      if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
      if (value !== undefined) return value;
      node.isBroken = true;
      issues.add(path, node.at, name === undefined ? MALFORMED : unsetVariable(name));
      return "";
    });
  }
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: the text is the syntax that it explains.
const REFERENCE_SYNTAX = "${NAME} or ${NAME:-default}";

const MALFORMED = {
  expected: REFERENCE_SYNTAX,
  message: `has a malformed reference, expected ${REFERENCE_SYNTAX}; $\${ stands for a literal \${`,
};

function unsetVariable(name: string) {
  const expected = `the environment variable ${name}`;
  return { given: `\${${name}}`, expected, message: `needs ${expected}, which is not set` };
}
