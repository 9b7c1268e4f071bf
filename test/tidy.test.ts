/**
 * The house rules that no other tool checks, as an ordinary test: which way imports go, which ambient powers
 * live where, how large things may get, which leftovers must not stay. Every exception stands in one list
 * with its reason, and an exception that nothing needs any more fails too.
 */
import { describe, expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";
import { type Finding, loadSourceFiles, parseFile, type SourceFile } from "./support/source-files.ts";

const ROOT = join(import.meta.dir, "..");
const FILES = loadSourceFiles(ROOT, ["src", "test", "bench", "scripts"]);
const SOURCES = FILES.filter(({ path }) => path.startsWith("src/"));
const TESTS = FILES.filter(({ path }) => path.startsWith("test/"));

const FILE_LINES_MAX = 400;
const TEST_FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 60;
const LINE_CHARS_MAX = 110;
const PARAMETERS_MAX = 4;

interface Exception {
  readonly rule: string;
  readonly path: string;
  /** The part of the finding's text that it covers. */
  readonly what: string;
  readonly reason: string;
}

const EXCEPTIONS: readonly Exception[] = [
  {
    rule: "sleeps",
    path: "test/e2e/support.ts",
    what: "setTimeout",
    reason: "another process can only be asked again, and is killed at a moment of real time",
  },
  {
    rule: "names",
    path: "src/storage/read-worker.ts",
    what: "worker",
    reason: "it is the entry point of a thread, which the platform calls a worker",
  },
];

const usedExceptions = new Set<Exception>();

/** Returns one line per finding that no exception covers. */
function judge(rule: string, findings: readonly Finding[]): string[] {
  const left = findings.filter(({ path, text }) => {
    const exception = EXCEPTIONS.find(
      (one) => one.rule === rule && one.path === path && text.includes(one.what),
    );
    if (exception) usedExceptions.add(exception);
    return exception === undefined;
  });
  return left.map(({ path, line, text }) => `${path}:${line} ${text}`);
}

/** Applies a check to each file and judges what it finds. */
function violations(
  rule: string,
  files: readonly SourceFile[],
  check: (file: SourceFile) => Finding[],
): string[] {
  return judge(rule, files.flatMap(check));
}

interface Arrow {
  /** Layers that may be imported; `main`, `app` and single files are layers too. */
  readonly to: readonly string[];
  /** Layers of which only types may be imported. */
  readonly typesOf?: readonly string[];
}

/** Free for all: the version. */
const FREE = ["package.json"];

const ARROWS: Readonly<Record<string, Arrow>> = {
  domain: { to: ["domain"] },
  storage: { to: ["storage", "domain", ...FREE] },
  runtime: { to: ["runtime", "domain", ...FREE] },
  http: { to: ["http", "domain", ...FREE], typesOf: ["runtime"] },
  dialects: {
    to: ["domain", "http/auth", "http/body", "http/dialect", "http/door", "http/errors", "http/inbound"],
    typesOf: ["runtime"],
  },
  config: { to: ["config", "domain/duration"] },
  cli: { to: ["cli", "config", "domain", "runtime", "storage", "config.toml", ...FREE] },
  app: {
    to: [
      ...["declarations", "doors", "master-keys"],
      ...["domain", "storage", "runtime", "http", "dialects", "config", ...FREE],
    ],
  },
  doors: { to: ["domain", "runtime", "http", "dialects", ...FREE], typesOf: ["config", "storage"] },
  "master-keys": { to: ["domain", "storage", "runtime"], typesOf: ["config"] },
  declarations: { to: ["domain"], typesOf: ["config", "runtime"] },
  main: { to: ["cli/index"] },
};

/** The one import that goes further than its layer may. */
const FURTHER: Readonly<Record<string, string>> = {
  "src/cli/serve.ts": "app",
  "src/cli/offline-keys.ts": "master-keys",
};

const PACKAGES_OF_DOMAIN: Readonly<Record<string, RegExp>> = {
  croner: /^src\/domain\/cron\.ts$/,
  "ipaddr.js": /^src\/domain\/network\.ts$/,
  "node:crypto": /^src\/domain\/signature\//,
};

/** Returns "http/api/events" for src/http/api/events.ts, and the bare name for files outside src. */
function moduleOf(path: string): string {
  return path.replace(/^src\//, "").replace(/\.ts$/, "");
}

/** Returns the target of a relative import from the root on, or null for a package. */
function targetOf(file: SourceFile, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  return normalize(join(dirname(file.path), specifier));
}

const isWithin = (module: string, layer: string) => module === layer || module.startsWith(`${layer}/`);

function checkArrows(file: SourceFile): Finding[] {
  const module = moduleOf(file.path);
  const [layer = ""] = module.split("/");
  const arrow = ARROWS[layer];
  if (!arrow) return [{ path: file.path, line: 1, text: `belongs to no layer` }];
  const findings: Finding[] = [];
  for (const { specifier, line, isType } of file.imports) {
    const target = targetOf(file, specifier);
    const complain = (text: string) => findings.push({ path: file.path, line, text });
    if (target === null) {
      if (layer === "domain" && !PACKAGES_OF_DOMAIN[specifier]?.test(file.path))
        complain(`imports ${specifier}`);
      if (specifier === "bun:sqlite" && layer !== "storage") complain("imports bun:sqlite outside storage");
      continue;
    }
    const targetModule = moduleOf(target);
    const isAllowed =
      arrow.to.some((one) => isWithin(targetModule, one)) ||
      (isType && arrow.typesOf?.some((one) => isWithin(targetModule, one))) ||
      FURTHER[file.path] === targetModule ||
      isSameDialect(module, targetModule);
    if (!isAllowed) complain(`${layer} must not import ${isType ? "types of " : ""}${targetModule}`);
  }
  return findings;
}

/** A dialect sees its own folder and no other dialect's. */
function isSameDialect(from: string, to: string): boolean {
  const folder = /^dialects\/[^/]+\//.exec(from)?.[0];
  return folder !== undefined && to.startsWith(folder);
}

/** Returns every import cycle once, as "a -> b -> a". */
function findCycles(files: readonly SourceFile[]): string[] {
  const next = new Map<string, string[]>();
  for (const file of files) {
    next.set(
      file.path,
      file.imports.flatMap(({ specifier }) => targetOf(file, specifier) ?? []),
    );
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].map(moduleOf).join(" -> "));
    if (start >= 0 || done.has(path)) return;
    for (const target of next.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of next.keys()) visit(path, []);
  return cycles;
}

interface Power {
  readonly what: string;
  /** Matches the callee or member as written, such as "Date.now" or "fetch". */
  readonly uses: RegExp;
  readonly homes: RegExp;
}

const POWERS: readonly Power[] = [
  {
    what: "the clock",
    uses: /^(Date\.now|performance\.now|process\.hrtime.*|Bun\.nanoseconds|new Date\(\))$/,
    homes: /^src\/runtime\/clock\.ts$/,
  },
  {
    what: "timers",
    uses: /^(globalThis\.)?(setTimeout|setInterval|Bun\.sleep|Bun\.sleepSync)$/,
    homes: /^src\/runtime\/clock\.ts$/,
  },
  {
    what: "turns of the event loop",
    uses: /^setImmediate$/,
    homes: /^src\/(runtime\/clock|storage\/store)\.ts$/,
  },
  {
    what: "randomness",
    uses: /^(Math\.random|(globalThis\.)?crypto\.(getRandomValues|random\w+)|Bun\.randomUUID.*)$/,
    homes: /^src\/runtime\/random\.ts$/,
  },
  {
    what: "outbound requests",
    uses: /^(globalThis\.|Bun\.)?fetch$/,
    homes: /^src\/(runtime\/sender|cli\/http-client)\.ts$/,
  },
  {
    what: "the process",
    uses: /^(process|Bun\.(env|argv|exit|spawn|spawnSync))(\..*)?$/,
    homes: /^src\/(main\.ts|cli\/.*|config\/load\.ts)$/,
  },
  { what: "the console", uses: /^console\..*$/, homes: /^$/ },
];

function checkPowers(file: SourceFile): Finding[] {
  const random = file.imports.filter(({ names }) => names.some((name) => /^(random|getRandom)/.test(name)));
  const isHome = file.path === "src/runtime/random.ts";
  const findings = (isHome ? [] : random).map(({ line }) => ({
    path: file.path,
    line,
    text: "imports randomness, which has its home elsewhere",
  }));
  return [...findings, ...checkUses(file)];
}

function checkUses(file: SourceFile): Finding[] {
  return POWERS.filter(({ homes }) => !homes.test(file.path)).flatMap(({ what, uses }) =>
    file.uses
      .filter(({ text }) => uses.test(text))
      .map(({ line, text }) => ({
        path: file.path,
        line,
        text: `uses ${text}, but ${what} has its home elsewhere`,
      })),
  );
}

/** A declaration file speaks for modules that are not ours and may give them a default export. */
function checkSyntax(file: SourceFile): Finding[] {
  if (file.path.endsWith(".d.ts")) return [];
  return file.banned.map(({ line, text }) => ({ path: file.path, line, text }));
}

/** Words that say nothing about what a thing is; dialects need some of them for their wire formats. */
const EMPTY_WORDS = /^(jobs?|tasks?|hooks?|messages?|workers?|managers?|helpers?|utils?)$/;

function checkNames(file: SourceFile): Finding[] {
  if (file.path.startsWith("src/dialects/")) return [];
  const fileName = file.path.slice(file.path.lastIndexOf("/") + 1).replace(/\..*$/, "");
  const findings: Finding[] = [];
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(fileName)) {
    findings.push({ path: file.path, line: 1, text: "is not named in kebab-case" });
  }
  const named = [{ name: fileName, line: 1 }, ...file.declarations];
  for (const { name, line } of named) {
    const words = name.split(/[-_]|(?<=[a-z0-9])(?=[A-Z])/).map((word) => word.toLowerCase());
    const empty = words.find((word) => EMPTY_WORDS.test(word));
    if (empty) findings.push({ path: file.path, line, text: `${name} contains the word "${empty}"` });
  }
  return findings;
}

function checkComments(file: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const { text, line } of file.comments) {
    const complain = (reason: string) => findings.push({ path: file.path, line, text: reason });
    if (/\bFIXME\b|\bXXX\b/.test(text)) complain("leaves a FIXME");
    if (/\bTODO\b(?!\(#\d+\))/.test(text)) complain("has a TODO without an issue number: write TODO(#12)");
    if (/@ts-(ignore|nocheck)/.test(text)) complain("silences the compiler");
    if (file.path.startsWith("src/") && /@ts-expect-error/.test(text)) complain("silences the compiler");
    if (/^\s*(const|let|import|export|return|await|if \(|for \()[^.]*[;{]\s*$/m.test(text)) {
      complain("looks like code that was commented out");
    }
  }
  return findings;
}

function checkLines(file: SourceFile): Finding[] {
  const linesMax = file.path.startsWith("test/") ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
  const findings = file.lines.flatMap((text, index) =>
    text.length > LINE_CHARS_MAX
      ? [
          {
            path: file.path,
            line: index + 1,
            text: `has ${text.length} characters, at most ${LINE_CHARS_MAX}`,
          },
        ]
      : [],
  );
  const count = file.lines.at(-1) === "" ? file.lines.length - 1 : file.lines.length;
  if (count > linesMax)
    findings.push({ path: file.path, line: 1, text: `has ${count} lines, at most ${linesMax}` });
  return findings;
}

function checkFunctions(file: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const { name, line, lineCount, parameterCount, isSuite } of file.functions) {
    const complain = (text: string) => findings.push({ path: file.path, line, text: `${name} ${text}` });
    // A suite only groups tests; its length says nothing about any function.
    if (lineCount > FUNCTION_LINES_MAX && !isSuite) {
      complain(`has ${lineCount} lines, at most ${FUNCTION_LINES_MAX}`);
    }
    if (parameterCount > PARAMETERS_MAX)
      complain(`takes ${parameterCount} parameters, at most ${PARAMETERS_MAX}`);
  }
  return findings;
}

function checkImportSpelling(file: SourceFile): Finding[] {
  return file.imports
    .filter(({ specifier }) => specifier.startsWith(".") && !/\.(ts|sql|json|toml|html|css)$/.test(specifier))
    .map(({ specifier, line }) => ({
      path: file.path,
      line,
      text: `imports ${specifier} without its extension`,
    }));
}

/**
 * `test.skip` hides what is broken, `test.only` hides all else. `skipIf` names its condition and may stay.
 */
function checkLeftovers(file: SourceFile): Finding[] {
  return file.uses
    .filter(({ text }) => /^(test|it|describe)\.(only|skip|todo|failing)(\..*)?$/.test(text))
    .map(({ line, text }) => ({ path: file.path, line, text: `leaves ${text}` }));
}

function checkSleeps(file: SourceFile): Finding[] {
  return file.uses
    .filter(({ text }) => /^(setTimeout|Bun\.sleep(Sync)?)$/.test(text))
    .map(({ line, text }) => ({ path: file.path, line, text: `waits with ${text} instead of for an event` }));
}

describe("Imports", () => {
  test("follow the arrows between the layers, for types as for values", () => {
    expect(violations("arrows", SOURCES, checkArrows)).toEqual([]);
  });

  test("know of a dialect in one import and one line of app.ts, which can be deleted with its folder", () => {
    const app = FILES.find(({ path }) => path === "src/app.ts");
    const imports = app?.imports.filter(({ specifier }) => specifier.startsWith("./dialects/")) ?? [];
    expect(imports.length).toBeGreaterThan(0);
    for (const { names, line } of imports) {
      const mentions = app?.lines.flatMap((text, index) =>
        names.some((name) => text.includes(name)) ? [index] : [],
      );
      expect(mentions).toHaveLength(2);
      expect(mentions?.[0]).toBe(line - 1);
      expect(app?.lines[mentions?.[1] ?? 0]?.trim()).toBe(`${names[0]},`);
    }
  });

  test("form no cycle", () => {
    expect(findCycles(SOURCES)).toEqual([]);
  });

  test("name the file with its extension", () => {
    expect(violations("spelling", FILES, checkImportSpelling)).toEqual([]);
  });
});

describe("Code", () => {
  test("takes time, randomness, network and process only where they have their home", () => {
    expect(violations("powers", SOURCES, checkPowers)).toEqual([]);
  });

  test("has no default export, enum, namespace or any", () => {
    expect(violations("syntax", FILES, checkSyntax)).toEqual([]);
  });

  test("is named in words that say something", () => {
    expect(violations("names", SOURCES, checkNames)).toEqual([]);
  });

  test("keeps no leftovers in comments", () => {
    expect(violations("comments", FILES, checkComments)).toEqual([]);
  });

  test("stays within the limits for files and lines", () => {
    expect(violations("lines", FILES, checkLines)).toEqual([]);
  });

  test("stays within the limits for functions", () => {
    expect(violations("functions", FILES, checkFunctions)).toEqual([]);
  });
});

describe("Tests", () => {
  test("are all run", () => {
    expect(violations("leftovers", TESTS, checkLeftovers)).toEqual([]);
  });

  test("do not sleep", () => {
    expect(violations("sleeps", TESTS, checkSleeps)).toEqual([]);
  });
});

describe("This test", () => {
  const caught: [string, string, (file: SourceFile) => Finding[]][] = [
    ["src/domain/a.ts", 'import type { Log } from "../runtime/log.ts";', checkArrows],
    ["src/domain/a.ts", 'import { readFileSync } from "node:fs";', checkArrows],
    ["src/http/a.ts", 'import { createLog } from "../runtime/log.ts";', checkArrows],
    ["src/http/a.ts", 'export * from "../storage/store.ts";', checkArrows],
    ["src/runtime/a.ts", 'import { Database } from "bun:sqlite";', checkArrows],
    ["src/dialects/a/a.ts", 'import { b } from "../b/b.ts";', checkArrows],
    ["src/http/a.ts", 'import type { a } from "../dialects/a/a.ts";', checkArrows],
    ["src/cli/a.ts", 'import { a } from "../dialects/a/a.ts";', checkArrows],
    ["src/cli/check.ts", 'const app = import("../app.ts");', checkArrows],
    ["src/runtime/a.ts", 'import { a } from "./b";', checkImportSpelling],
    ["src/runtime/a.ts", "const now = Date.now();", checkPowers],
    ["src/runtime/a.ts", "const now = new Date();", checkPowers],
    ["src/runtime/a.ts", "setTimeout(work, 10);", checkPowers],
    ["src/http/a.ts", 'const answer = await fetch("http://localhost/");', checkPowers],
    ["src/http/a.ts", 'const { HOME } = process.env; console.log("x");', checkPowers],
    ["src/storage/a.ts", 'import { randomBytes } from "node:crypto";', checkPowers],
    ["src/runtime/a.ts", "enum State { on }", checkSyntax],
    ["src/runtime/a.ts", "export default 1;", checkSyntax],
    ["src/runtime/a.ts", "export class SendManager {}", checkNames],
    ["src/runtime/string-utils.ts", "", checkNames],
    ["src/runtime/a.ts", "// TODO: later", checkComments],
    ["src/runtime/a.ts", "// const old = 1;", checkComments],
    ["src/runtime/a.ts", "function f(a, b, c, d, e) {}", checkFunctions],
    ["src/runtime/a.ts", `const f = () => {${"\n".repeat(FUNCTION_LINES_MAX)}};`, checkFunctions],
    ["src/runtime/a.ts", "\n".repeat(FILE_LINES_MAX + 1), checkLines],
    ["src/runtime/a.ts", `// ${"x".repeat(LINE_CHARS_MAX)}`, checkLines],
    ["test/a.test.ts", 'test.only("x", () => {});', checkLeftovers],
    ["test/a.test.ts", "await Bun.sleep(10);", checkSleeps],
  ];

  test.each(caught)("finds fault with %s: %s", (path, text, check) => {
    expect(check(parseFile(path, text))).not.toEqual([]);
  });

  test("sees the whole program", () => {
    expect(SOURCES.length).toBeGreaterThan(50);
    expect(FILES.map(({ path }) => path)).toContain("src/main.ts");
  });

  test("lists no exception that nothing needs", () => {
    expect(EXCEPTIONS.filter((exception) => !usedExceptions.has(exception))).toEqual([]);
  });
});
