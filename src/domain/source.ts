/**
 * Where inbound requests come from: how they are verified, deduplicated and typed, and which endpoints get
 * them.
 */
import type { Door } from "./endpoint.ts";
import type { Id } from "./id.ts";
import type { VerifySpec } from "./signature/index.ts";

/** A place in a request that yields a string: a header's value, or a member of the JSON body by its path. */
export type Selector =
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "json"; readonly path: readonly string[] };

export interface DedupeRule {
  /** The first group whose parts are all present makes the key; the parts of a group are joined. */
  readonly selectors: readonly (readonly Selector[])[];
  readonly windowMs: number;
}

export interface Source {
  /** The source's number in the store. */
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  /** Unique over all projects: the ingest URL names no project. */
  readonly name: string;
  readonly door: Door;
  /** All must pass. */
  readonly verify: readonly VerifySpec[];
  /** Networks that may send; empty: everyone. */
  readonly allowCidrs: readonly string[];
  readonly dedupe: DedupeRule | null;
  readonly eventType: Selector | null;
  readonly respondStatus: number;
  readonly methods: readonly string[];
  /** Null: the server's own limit. */
  readonly bodyBytesMax: number | null;
  /** Names of endpoints of the same project; empty: pull mode. */
  readonly to: readonly string[];
  readonly pausedAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}
