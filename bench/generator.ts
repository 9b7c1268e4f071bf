/**
 * Puts load on a URL from another process: wrk when it is installed, else the built-in generator (load.ts).
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startChild } from "./children.ts";
import { BODY, FIXED_HEADERS } from "./workload.ts";

export interface LoadReport {
  readonly requests: number;
  /** Answered, but not with 2xx. */
  readonly refused: number;
  /** Connections that failed, and requests without an answer. */
  readonly broken: number;
  readonly durationMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of the paced generator only: how late it was itself. */
  readonly lagP99Ms?: number;
}

export interface Load {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
}

const LOAD_PROGRAM = Bun.fileURLToPath(import.meta.resolve("./load.ts"));
const WRK_SCRIPT = join(import.meta.dir, "load.lua");
/** One thread of wrk fills far more than one core of any server measured here. */
const WRK_THREADS = 1;
/** A run that takes this much longer than it should is ended. */
const GRACE_MS = 15_000;

export class Generator {
  /** For the table. */
  readonly name: string;
  readonly #wrk: string | null;
  readonly #bodyFile: string;
  #runCount = 0;

  constructor(options: { readonly folder: string; readonly isBuiltIn: boolean }) {
    this.#wrk = options.isBuiltIn ? null : Bun.which("wrk");
    this.name = this.#wrk === null ? "built-in generator (bench/load.ts)" : `wrk, ${WRK_THREADS} thread`;
    this.#bodyFile = join(options.folder, "body.json");
    writeFileSync(this.#bodyFile, BODY);
  }

  /** Closed loop: every connection sends its next request when the last one is answered. */
  peak({ url, seconds, connections }: Load): Promise<LoadReport> {
    const prefix = this.#nextPrefix();
    const signature = FIXED_HEADERS["X-Signature"] ?? "";
    const command =
      this.#wrk === null
        ? [process.execPath, LOAD_PROGRAM, url, prefix, String(seconds), String(connections)]
        : [
            ...[this.#wrk, `-t${WRK_THREADS}`, `-c${connections}`, `-d${seconds}s`, "-s", WRK_SCRIPT, url],
            ...["--", signature, prefix, this.#bodyFile],
          ];
    return run(command, seconds);
  }

  /**
   * Open loop at a fixed rate, always with the built-in generator; `connections` bounds what is under way.
   */
  paced({ url, seconds, connections }: Load, ratePerSecond: number): Promise<LoadReport> {
    const plan = [url, this.#nextPrefix(), seconds, connections, ratePerSecond].map(String);
    return run([process.execPath, LOAD_PROGRAM, ...plan], seconds);
  }

  /** Keys differ from run to run, or the second run on one store would find nothing but duplicates. */
  #nextPrefix(): string {
    this.#runCount += 1;
    return `bench-${this.#runCount}`;
  }
}

async function run(command: readonly string[], seconds: number): Promise<LoadReport> {
  const child = startChild(command, { isOutputKept: true });
  const timer = setTimeout(() => void child.stop(0), seconds * 1_000 + GRACE_MS);
  const output = await child.output();
  clearTimeout(timer);
  const report = /^REPORT (\{.*\})$/m.exec(output)?.[1];
  if (report === undefined) throw new Error(`${command[0]} ended without a report`);
  return JSON.parse(report) as LoadReport;
}
