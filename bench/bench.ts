/** What every measurement is given: where it may write, what it measures, and how long it may take. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Generator } from "./generator.ts";
import type { Options } from "./options.ts";
import { findProduct, type ProductProgram } from "./product.ts";

export interface Durations {
  readonly rounds: number;
  /** Whole seconds: wrk knows no others. */
  readonly warmSeconds: number;
  readonly loadSeconds: number;
  readonly pacedSeconds: number;
  /** Rounds with a backlog, each with few and with many pending. */
  readonly backlogRounds: number;
  readonly fewPending: number;
  readonly manyPending: number;
  readonly idleRequests: number;
  readonly emptyStarts: number;
  readonly timers: number;
}

export const FULL: Durations = {
  rounds: 3,
  warmSeconds: 1,
  loadSeconds: 4,
  pacedSeconds: 6,
  backlogRounds: 3,
  fewPending: 1_000,
  manyPending: 1_000_000,
  idleRequests: 250,
  emptyStarts: 5,
  timers: 1_000,
};

export const QUICK: Durations = {
  rounds: 1,
  warmSeconds: 1,
  loadSeconds: 2,
  pacedSeconds: 2,
  backlogRounds: 1,
  fewPending: 1_000,
  manyPending: 100_000,
  idleRequests: 100,
  emptyStarts: 3,
  timers: 500,
};

/** In the closed loop. */
export const CONNECTIONS = 64;

export class Bench {
  readonly durations: Durations;
  readonly generator: Generator;
  readonly program: ProductProgram;
  readonly rival: string | null;
  readonly #folder: string;
  #folderCount = 0;

  constructor(folder: string, options: Options) {
    this.#folder = folder;
    this.durations = options.isQuick ? QUICK : FULL;
    this.generator = new Generator({ folder, isBuiltIn: options.isBuiltIn });
    this.program = findProduct(options.product);
    this.rival = options.rival ?? null;
  }

  /** Runs something with an empty folder that is gone afterwards. */
  async withFolder<Result>(run: (folder: string) => Promise<Result>): Promise<Result> {
    this.#folderCount += 1;
    const folder = join(this.#folder, String(this.#folderCount));
    mkdirSync(folder);
    try {
      return await run(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  progress(text: string): void {
    process.stderr.write(`  ${text}\n`);
  }
}
