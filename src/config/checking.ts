/** How the checks across keys speak: what they look at, and how a finding gets its place in the file. */

import { type Sparse, suggest } from "./decode.ts";
import { locate, type TableNode } from "./document.ts";
import type { Finding, IssueList, KeyPath } from "./issue.ts";
import type { Declared } from "./schema.ts";

export interface Checking {
  readonly root: TableNode;
  readonly errors: IssueList;
  readonly warnings: IssueList;
}

/** What could be decoded. */
export type Drafts = Sparse<Declared>;

/** A table of the file, and what stands around it. */
export interface Place {
  readonly declared: Drafts;
  readonly path: KeyPath;
  readonly context: Checking;
}

/** Returns the names of a project's endpoints, as far as they could be read. */
export function endpointNames({ endpoint: endpoints = [] }: Drafts, project: string): string[] {
  return endpoints.flatMap((endpoint) => (endpoint?.project === project ? (endpoint.name ?? []) : []));
}

export function fail({ root, errors }: Checking, path: KeyPath, finding: Finding): void {
  errors.add(path, locate(root, path), finding);
}

export function warn({ root, warnings }: Checking, path: KeyPath, message: string): void {
  warnings.add(path, locate(root, path), { message });
}

/** Reports a name that refers to nothing, with the one that was probably meant. */
export function failUnknown(
  context: Checking,
  path: KeyPath,
  { given, known, what }: { given: string; known: readonly string[]; what: string },
): void {
  const guess = suggest(given, known);
  const expected = `the name of a declared ${what}`;
  const hint = guess === null ? `expected ${expected}` : `did you mean ${guess}?`;
  const message = `there is no ${what} ${JSON.stringify(given)}, ${hint}`;
  fail(context, path, { given: JSON.stringify(given), expected, message });
}
