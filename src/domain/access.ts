/** Who may do what: projects, the tenancy root, and the keys that open them. */
import type { Door } from "./endpoint.ts";
import type { Id } from "./id.ts";

export interface Project {
  readonly seq: number;
  readonly name: string;
  readonly door: Door;
  readonly createdAt: number;
  readonly retiredAt: number | null;
}

/** Something that belongs to a project, for people. */
export interface ProjectObject {
  readonly kind: string;
  readonly name: string;
}

/** A retired object that was purged: nothing refers to it any more. */
export interface GoneObject {
  readonly kind: "endpoint" | "source" | "subscription";
  readonly id: Id;
  /** Its number in the store: of an endpoint, its lane. */
  readonly seq: number;
}

export const KEY_SCOPES = ["ingest", "read", "admin"] as const;

/** `ingest` brings events and deliveries in, `read` looks, `admin` may do everything. */
export type KeyScope = (typeof KEY_SCOPES)[number];

export interface ApiKey {
  readonly id: Id;
  readonly project: string;
  /** Lower-case hex of the key's SHA-256; the key itself is stored nowhere. */
  readonly hash: string;
  readonly label: string | null;
  /** How it begins, to tell keys apart by; absent where nobody wrote it down. */
  readonly hint?: string | null;
  readonly scope: KeyScope;
  readonly door: Door;
  readonly createdAt: number;
  readonly deletedAt: number | null;
}

/** Tells people and secret scanners what they have found. */
const KEY_PREFIX = "psk_";
const KEY_BYTES = 24;

/** Returns a new key, with more entropy than anybody can guess: its hash needs no salt. */
export function newKeyText(randomBytes: (length: number) => Uint8Array): string {
  return KEY_PREFIX + Buffer.from(randomBytes(KEY_BYTES)).toString("hex");
}
