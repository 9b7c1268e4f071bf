/**
 * A door is one product's share of the paths: what it claims on which kind of listener, and how it answers.
 * Doors know nothing of each other; the server asks the router whose a path is.
 *
 *   "/healthz"      exactly this path
 *   "/in/*"         every path that begins with "/in/"
 *   "/v1/**"        every other path that begins with "/v1/": the narrower claims of all doors go first
 *
 * Two exact or single-star claims must not share a path, and two double-star claims must not be the same: the
 * server would have to guess, so the start fails instead.
 */
import type { KeyScope } from "../domain/access.ts";

/** `ingest` faces senders only, `metrics` scrapers only; `main` serves everything. */
export type ListenerRole = "main" | "ingest" | "metrics";

/** What a door may know of a request beyond the request itself. */
export interface RequestContext {
  readonly requestId: string;
  readonly role: ListenerRole;
  /** As received, undecoded, with leading slashes collapsed to one. */
  readonly path: string;
  /** From the question mark on, or empty. */
  readonly search: string;
  /** The other end of the socket; null when there is none. */
  readonly peerAddress: string | null;
  /** The sender as trusted proxies report it; the socket's other end when there are none. */
  readonly clientAddress: string | null;
  /** Lets the answer take as long as it needs; otherwise an idle connection is cut after a while. */
  holdOpen(): void;
}

/** One open connection. */
export interface Socket {
  /** False: it is gone, or too much waits to be sent; nothing was taken. */
  send(text: string): boolean;
  /** What was taken and has not left yet. */
  readonly bufferedBytes: number;
  close(code: number, reason: string): void;
  /** Without a closing handshake. */
  terminate(): void;
}

/** What a door does with a connection. Called one after the other; what they throw closes it with 1011. */
export interface SocketHandler {
  open(socket: Socket): void;
  /** Text frames only; a binary one is a mistake of the client and is not passed on. */
  message(text: string): void;
  /** Once, whoever closed it; nothing can be sent any more. */
  close(code: number): void;
}

/** What an upgrade comes to: a connection, or why there is none. */
export type Upgrade = (
  request: Request,
  context: RequestContext,
) => SocketHandler | Response | Promise<SocketHandler | Response>;

/** A path that takes a key, and what that key must be good for; parts that begin with a colon are any. */
export interface DoorRoute {
  readonly method: string;
  readonly path: string;
  readonly scope: KeyScope;
}

export interface Door {
  readonly name: string;
  /** Everything that takes a key; absent where the proof is another one. */
  readonly routes?: readonly DoorRoute[];
  readonly claims: Readonly<Partial<Record<ListenerRole, readonly string[]>>>;
  handle(request: Request, context: RequestContext): Response | Promise<Response>;
  /** Asked in place of `handle` for a WebSocket; a door without one answers such a request like any other. */
  readonly upgrade?: Upgrade;
}

type ClaimKind = "exact" | "prefix" | "rest";

interface Claim {
  readonly kind: ClaimKind;
  readonly text: string;
  /** The path, or what it must begin with. */
  readonly start: string;
  readonly door: Door;
}

/** Finds the door of a path on listeners of one role. */
export class Router {
  readonly #exact = new Map<string, Door>();
  readonly #prefixes: Claim[] = [];
  readonly #rests: Claim[] = [];

  /** Throws when two claims overlap. */
  constructor(doors: readonly Door[], role: ListenerRole) {
    const claims: Claim[] = [];
    for (const door of doors) {
      for (const text of door.claims[role] ?? []) {
        const claim = readClaim(text, door);
        const rival = claims.find((other) => overlaps(other, claim));
        if (rival) throw new Error(overlapText(rival, claim, role));
        claims.push(claim);
      }
    }
    for (const claim of claims) {
      if (claim.kind === "exact") this.#exact.set(claim.start, claim.door);
      else (claim.kind === "prefix" ? this.#prefixes : this.#rests).push(claim);
    }
    // The longest of several nested rests is the narrowest.
    this.#rests.sort((a, b) => b.start.length - a.start.length);
  }

  find(path: string): Door | null {
    for (const { start, door } of this.#prefixes) if (path.startsWith(start)) return door;
    const exact = this.#exact.get(path);
    if (exact) return exact;
    for (const { start, door } of this.#rests) if (path.startsWith(start)) return door;
    return null;
  }
}

function readClaim(text: string, door: Door): Claim {
  if (!/^\/[^*]*\*{0,2}$/.test(text)) throw new Error(`door ${door.name} has the unreadable claim "${text}"`);
  if (text.endsWith("**")) return { kind: "rest", text, start: text.slice(0, -2), door };
  if (text.endsWith("*")) return { kind: "prefix", text, start: text.slice(0, -1), door };
  return { kind: "exact", text, start: text, door };
}

function overlaps(a: Claim, b: Claim): boolean {
  if (a.kind === "rest" || b.kind === "rest") return a.kind === b.kind && a.start === b.start;
  if (a.kind === "exact" && b.kind === "exact") return a.start === b.start;
  const [wide, narrow] = a.kind === "prefix" && a.start.length <= b.start.length ? [a, b] : [b, a];
  return wide.kind === "prefix" && narrow.start.startsWith(wide.start);
}

function overlapText(a: Claim, b: Claim, role: ListenerRole): string {
  return (
    `on ${role} listeners the doors "${a.door.name}" (${a.text}) and "${b.door.name}" (${b.text}) ` +
    "claim the same paths"
  );
}
