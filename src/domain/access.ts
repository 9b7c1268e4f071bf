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

export type KeyScope = "ingest" | "read" | "admin";

export interface ApiKey {
  readonly id: Id;
  readonly project: string;
  /** Lower-case hex of the key's SHA-256; the key itself is stored nowhere. */
  readonly hash: string;
  readonly label: string | null;
  readonly scope: KeyScope;
  readonly door: Door;
  readonly createdAt: number;
  readonly deletedAt: number | null;
}
