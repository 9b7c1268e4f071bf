/**
 * Builds the WHERE clause of a list from the filters that were given. Texts are few, so statements stay
 * cached.
 */
import type { SQLQueryBindings } from "bun:sqlite";

export class Where {
  readonly #terms: string[] = [];
  readonly values: SQLQueryBindings[] = [];

  /** Adds a term with its value, unless the value is absent. */
  and(term: string, value: SQLQueryBindings | undefined): this {
    if (value === undefined) return this;
    this.#terms.push(term);
    this.values.push(value);
    return this;
  }

  /** Adds a term with several values. */
  andAll(term: string, values: readonly SQLQueryBindings[]): this {
    this.#terms.push(term);
    this.values.push(...values);
    return this;
  }

  /** Adds a term that has no value. */
  andAlways(term: string): this {
    this.#terms.push(term);
    return this;
  }

  get sql(): string {
    return this.#terms.join(" AND ");
  }
}
