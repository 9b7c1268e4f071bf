/**
 * Full load on several programs in turn. Machines are shared and noisy, so the programs run side by side and
 * are loaded one after the other in short slices, first come changing from round to round: whatever slows the
 * machine down for more than a slice slows all of them. A ratio is only ever made of two slices of one round.
 */
import { type Bench, CONNECTIONS } from "./bench.ts";
import { residentMiB } from "./machine.ts";
import { median } from "./statistics.ts";
import type { Counts, Subject } from "./subject.ts";
import type { Ratio } from "./table.ts";

export interface Slice {
  readonly acceptedPerSecond: number;
  readonly deliveredPerSecond: number;
  /** Accepted and not delivered, just before the load ended. */
  readonly backlog: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentMiB: number;
}

export type Round<Name extends string> = Readonly<Record<Name, Slice>>;

/** The backlog is read this long before the load ends, because it begins to shrink the moment after. */
const LATE_MS = 300;
const DRAIN_LIMIT_MS = 3_000;
const DRAIN_POLL_MS = 20;
/** For what a slice leaves behind, such as the answers of connections that were cut. */
const REST_MS = 100;

/** Warms every program up, then loads each once per round. */
export async function takeTurns<Name extends string>(
  bench: Bench,
  subjects: Readonly<Record<Name, Subject>>,
  rounds: number,
): Promise<Round<Name>[]> {
  const { warmSeconds, sliceSeconds } = bench.durations;
  const names = Object.keys(subjects) as Name[];
  for (const name of names) await measureSlice(bench, subjects[name], warmSeconds);
  const done: Round<Name>[] = [];
  for (let number = 0; number < rounds; number += 1) {
    const shift = number % names.length;
    const slices: Partial<Record<Name, Slice>> = {};
    for (const name of [...names.slice(shift), ...names.slice(0, shift)]) {
      slices[name] = await measureSlice(bench, subjects[name], sliceSeconds);
    }
    done.push(slices as Round<Name>);
  }
  return done;
}

async function measureSlice(bench: Bench, subject: Subject, seconds: number): Promise<Slice> {
  await waitUntilDrained(subject);
  await Bun.sleep(REST_MS);
  const before = await subject.counts();
  const load = { url: subject.url, connections: CONNECTIONS, seconds };
  const [report, late] = await Promise.all([bench.generator.peak(load), readLate(subject, seconds)]);
  const after = await subject.counts();
  const { requests, refused, broken, durationMs, p50Ms, p99Ms } = report;
  if (refused + broken > 0) throw new Error(`${refused} requests were refused and ${broken} were broken`);
  return {
    acceptedPerSecond: requests / (durationMs / 1_000),
    deliveredPerSecond: (after.delivered - before.delivered) / (durationMs / 1_000),
    backlog: late.backlog,
    p50Ms,
    p99Ms,
    residentMiB: residentMiB(subject.pid),
  };
}

/** What an earlier slice left to deliver must not count for the next one. */
async function waitUntilDrained(subject: Subject): Promise<void> {
  if (!subject.isForwarding) return;
  const untilMs = performance.now() + DRAIN_LIMIT_MS;
  while ((await subject.counts()).backlog > 0) {
    if (performance.now() > untilMs)
      throw new Error(`a backlog was left ${DRAIN_LIMIT_MS} ms after the load`);
    await Bun.sleep(DRAIN_POLL_MS);
  }
}

async function readLate(subject: Subject, seconds: number): Promise<Counts> {
  await Bun.sleep(seconds * 1_000 - LATE_MS);
  return subject.counts();
}

/** Returns the median over the rounds of one program's number. */
export function medianOf<Name extends string>(
  rounds: readonly Round<Name>[],
  name: Name,
  read: (slice: Slice) => number,
): number {
  return median(rounds.map((round) => read(round[name])));
}

/** Returns how one program's number compares with another's, round by round. */
export function ratioOf<Name extends string>(
  rounds: readonly Round<Name>[],
  { of, to }: { readonly of: Name; readonly to: Name },
  read: (slice: Slice) => number,
): Ratio {
  const ratios = rounds.map((round) => read(round[of]) / read(round[to]));
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}
