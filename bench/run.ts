/**
 * `npm run bench`: measures Postern beside what its machine could do at best, and prints one table. Progress
 * goes to stderr, the table to stdout. It asserts nothing; it fails only when something could not be
 * measured. Everything it starts is its own, listens on 127.0.0.1 only, and is gone when it ends.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureBacklog, measureEmpty } from "./backlog.ts";
import { Bench } from "./bench.ts";
import { endMeasuring, isTimeUp, spentProcessorMs } from "./children.ts";
import { measureDedupe } from "./dedupe.ts";
import { measureFanOut } from "./fan-out.ts";
import { measureFunctions } from "./functions.ts";
import { measureHanging } from "./hanging.ts";
import { measureHookbridge } from "./hookbridge.ts";
import { measureAcknowledgement, measureFirstAttempt } from "./latency.ts";
import { describeMachine, type ProcessorTimes, processorTimes } from "./machine.ts";
import { PARTS, type Part, readOptions } from "./options.ts";
import { measurePeaks, measureProductPeak, type Peaks, peakRows } from "./peaks.ts";
import { measureHookLateness, measureHooks, measureIdleListeners, measureListeners } from "./posthook.ts";
import { measureRepair } from "./repair.ts";
import { describeRun, renderReport } from "./report.ts";
import { measureSchedules, measureTime } from "./schedules.ts";
import type { Mode } from "./subject.ts";
import { missingRow, type Row } from "./table.ts";
import { medianOf } from "./turns.ts";
import { measureVerification } from "./verification.ts";

type Emit = (rows: readonly Row[]) => void;

interface Step {
  /** Runs when one of them is asked for. */
  readonly parts: readonly Part[];
  readonly run: (bench: Bench, emit: Emit) => Promise<void>;
}

/** What (a) to (d) found, for (e), which needs the peak. */
const found = new Map<Mode, Peaks>();

const STEPS: readonly Step[] = [
  { parts: ["a", "b"], run: (bench, emit) => runPeaks(bench, "ingest", emit) },
  { parts: ["c", "d"], run: (bench, emit) => runPeaks(bench, "path", emit) },
  { parts: ["e"], run: runAcknowledgement },
  { parts: ["f"], run: async (bench, emit) => emit(await measureFirstAttempt(bench)) },
  { parts: ["k"], run: async (bench, emit) => emit(measureVerification(bench)) },
  { parts: ["l"], run: async (bench, emit) => emit(await measureDedupe(bench)) },
  { parts: ["m", "n", "p"], run: measureTime },
  { parts: ["s"], run: async (bench, emit) => emit(await measureFanOut(bench)) },
  { parts: ["o"], run: async (bench, emit) => emit(await measureSchedules(bench)) },
  { parts: ["q"], run: async (bench, emit) => emit(await measureHanging(bench)) },
  { parts: ["r"], run: measureFunctions },
  { parts: ["t", "u"], run: measureRepair },
  { parts: ["v"], run: measureHookbridge },
  { parts: ["w"], run: measureHooks },
  { parts: ["x"], run: async (bench, emit) => emit(await measureHookLateness(bench)) },
  { parts: ["y"], run: async (bench, emit) => emit(await measureListeners(bench)) },
  { parts: ["z"], run: async (bench, emit) => emit(await measureIdleListeners(bench)) },
  { parts: ["h", "i"], run: async (bench, emit) => emit(await measureEmpty(bench)) },
  { parts: ["g", "h", "i", "j"], run: measureBacklog },
];

async function runPeaks(bench: Bench, mode: Mode, emit: Emit): Promise<void> {
  const peaks = await measurePeaks(bench, mode);
  found.set(mode, peaks);
  emit(peakRows(peaks));
}

async function runAcknowledgement(bench: Bench, emit: Emit): Promise<void> {
  for (const mode of ["ingest", "path"] as const) {
    const { rounds } = found.get(mode) ?? (await measureProductPeak(bench, mode));
    const peak = medianOf(rounds, "product", (slice) => slice.acceptedPerSecond);
    emit(await measureAcknowledgement(bench, mode, peak));
  }
}

/** Returns the rows of what was asked for; a step that fails leaves a row that says why. */
async function runSteps(bench: Bench, only: ReadonlySet<Part>): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { parts, run } of STEPS) {
    if (!parts.some((part) => only.has(part))) continue;
    try {
      await run(bench, (more) => rows.push(...more));
    } catch (error) {
      const reason = isTimeUp() ? "the time was up" : error instanceof Error ? error.message : String(error);
      rows.push(missingRow(parts.join(", "), reason));
      bench.progress(`${parts.join(", ")}: ${reason}`);
    }
  }
  const isWanted = (row: Row) => row.part.split(", ").some((part) => only.has(part as Part));
  const place = (row: Row) => PARTS.indexOf(row.part.slice(0, 1) as Part);
  return rows.filter(isWanted).sort((one, other) => place(one) - place(other));
}

/** Returns how much of all processors somebody else has used since then: 0 to 1. */
function othersShare(before: ProcessorTimes): number {
  const after = processorTimes();
  const busyMs = after.busyMs - before.busyMs - spentProcessorMs();
  return Math.max(0, busyMs / (after.totalMs - before.totalMs));
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const folder = mkdtempSync(join(options.dir ?? tmpdir(), "postern-bench-"));
  process.on("exit", () => {
    endMeasuring();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
  const startMs = performance.now();
  setTimeout(endMeasuring, options.limitSeconds * 1_000).unref();
  const bench = new Bench(folder, options);
  const machine = describeMachine(folder);
  const before = processorTimes();
  const rows = await runSteps(bench, options.only);
  const run = describeRun(bench, {
    command: process.argv.slice(2),
    machine,
    seconds: (performance.now() - startMs) / 1_000,
    othersShare: othersShare(before),
  });
  process.stdout.write(
    options.isJson ? `${JSON.stringify({ ...run, rows }, null, 2)}\n` : renderReport(run, rows),
  );
  return rows.some((row) => row.value === null) ? 1 : 0;
}

process.exit(await main());
