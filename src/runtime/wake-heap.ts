/**
 * A binary heap of things to wake, each at most once, ordered by instant. Setting and clearing cost the
 * logarithm of the number of sleepers; nothing is ever scanned. The owner arms one timer for `nextAt()`.
 */

interface Entry<T> {
  readonly item: T;
  at: number;
  index: number;
}

export class WakeHeap<T> {
  readonly #entries: Entry<T>[] = [];
  readonly #byItem = new Map<T, Entry<T>>();

  get size(): number {
    return this.#entries.length;
  }

  nextAt(): number | null {
    return this.#entries[0]?.at ?? null;
  }

  /** Wakes the item at `at`, and no longer at any time set before. */
  set(item: T, at: number): void {
    const known = this.#byItem.get(item);
    if (known) {
      known.at = at;
      this.#down(this.#up(known.index));
      return;
    }
    const entry = { item, at, index: this.#entries.length };
    this.#entries.push(entry);
    this.#byItem.set(item, entry);
    this.#up(entry.index);
  }

  clear(item: T): void {
    const entry = this.#byItem.get(item);
    if (!entry) return;
    this.#byItem.delete(item);
    const last = this.#entries.pop() as Entry<T>;
    if (last === entry) return;
    last.index = entry.index;
    this.#entries[entry.index] = last;
    this.#down(this.#up(last.index));
  }

  /** Takes the earliest item whose instant has come, or null. */
  takeDue(now: number): T | null {
    const first = this.#entries[0];
    if (!first || first.at > now) return null;
    this.clear(first.item);
    return first.item;
  }

  #up(from: number): number {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(index, parent)) break;
      this.#swap(index, parent);
      index = parent;
    }
    return index;
  }

  #down(from: number): void {
    let index = from;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let least = index;
      if (left < this.#entries.length && this.#isBefore(left, least)) least = left;
      if (right < this.#entries.length && this.#isBefore(right, least)) least = right;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    return (this.#entries[a] as Entry<T>).at < (this.#entries[b] as Entry<T>).at;
  }

  #swap(a: number, b: number): void {
    const first = this.#entries[a] as Entry<T>;
    const second = this.#entries[b] as Entry<T>;
    this.#entries[a] = second;
    this.#entries[b] = first;
    second.index = a;
    first.index = b;
  }
}
