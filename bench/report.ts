/** The table with what is needed to read it and to make it again. */
import { type Bench, CONNECTIONS, type Durations } from "./bench.ts";
import type { Machine } from "./machine.ts";
import { CONCURRENCY } from "./product.ts";
import { type Row, renderTable } from "./table.ts";

export interface Run {
  readonly command: string;
  readonly product: string;
  readonly generator: string;
  readonly connections: number;
  readonly endpointConcurrency: number;
  readonly durations: Durations;
  readonly seconds: number;
  /** Of all processors, while this ran: what neither the measurements nor what they measure used. */
  readonly othersShare: number;
  readonly machine: Machine;
}

interface RunFacts {
  readonly command: readonly string[];
  readonly machine: Machine;
  readonly seconds: number;
  readonly othersShare: number;
}

export function describeRun(bench: Bench, { command, machine, seconds, othersShare }: RunFacts): Run {
  return {
    command: ["npm run bench", ...(command.length === 0 ? [] : ["--", ...command])].join(" "),
    product: bench.program.name,
    generator: bench.generator.name,
    connections: CONNECTIONS,
    endpointConcurrency: CONCURRENCY,
    durations: bench.durations,
    seconds: Math.round(seconds),
    othersShare: Math.round(othersShare * 100) / 100,
    machine,
  };
}

/** A quiet machine stays well under it. */
const OTHERS_SHARE_MAX = 0.1;

export function renderReport(run: Run, rows: readonly Row[]): string {
  return ["", renderTable(rows), "", ...notes(run), "", ...machineLines(run), ""].join("\n");
}

function notes(run: Run): string[] {
  const { rounds, warmSeconds, sliceSeconds } = run.durations;
  const { generator, connections, endpointConcurrency } = run;
  return [
    `Load: ${generator}, ${connections} connections, closed loop. e: bench/load.ts, open loop, timed from`,
    "when each request was due. Requests: 1 KiB of JSON with an HMAC-SHA256 that is checked, and a new,",
    "ascending Idempotency-Key each; what is pending has 200 bytes.",
    `Rounds: ${warmSeconds} s of warm-up, then ${rounds} rounds in which each program is loaded for`,
    `${sliceSeconds} s in turn. Ratios are made within a round; all numbers are medians over the rounds.`,
    `Postern: ${run.product} with its defaults, but for concurrency = ${endpointConcurrency} at the`,
    "endpoints, as many as the ceiling has slots; synchronous = FULL everywhere; the log, at its default",
    "level, to /dev/null.",
    "k: processor time of one request, beside a bare HMAC, or Ed25519 check, of the same bytes (left).",
    "l: time of one event in the storage layer, 64 at once, without waiting for the disk.",
    "o: acknowledgements to a pull source at a fixed rate, before and while all is handed over and sent.",
    "p: what the scheduler and one lane ask the store when they wake: due schedules, next due, a claim.",
  ];
}

function machineLines({ machine, command, seconds, othersShare }: Run): string[] {
  const { cores, cpu, memoryMiB, system, bun, sqlite, fileSystem, fsyncMs } = machine;
  const disk = `${fileSystem}, ${fsyncMs.toFixed(2)} ms per fsync`;
  const memory = `${(memoryMiB / 1_024).toFixed(0)} GiB`;
  const inMemory = fileSystem === "tmpfs" ? ["THE STORES WERE IN MEMORY: choose a disk with --dir."] : [];
  const percent = Math.round(othersShare * 100);
  const isBusy = othersShare > OTHERS_SHARE_MAX;
  const busy = isBusy ? [`OTHERS USED ${percent} % OF THE PROCESSORS meanwhile: trust ratios only.`] : [];
  return [
    ...inMemory,
    ...busy,
    `Machine: ${cores} cores of ${cpu}, ${memory}, ${system}, ${disk}; Bun ${bun}, SQLite ${sqlite}.`,
    `Command: ${command} (${seconds} s)`,
  ];
}
