/** What is wrong with a configuration file: collected, never thrown, so that one run shows every error. */

export interface Position {
  /** 1-based; 0 when the problem is the file as a whole. */
  readonly line: number;
  /** 1-based; 0 when the problem is the file as a whole. */
  readonly column: number;
}

/** The way to a value: table and key names, and list positions as numbers. */
export type KeyPath = readonly (string | number)[];

export interface ConfigIssue extends Position {
  /** "endpoint[0].timeout"; empty when no single key is to blame. */
  readonly key: string;
  /** The value as the reader wrote it, safe to print; null when there is none. */
  readonly given: string | null;
  readonly expected: string | null;
  /** The whole finding without file, line and key. */
  readonly message: string;
}

export interface Finding {
  readonly given?: string;
  readonly expected?: string;
  /** Replaces the sentence that is otherwise made of `given` and `expected`. */
  readonly message?: string;
}

/** Returns the path as it is written in messages: "endpoint[0].headers.X-Tenant". */
function formatKey(path: KeyPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += `${text === "" ? "" : "."}${/^[\w-]+$/.test(step) ? step : JSON.stringify(step)}`;
  }
  return text;
}

/** Returns one line for one issue, as compilers print it: "config.toml:12: endpoint[0].timeout: got ...". */
export function formatIssue(issue: Pick<ConfigIssue, "line" | "key" | "message">, file: string): string {
  const place = issue.line > 0 ? `${file}:${issue.line}` : file;
  return issue.key === "" ? `${place}: ${issue.message}` : `${place}: ${issue.key}: ${issue.message}`;
}

function sentence({ given, expected }: Finding): string {
  if (given === undefined) return `is missing, expected ${expected ?? "a value"}`;
  return `got ${given}, expected ${expected ?? "something else"}`;
}

/** Keys whose strings are secrets. `file`, `until`, `label` and `scope` beside them are not. */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  "secret",
  "secrets",
  "value",
  "key",
  "api_keys",
  "password",
  "verify_token",
  "master_key",
  "master_key_old",
]);

const GIVEN_CHARS_MAX = 80;

/** Returns whether the value at `path` must never be printed. Header values often carry credentials. */
function isSecretPath(path: KeyPath): boolean {
  const names = path.filter((step) => typeof step === "string");
  return SECRET_KEYS.has(names.at(-1) ?? "") || names.at(-2) === "headers";
}

/**
 * Returns a value as an error message may show it: quoted, cut, and "(secret)" for what a secret key holds.
 */
function showGiven(path: KeyPath, value: unknown): string {
  if (isSecretPath(path)) return "(secret)";
  if (typeof value !== "string") return String(value);
  // A URL may carry a password even where none is allowed; the message about it must not repeat it.
  const masked = value.replace(/\/\/[^/]*@/g, "//***@");
  return JSON.stringify(masked.length > GIVEN_CHARS_MAX ? `${masked.slice(0, GIVEN_CHARS_MAX)}...` : masked);
}

/** Gathers findings in any order and hands them out in the order of the file. */
export class IssueList {
  readonly #issues: ConfigIssue[] = [];

  /** `given` must already be safe to print; addValue is for all other values. */
  add(path: KeyPath, at: Position, finding: Finding): void {
    this.#issues.push({
      line: at.line,
      column: at.column,
      key: formatKey(path),
      given: finding.given ?? null,
      expected: finding.expected ?? null,
      message: finding.message ?? sentence(finding),
    });
  }

  /** Adds "got X, expected Y" for a value that was read, hiding it when its key holds secrets. */
  addValue(path: KeyPath, at: Position, wrong: { value: unknown; expected: string }): void {
    this.add(path, at, { given: showGiven(path, wrong.value), expected: wrong.expected });
  }

  /** Whether anything was found at the path or below it. */
  touches(path: KeyPath): boolean {
    const key = formatKey(path);
    return this.#issues.some(
      (issue) => issue.key.startsWith(key) && /^(?:$|[.[])/.test(issue.key.slice(key.length)),
    );
  }

  get isEmpty(): boolean {
    return this.#issues.length === 0;
  }

  sorted(): readonly ConfigIssue[] {
    return this.#issues.toSorted((a, b) => a.line - b.line || a.column - b.column);
  }
}
