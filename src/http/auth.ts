/**
 * From a request's key to what it may do. Keys are known by their SHA-256 only, so a request costs one hash.
 */
import type { KeyScope } from "../domain/access.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { Directory } from "../runtime/directory.ts";

export interface Principal {
  readonly project: string;
  readonly scope: KeyScope;
  readonly keyId: Id;
}

export type KeyDirectory = Pick<Directory, "keyByHash" | "hasProject">;

/** RFC 6750 section 2.1; the scheme's name is case-insensitive (RFC 9110 section 11.1). */
const BEARER = /^Bearer +(\S+) *$/i;

/**
 * Returns whose key the request carries. Throws unauthorized without one, and for an unknown or retired one.
 */
export function authenticate(headers: Headers, directory: KeyDirectory): Principal {
  const sent = BEARER.exec(headers.get("authorization") ?? "")?.[1] ?? headers.get("x-api-key");
  if (!sent) {
    throw new AppError("unauthorized", "send a key as Authorization: Bearer <key> or X-API-Key: <key>");
  }
  const key = directory.keyByHash(new Bun.CryptoHasher("sha256").update(sent).digest("hex"));
  if (!key || key.deletedAt !== null || !directory.hasProject(key.project)) {
    throw new AppError("unauthorized", "this key is not valid");
  }
  return { project: key.project, scope: key.scope, keyId: key.id };
}

/** Throws forbidden unless the principal's scope covers `needed`. An admin key covers everything. */
export function authorize(principal: Principal, needed: KeyScope): void {
  if (principal.scope === "admin" || principal.scope === needed) return;
  throw new AppError("forbidden", `this needs a key of scope ${needed}, yours has ${principal.scope}`, {
    details: { needed, given: principal.scope },
  });
}

/** Keys of this project are the operator's: the server itself, and what concerns all projects, is theirs. */
const OPERATOR_PROJECT = "default";

export function isOperator({ project }: Pick<Principal, "project">): boolean {
  return project === OPERATOR_PROJECT;
}

/** Throws forbidden for keys of any other project, whatever their scope. */
export function assertOperator(principal: Pick<Principal, "project">): void {
  if (isOperator(principal)) return;
  throw new AppError("forbidden", `this needs a key of the project ${OPERATOR_PROJECT}`);
}
