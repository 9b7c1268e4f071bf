/**
 * Notes what the commands of one transaction change and tells it once the transaction is on disk; what is
 * rolled back is forgotten. The writer drives it, the statements that insert and move write into it.
 */
import type { ChangeListener, StoreChange } from "../domain/change.ts";

export class Journal {
  #noted: StoreChange[] = [];
  readonly #listeners: ChangeListener[] = [];

  listen(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  note(change: StoreChange): void {
    this.#noted.push(change);
  }

  /** A transaction begins. */
  begin(): void {
    this.#noted = [];
  }

  /** Where a command begins, for rollbackTo(). */
  mark(): number {
    return this.#noted.length;
  }

  /** The command that began there was rolled back alone. */
  rollbackTo(mark: number): void {
    this.#noted.length = mark;
  }

  /** The transaction is on disk. */
  publish(): void {
    const noted = this.#noted;
    if (noted.length === 0) return;
    this.#noted = [];
    for (const listener of this.#listeners) listener(noted);
  }
}
