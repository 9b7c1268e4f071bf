/** What every measurement is given: where it may write, what it measures, and how long it may take. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isTimeUp } from "./children.ts";
import { Generator } from "./generator.ts";
import type { Options } from "./options.ts";
import { findProduct, type ProductProgram } from "./product.ts";

export interface Durations {
  readonly rounds: number;
  /** Whole seconds: wrk knows no others. */
  readonly warmSeconds: number;
  readonly sliceSeconds: number;
  readonly pacedSeconds: number;
  readonly fewPending: number;
  readonly manyPending: number;
  readonly idleRequests: number;
  readonly emptyStarts: number;
  readonly backlogStarts: number;
  readonly timers: number;
  readonly fewKeys: number;
  readonly manyKeys: number;
  /** Schedules that are due at one instant. */
  readonly schedules: number;
  readonly fastTimers: number;
  /** Events that go to very many endpoints each. */
  readonly fanOutEvents: number;
}

const FULL: Durations = {
  rounds: 8,
  warmSeconds: 2,
  sliceSeconds: 2,
  pacedSeconds: 8,
  fewPending: 1_000,
  manyPending: 1_000_000,
  idleRequests: 250,
  emptyStarts: 7,
  backlogStarts: 3,
  timers: 1_000,
  fewKeys: 1_000,
  manyKeys: 5_000_000,
  schedules: 100_000,
  fastTimers: 10_000,
  fanOutEvents: 60,
};

const QUICK: Durations = {
  rounds: 2,
  warmSeconds: 1,
  sliceSeconds: 1,
  pacedSeconds: 2,
  fewPending: 1_000,
  manyPending: 100_000,
  idleRequests: 100,
  emptyStarts: 3,
  backlogStarts: 1,
  timers: 500,
  fewKeys: 1_000,
  manyKeys: 1_000_000,
  schedules: 10_000,
  fastTimers: 2_000,
  fanOutEvents: 20,
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
    const durations = options.isQuick ? QUICK : FULL;
    this.durations = { ...durations, rounds: options.rounds ?? durations.rounds };
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

  /** Throws when the time is up; for work that no child does. */
  checkTime(): void {
    if (isTimeUp()) throw new Error("the time is up");
  }

  progress(text: string): void {
    process.stderr.write(`  ${text}\n`);
  }
}
