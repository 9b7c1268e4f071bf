/**
 * Reads a positioned tree by a TypeBox schema: checks types, fills defaults, refuses unknown keys, and
 * reports every mistake at its own line. TypeBox's own Value.Errors is used for single values only; for a
 * union it can merely say "expected union value", while people need to hear about the branch that they
 * meant.
 */

import {
  Kind,
  OptionalKind,
  type TArray,
  type TLiteral,
  type TObject,
  type TRecord,
  type TSchema,
  type TUnion,
} from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { closest, distance } from "fastest-levenshtein";
import { type ConfigNode, nodeOf, plainOf, type ScalarNode, type TableNode } from "./document.ts";
import type { IssueList, KeyPath } from "./issue.ts";
import type { TextFormat } from "./values.ts";

export interface Decoding {
  readonly issues: IssueList;
  /** Returns the absolute path of a file that is named relative to the config file. */
  readonly resolvePath: (path: string) => string;
  /** Returns the text of a file, or throws. */
  readonly readFile: (path: string) => string;
}

/** A value of which any part may be missing because it was wrong and has been reported. */
export type Sparse<T> = T extends readonly (infer Item)[]
  ? (Sparse<Item> | undefined)[]
  : T extends object
    ? { [K in keyof T]?: Sparse<T[K]> | undefined }
    : T;

const isObject = (schema: TSchema): schema is TObject => schema[Kind] === "Object";
const isUnion = (schema: TSchema): schema is TUnion => schema[Kind] === "Union";
const isArray = (schema: TSchema): schema is TArray => schema[Kind] === "Array";
const isRecord = (schema: TSchema): schema is TRecord => schema[Kind] === "Record";
const isLiteral = (schema: TSchema): schema is TLiteral => schema[Kind] === "Literal";
const isText = (schema: TSchema): schema is TSchema & TextFormat => typeof schema.parse === "function";

/** Returns the decoded value. Wrong parts are reported to `context.issues` and come out undefined. */
export function decode(schema: TSchema, node: ConfigNode, path: KeyPath, context: Decoding): unknown {
  if (isUnion(schema)) return decodeUnion(schema, node, path, context);
  if (node.kind !== "table" && node.kind !== "list" && node.isBroken) return undefined;
  if (!accepts(schema, node)) return reportMismatch(schema, node, path, context);
  if (schema.isRaw === true) return plainOf(node);
  if (node.kind === "table") {
    return isRecord(schema)
      ? decodeRecord(schema, node, path, context)
      : decodeTable(schema as TObject, node, path, context);
  }
  if (node.kind === "list") {
    if (node.items.length < ((schema as TArray).minItems ?? 0)) {
      context.issues.add(path, node.at, { given: "an empty list", expected: describe(schema) });
    }
    return decodeList(schema as TArray, node.items, path, context);
  }
  return decodeScalar(schema, node, path, context);
}

/** Whether a schema is for values of the node's kind at all, whatever the value. */
function accepts(schema: TSchema, node: ConfigNode): boolean {
  switch (node.kind) {
    case "table":
      return isObject(schema) || isRecord(schema) || schema.isRaw === true;
    case "list":
      return isArray(schema);
    case "date":
      return isText(schema) && schema.takesDates === true;
    default:
      return schema.type === node.kind || (schema.type === "integer" && node.kind === "number");
  }
}

function reportMismatch(schema: TSchema, node: ConfigNode, path: KeyPath, { issues }: Decoding): undefined {
  const expected = describe(schema);
  if (node.kind === "table" || node.kind === "list") {
    issues.add(path, node.at, { given: `a ${node.kind}`, expected });
  } else if (node.kind === "string" && !leavesOf(schema).some((leaf) => leaf.type === "string")) {
    // A lone string where a table or list belongs may well be the secret that should have stood inside it.
    issues.add(path, node.at, { given: "a string", expected });
  } else {
    issues.addValue(path, node.at, { value: node.value, expected });
  }
  return undefined;
}

function decodeScalar(schema: TSchema, node: ScalarNode, path: KeyPath, context: Decoding): unknown {
  if (!isText(schema)) {
    return Value.Check(schema, node.value) ? node.value : reportMismatch(schema, node, path, context);
  }
  let text = String(node.value);
  if (schema.file !== undefined && text !== "") text = context.resolvePath(text);
  if (schema.file === "content") {
    const content = readSecretFile(text, node, path, context);
    if (content === null) return undefined;
    text = content;
  }
  const value = schema.parse(text);
  return value === null ? reportMismatch(schema, node, path, context) : value;
}

function readSecretFile(file: string, node: ScalarNode, path: KeyPath, context: Decoding): string | null {
  try {
    // Editors and `echo` end a file with a newline that is no part of the secret.
    return context.readFile(file).replace(/\r?\n$/, "");
  } catch (error) {
    const given = JSON.stringify(file);
    const message = `names the file ${given}, which cannot be read (${unreadableReason(error)})`;
    context.issues.add(path, node.at, { given, expected: "a readable file", message });
    return null;
  }
}

/** Returns a few words on why a file could not be read: the system's code, or that it is no text. */
export function unreadableReason(error: unknown): string {
  if (error instanceof TypeError) return "not UTF-8 text";
  return error instanceof Error && "code" in error ? String(error.code) : "unreadable";
}

function decodeList(
  schema: TArray,
  items: readonly ConfigNode[],
  path: KeyPath,
  context: Decoding,
): unknown[] {
  return items.map((item, index) => decode(schema.items, item, [...path, index], context));
}

function decodeRecord(schema: TRecord, node: TableNode, path: KeyPath, context: Decoding): unknown {
  const keys = schema.keys as TSchema & TextFormat;
  const values = Object.values(schema.patternProperties)[0] as TSchema;
  const pairs: [string, unknown][] = [];
  for (const [key, entry] of node.entries) {
    if (keys.parse(key) === null) {
      context.issues.add([...path, key], entry.keyAt, {
        given: JSON.stringify(key),
        expected: keys.expected,
      });
    } else pairs.push([key, decode(values, entry.node, [...path, key], context)]);
  }
  return Object.fromEntries(pairs);
}

function decodeTable(schema: TObject, node: TableNode, path: KeyPath, context: Decoding): unknown {
  for (const [key, entry] of node.entries) {
    if (Object.hasOwn(schema.properties, key)) continue;
    reportUnknownKey(Object.keys(schema.properties), [...path, key], entry.keyAt, context);
  }
  const fields: Record<string, unknown> = {};
  for (const [key, property] of Object.entries(schema.properties)) {
    const entry = node.entries.get(key);
    const here = [...path, key];
    if (entry) fields[key] = decode(property, entry.node, here, context);
    else if ("default" in property) {
      fields[key] = decode(property, nodeOf(property.default, node.at), here, context);
    } else if (property[OptionalKind] !== "Optional") {
      context.issues.add(here, node.at, { expected: describe(property) });
    }
  }
  for (const keys of (schema.exactlyOne ?? []) as string[][]) checkExactlyOne(keys, node, path, context);
  return fields;
}

function checkExactlyOne(keys: string[], node: TableNode, path: KeyPath, { issues }: Decoding): void {
  const expected = `either ${keys.join(" or ")}`;
  const present = keys.filter((key) => node.entries.has(key));
  const [first, second] = present;
  if (first === undefined) issues.add([...path, keys[0] ?? ""], node.at, { expected });
  else if (second !== undefined) {
    const at = node.entries.get(second)?.keyAt ?? node.at;
    issues.add([...path, second], at, {
      expected,
      message: `cannot stand beside ${first}, expected ${expected}`,
    });
  }
}

function reportUnknownKey(known: string[], path: KeyPath, at: ConfigNode["at"], { issues }: Decoding): void {
  const given = String(path.at(-1));
  const guess = suggest(given, known);
  const expected = `one of ${known.join(", ")}`;
  const hint = guess === null ? `expected ${expected}` : `did you mean ${guess}?`;
  issues.add(path, at, { given, expected, message: `is not a known key, ${hint}` });
}

/** Returns the known word that the given one was probably meant to be, or null when none is near. */
export function suggest(given: string, known: readonly string[]): string | null {
  if (known.length === 0) return null;
  const guess = closest(given.toLowerCase(), known);
  return distance(given.toLowerCase(), guess.toLowerCase()) <= Math.max(1, Math.floor(guess.length / 3))
    ? guess
    : null;
}

function decodeUnion(schema: TUnion, node: ConfigNode, path: KeyPath, context: Decoding): unknown {
  if (node.kind !== "table" && node.kind !== "list" && node.isBroken) return undefined;
  const branches = leavesOf(schema).filter((branch) => accepts(branch, node));
  const raw = branches.find((branch) => branch.isRaw === true);
  if (raw) return decode(raw, node, path, context);
  if (node.kind === "table") return decodeTables(schema, branches.filter(isObject), { node, path }, context);
  const match =
    branches.length === 1
      ? branches[0]
      : branches.find((branch) => Value.Check(branch, node.kind === "list" ? [] : node.value));
  return match ? decode(match, node, path, context) : reportMismatch(schema, node, path, context);
}

/**
 * Picks the table that is meant by its literal key (`scheme`, `policy`), or else by a required key of its
 * own.
 */
function decodeTables(
  schema: TUnion,
  branches: TObject[],
  place: { node: TableNode; path: KeyPath },
  context: Decoding,
): unknown {
  const { node, path } = place;
  const [first] = branches;
  if (!first) return reportMismatch(schema, node, path, context);
  if (branches.length === 1) return decode(first, node, path, context);
  const tag = tagOf(branches) ?? "";
  const entry = node.entries.get(tag);
  const untagged = branches.find(
    (branch) => !(tag in branch.properties) && branch.required?.some((key) => node.entries.has(key)),
  );
  if (!entry && untagged) return decode(untagged, node, path, context);
  const tags = branches.flatMap((branch) => branch.properties[tag] ?? []).filter(isLiteral);
  const expected = describeLiterals(tags);
  if (!entry) {
    context.issues.add([...path, tag], node.at, { expected });
    return undefined;
  }
  const { node: tagNode } = entry;
  const value = tagNode.kind === "string" ? tagNode.value : undefined;
  const branch = branches.find(({ properties }) => properties[tag]?.const === value && value !== undefined);
  if (branch) return decode(branch, node, path, context);
  reportTag(tagNode, [...path, tag], tags, context);
  return undefined;
}

function reportTag(node: ConfigNode, path: KeyPath, tags: TLiteral[], context: Decoding): void {
  const expected = describeLiterals(tags);
  if (node.kind === "table" || node.kind === "list") {
    context.issues.add(path, node.at, { given: `a ${node.kind}`, expected });
  } else if (!node.isBroken) context.issues.addValue(path, node.at, { value: node.value, expected });
}

function tagOf(branches: TObject[]): string | undefined {
  for (const branch of branches) {
    for (const [key, property] of Object.entries(branch.properties)) if (isLiteral(property)) return key;
  }
  return undefined;
}

/**
 * Returns the alternatives of a union, nested unions opened up; any other schema is its own only
 * alternative.
 */
function leavesOf(schema: TSchema): TSchema[] {
  return isUnion(schema) ? schema.anyOf.flatMap(leavesOf) : [schema];
}

function describeLiterals(literals: TLiteral[]): string {
  return `one of ${literals.map(({ const: value }) => JSON.stringify(value)).join(", ")}`;
}

/** Returns how an error message names what a schema takes: "a whole number of at least 1". */
function describe(schema: TSchema): string {
  if (typeof schema.expected === "string") return schema.expected;
  const leaves = leavesOf(schema);
  if (leaves.length > 1) {
    return leaves.every(isLiteral)
      ? describeLiterals(leaves)
      : [...new Set(leaves.map(describe))].join(", or ");
  }
  if (isLiteral(schema)) return JSON.stringify(schema.const);
  if (isArray(schema)) {
    return `a list${(schema.minItems ?? 0) > 0 ? " of at least one" : ""}, each ${describe(schema.items)}`;
  }
  if (isObject(schema)) return `a table with ${Object.keys(schema.properties).join(", ")}`;
  if (isRecord(schema)) return "a table";
  if (schema.type === "boolean") return "true or false";
  return `${schema.type === "integer" ? "a whole number" : "a number"}${describeRange(schema)}`;
}

function describeRange({ minimum, maximum, exclusiveMinimum }: TSchema): string {
  const from = exclusiveMinimum === undefined ? `from ${minimum}` : `above ${exclusiveMinimum} and`;
  return ` ${from} ${exclusiveMinimum === undefined ? "to" : "up to"} ${maximum}`;
}
