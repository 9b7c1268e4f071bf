/** The program's own text, parsed: what tidy.test.ts needs to know of each file, without opinions. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

export interface Finding {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly text: string;
}

interface Place {
  readonly line: number;
  readonly text: string;
}

interface SourceImport {
  readonly specifier: string;
  readonly line: number;
  /** The imported names, as the other module calls them. */
  readonly names: readonly string[];
  /** True when every name of it is a type. */
  readonly isType: boolean;
}

interface SourceFunction {
  readonly name: string;
  readonly line: number;
  readonly lineCount: number;
  readonly parameterCount: number;
  /** The callback of `describe`. */
  readonly isSuite: boolean;
}

export interface SourceFile {
  /** From the root of the repository on. */
  readonly path: string;
  readonly lines: readonly string[];
  readonly imports: readonly SourceImport[];
  /**
   * Global names and member chains that are used as values, as written: "fetch", "Date.now", "new Date()".
   */
  readonly uses: readonly Place[];
  /** Names of functions, classes, interfaces and types at the top of the file. */
  readonly declarations: readonly { readonly name: string; readonly line: number }[];
  readonly functions: readonly SourceFunction[];
  readonly comments: readonly Place[];
  /** Syntax that is not ours. */
  readonly banned: readonly Place[];
}

/**
 * Reads and parses every TypeScript file below the folders that exist. Throws for a file that does not parse.
 */
export function loadSourceFiles(root: string, folders: readonly string[]): SourceFile[] {
  const paths = [...new Bun.Glob(`{${folders.join(",")}}/**/*.ts`).scanSync(root)].sort();
  return paths.map((path) => parseFile(path, readFileSync(join(root, path), "utf8")));
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

interface FunctionNode extends Node {
  readonly params: readonly Node[];
  readonly id?: { readonly name: string } | null;
  readonly body: Node | null;
}

export function parseFile(path: string, text: string): SourceFile {
  const { program, module, comments, errors } = parseSync(path, text);
  if (errors[0]) throw new Error(`${path}: ${errors[0].message}`);
  const lines = text.split("\n");
  const lineOf = lineFinder(text);
  const seen = collect(program, text, lineOf);
  const statics = [...module.staticImports, ...module.staticExports.flatMap(reexports)];
  const imports: SourceImport[] = statics.map(({ moduleRequest, entries, start }) => ({
    specifier: moduleRequest.value,
    line: lineOf(start),
    names: entries.flatMap(({ importName }) => importName.name ?? []),
    isType: entries.length > 0 && entries.every(({ isType }) => isType),
  }));
  for (const { moduleRequest } of module.dynamicImports) {
    const specifier = text.slice(moduleRequest.start + 1, moduleRequest.end - 1);
    imports.push({ specifier, line: lineOf(moduleRequest.start), names: [], isType: false });
  }
  const remarks = comments.map(({ value, start }) => ({ text: value, line: lineOf(start) }));
  return { path, lines, imports, comments: remarks, ...seen };
}

type StaticExport = ReturnType<typeof parseSync>["module"]["staticExports"][number];

/** `export ... from` is an import as far as arrows are concerned; other exports are none. */
function reexports({ entries, start }: StaticExport) {
  const [first] = entries;
  return first?.moduleRequest ? [{ moduleRequest: first.moduleRequest, entries, start }] : [];
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let index = text.indexOf("\n"); index >= 0; index = text.indexOf("\n", index + 1))
    starts.push(index + 1);
  return (offset) => {
    const after = starts.findIndex((start) => start > offset);
    return after === -1 ? starts.length : after;
  };
}

type Program = ReturnType<typeof parseSync>["program"];
type Seen = Pick<SourceFile, "uses" | "declarations" | "functions" | "banned">;

function collect(program: Program, text: string, lineOf: (offset: number) => number): Seen {
  const uses: Place[] = [];
  const banned: Place[] = [];
  const functions: SourceFunction[] = [];
  const suites = new Set<number>();
  const methodNames = new Map<number, string>();
  const textOf = (node: Node) => text.slice(node.start, node.end);
  const use = (node: Node, as = textOf(node)) => uses.push({ line: lineOf(node.start), text: as });
  const ban = (what: string) => (node: Node) =>
    banned.push({ line: lineOf(node.start), text: `has ${what}` });
  const addFunction = (node: FunctionNode) => {
    if (!node.body) return;
    const line = lineOf(node.start);
    functions.push({
      name: node.id?.name ?? methodNames.get(node.start) ?? textOf(node).slice(0, 40).split("\n")[0] ?? "",
      line,
      lineCount: lineOf(node.end) - line + 1,
      parameterCount: node.params.length,
      isSuite: suites.has(node.start),
    });
  };
  new Visitor({
    CallExpression(node) {
      if (node.callee.type === "Identifier") use(node.callee);
      if (/^describe\b/.test(textOf(node.callee))) for (const one of node.arguments) suites.add(one.start);
    },
    MemberExpression(node) {
      if (!node.computed && /^[\w.]+$/.test(textOf(node))) use(node);
    },
    NewExpression(node) {
      if (textOf(node.callee) === "Date" && node.arguments.length === 0) use(node, "new Date()");
    },
    MethodDefinition: ({ key, value }) => void methodNames.set(value.start, textOf(key)),
    FunctionDeclaration: addFunction,
    FunctionExpression: addFunction,
    ArrowFunctionExpression: addFunction,
    ExportDefaultDeclaration: ban("a default export"),
    TSEnumDeclaration: ban("an enum"),
    TSModuleDeclaration(node) {
      // `declare module "*.sql"` tells the compiler about files and declares no namespace.
      if (node.id.type === "Identifier") ban("a namespace")(node);
    },
    TSAnyKeyword: ban("the type any"),
  }).visit(program);
  return { uses, banned, functions, declarations: declarationsOf(program, lineOf) };
}

function declarationsOf(
  program: Program,
  lineOf: (offset: number) => number,
): { name: string; line: number }[] {
  const found: { name: string; line: number }[] = [];
  for (const statement of program.body) {
    const node = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    if (node && "id" in node && node.id && "name" in node.id) {
      found.push({ name: node.id.name, line: lineOf(node.start) });
    }
  }
  return found;
}
