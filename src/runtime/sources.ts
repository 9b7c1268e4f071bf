/** Sources that are made, changed and retired while the program runs: stored first, then in force. */
import type { Id } from "../domain/id.ts";
import type { Source } from "../domain/source.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";

type RunTime = "seq" | "pausedAt" | "createdAt" | "updatedAt" | "deletedAt";
export type SourceDraft = Omit<Source, RunTime>;

export interface SourceWritesOptions {
  readonly clock: Clock;
  readonly store: {
    putSource(definition: SourceDraft, now: number): Promise<Source>;
    retireSource(id: Id, now: number): Promise<Source | null>;
  };
  readonly directory: Directory;
}

export class SourceWrites {
  readonly #options: SourceWritesOptions;

  constructor(options: SourceWritesOptions) {
    this.#options = options;
  }

  async put(definition: SourceDraft): Promise<Source> {
    const { clock, store, directory } = this.#options;
    const source = await store.putSource(definition, clock.now());
    directory.putSource(source);
    return source;
  }

  async retire(id: Id): Promise<void> {
    const { clock, store, directory } = this.#options;
    const source = await store.retireSource(id, clock.now());
    if (source) directory.putSource(source);
  }
}
