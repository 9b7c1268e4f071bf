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
