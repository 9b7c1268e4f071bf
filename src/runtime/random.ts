/** Randomness, in one place, so that a seeded run can replay every jitter and id. */

export interface Random {
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1). */
  unit(): number;
}

export class SystemRandom implements Random {
  bytes(length: number): Uint8Array {
    return crypto.getRandomValues(new Uint8Array(length));
  }

  unit(): number {
    return Math.random();
  }
}

/**
 * Real bytes, because ids and nonces must not repeat, but the same numbers in each run: beside a virtual
 * clock the jitter of a retry must not make one run of a test differ from the next.
 */
export class RepeatableRandom extends SystemRandom {
  #state = 0x9e3779b9;

  override unit(): number {
    // Xorshift with Marsaglia's triple 13, 17, 5: any spread will do.
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }
}
