/**
 * When each key was last used. Kept in memory and written now and then: a request must not cost a write, and
 * after a crash the newest minute of it is forgotten.
 */
import { MINUTE } from "../../domain/duration.ts";
import type { Id } from "../../domain/id.ts";
import type { KeyUseStore } from "../../http/dialect.ts";

const WRITE_EVERY_MS = MINUTE;

export class KeyUses {
  readonly #store: KeyUseStore;
  readonly #uses = new Map<Id, { usedAt: number; writtenAt: number }>();

  constructor(store: KeyUseStore) {
    this.#store = store;
  }

  async load(): Promise<void> {
    for (const { id, usedAt } of await this.#store.loadKeyUses()) {
      this.#uses.set(id, { usedAt, writtenAt: usedAt });
    }
  }

  note(id: Id, now: number): void {
    const use = this.#uses.get(id) ?? { usedAt: now, writtenAt: Number.NEGATIVE_INFINITY };
    this.#uses.set(id, use);
    use.usedAt = now;
    if (now - use.writtenAt < WRITE_EVERY_MS) return;
    use.writtenAt = now;
    // A store that refuses it is no reason to refuse the request.
    this.#store.noteKeyUse(id, now).catch(() => {});
  }

  lastUsedAt(id: Id): number | null {
    return this.#uses.get(id)?.usedAt ?? null;
  }
}
