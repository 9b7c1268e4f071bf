/**
 * The dialect's own table of routes: a method and a path whose `:name` parts become parameters. Small on
 * purpose: bodies are read by the handlers, as bytes, and every answer, errors included, has HookBridge's
 * envelope.
 */
import type { KeyScope } from "../../domain/access.ts";
import type { HookbridgeSettings } from "../../domain/project-settings.ts";
import type { Principal } from "../../http/auth.ts";
import type { RequestContext } from "../../http/door.ts";
import type { Fields, Query } from "./fields.ts";

/** One authenticated request, as its handler sees it. */
export interface Call {
  readonly request: Request;
  readonly context: RequestContext;
  readonly principal: Principal;
  readonly project: string;
  readonly settings: HookbridgeSettings;
  readonly query: Query;
  /** A part of the path, as sent: the SDKs do not encode them. */
  param(name: string): string;
  /** The body; throws in HookBridge's words when it is larger or does not come. */
  bytes(bytesMax: number): Promise<Uint8Array>;
  /** The JSON object that the body is. */
  fields(): Promise<Fields>;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** What the key must be good for; by default reading for GET, and everything for all else. */
  readonly scope?: KeyScope;
  run(call: Call): Response | Promise<Response>;
}

interface Prepared {
  readonly route: Route;
  readonly parts: readonly string[];
}

export type Found =
  | { readonly kind: "route"; readonly route: Route; readonly params: ReadonlyMap<string, string> }
  | { readonly kind: "method"; readonly allowed: readonly string[] }
  | { readonly kind: "none" };

export class Router {
  /** By the number of parts; what a path can match is then a short list. */
  readonly #routes = new Map<number, Prepared[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const parts = route.path.slice(1).split("/");
      const others = this.#routes.get(parts.length);
      if (others) others.push({ route, parts });
      else this.#routes.set(parts.length, [{ route, parts }]);
    }
    // A fixed part goes before a parameter: "replay-all" is no message id.
    const parameters = ({ parts }: Prepared) => parts.filter((part) => part.startsWith(":")).length;
    for (const list of this.#routes.values()) list.sort((a, b) => parameters(a) - parameters(b));
  }

  find(method: string, path: string): Found {
    const parts = path.slice(1).split("/");
    // A slash at the end means nothing.
    if (parts.length > 1 && parts.at(-1) === "") parts.pop();
    const allowed: string[] = [];
    for (const candidate of this.#routes.get(parts.length) ?? []) {
      const params = match(candidate.parts, parts);
      if (params === null) continue;
      if (candidate.route.method === method) return { kind: "route", route: candidate.route, params };
      allowed.push(candidate.route.method);
    }
    return allowed.length > 0 ? { kind: "method", allowed } : { kind: "none" };
  }
}

function match(pattern: readonly string[], parts: readonly string[]): Map<string, string> | null {
  const params = new Map<string, string>();
  for (const [index, expected] of pattern.entries()) {
    const part = parts[index] ?? "";
    if (expected.startsWith(":")) {
      if (part === "") return null;
      params.set(expected.slice(1), decode(part));
    } else if (part !== expected) return null;
  }
  return params;
}

/** The CLI encodes, the SDKs do not; what is no encoding stays as it is. */
function decode(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
