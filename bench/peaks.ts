/**
 * (a) to (d): how much the product takes, and takes and delivers, beside ceilings that do nothing else. Machines are
 * shared and noisy, so ceiling and product take turns within a round, each on a new store, and a ratio is only ever
 * made of two numbers of one round. The table shows the medians over the rounds.
 */
import { type Bench, CONNECTIONS } from "./bench.ts";
import { residentMiB } from "./machine.ts";
import { startProduct } from "./product.ts";
import { median } from "./statistics.ts";
import { CEILING_PROGRAM, type Counts, type Mode, type Sink, startCeiling, startSink } from "./subject.ts";
import type { Subject } from "./subject.ts";
import { aimAtLeast, type Row } from "./table.ts";

export interface Peak {
  readonly acceptedPerSecond: number;
  readonly deliveredPerSecond: number;
  /** Accepted and not delivered, just before the load ended. */
  readonly backlog: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentMiB: number;
}

interface Round {
  readonly ceiling: Peak;
  readonly product: Peak;
  readonly rival: Peak | null;
}

export interface Peaks {
  readonly mode: Mode;
  readonly rounds: readonly Round[];
}

const RATIO_AIM = 0.7;
/** The counters are read this long after the load began and before it ends: both times under load. */
const EDGE_MS = 300;
const DRAIN_LIMIT_MS = 3_000;

/** Puts full load on something that runs, after a warm-up, and returns what it did. */
export async function measurePeak(bench: Bench, subject: Subject): Promise<Peak> {
  const { generator, durations } = bench;
  const load = { url: subject.url, connections: CONNECTIONS };
  await generator.peak({ ...load, seconds: durations.warmSeconds });
  await waitUntilDrained(subject);
  const seconds = durations.loadSeconds;
  const [report, [first, last]] = await Promise.all([
    generator.peak({ ...load, seconds }),
    readAtEdges(subject, seconds * 1_000),
  ]);
  if (report.refused + report.broken > 0) {
    throw new Error(`${report.refused} requests were refused and ${report.broken} were broken`);
  }
  return {
    acceptedPerSecond: report.requests / (report.durationMs / 1_000),
    deliveredPerSecond: (last.delivered - first.delivered) / ((last.atMs - first.atMs) / 1_000),
    backlog: last.backlog,
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    residentMiB: residentMiB(subject.pid),
  };
}

async function waitUntilDrained(subject: Subject): Promise<void> {
  if (!subject.isForwarding) return;
  const untilMs = performance.now() + DRAIN_LIMIT_MS;
  while (performance.now() < untilMs) {
    if ((await subject.counts()).backlog <= 0) return;
    await Bun.sleep(50);
  }
}

type TimedCounts = Counts & { readonly atMs: number };

async function readAtEdges(subject: Subject, durationMs: number): Promise<readonly [TimedCounts, TimedCounts]> {
  const startMs = performance.now();
  await Bun.sleep(EDGE_MS);
  const first = { ...(await subject.counts()), atMs: performance.now() };
  await Bun.sleep(startMs + durationMs - EDGE_MS - performance.now());
  const last = { ...(await subject.counts()), atMs: performance.now() };
  return [first, last];
}

/** Measures the product once, for those who only need to know its peak. */
export function measureProductPeak(bench: Bench, mode: Mode): Promise<Peak> {
  return withSink(mode, (sinkUrl) =>
    bench.withFolder(async (folder) => {
      const product = await startProduct(bench.program, { mode, folder, sinkUrl });
      return measureAndKill(bench, product);
    }),
  );
}

function measureCeiling(bench: Bench, program: string, mode: Mode): Promise<Peak> {
  return withSink(mode, (sinkUrl) =>
    bench.withFolder(async (folder) =>
      measureAndKill(bench, await startCeiling(program, { mode, folder, sinkUrl })),
    ),
  );
}

async function measureAndKill(bench: Bench, subject: Subject): Promise<Peak> {
  try {
    return await measurePeak(bench, subject);
  } finally {
    await subject.kill();
  }
}

/** Each measurement gets a receiver of its own, and none when it forwards nothing. */
async function withSink<Result>(mode: Mode, run: (url: string) => Promise<Result>): Promise<Result> {
  const sink: Sink | null = mode === "path" ? await startSink() : null;
  try {
    return await run(sink?.url ?? "http://127.0.0.1:1/");
  } finally {
    await sink?.kill();
  }
}

export async function measurePeaks(bench: Bench, mode: Mode): Promise<Peaks> {
  const rounds: Round[] = [];
  for (let number = 0; number < bench.durations.rounds; number += 1) {
    const steps = {
      ceiling: () => measureCeiling(bench, CEILING_PROGRAM, mode),
      product: () => measureProductPeak(bench, mode),
      rival: async () => (bench.rival === null ? null : measureCeiling(bench, bench.rival, mode)),
    };
    // Who goes first changes, so that a machine that gets slower or faster favours nobody.
    const isCeilingFirst = number % 2 === 0;
    const early = isCeilingFirst ? await steps.ceiling() : null;
    const product = await steps.product();
    const rival = await steps.rival();
    const ceiling = early ?? (await steps.ceiling());
    rounds.push({ ceiling, product, rival });
    bench.progress(describeRound(mode, number + 1, { ceiling, product, rival }));
  }
  return { mode, rounds };
}

function describeRound(mode: Mode, number: number, { ceiling, product, rival }: Round): string {
  const rate = (peak: Peak) => Math.round(mode === "path" ? peak.deliveredPerSecond : peak.acceptedPerSecond);
  const beside = rival === null ? "" : `, rival ${rate(rival)}/s`;
  return `${mode}, round ${number}: ceiling ${rate(ceiling)}/s, Postern ${rate(product)}/s${beside}`;
}

export function peakRows({ mode, rounds }: Peaks): Row[] {
  const part = mode === "ingest" ? "a, b" : "c, d";
  const accepted = compare(rounds, (peak) => peak.acceptedPerSecond);
  const delivered = compare(rounds, (peak) => peak.deliveredPerSecond);
  const named = mode === "ingest" ? "accepted, nothing forwarded" : "accepted while delivering";
  const rows: Row[] = [
    {
      ...{ part, what: named, unit: "perSecond", ...accepted },
      aim: mode === "ingest" ? aimAtLeast(accepted.ratio, RATIO_AIM) : null,
    },
  ];
  if (mode === "path") {
    const backlog = compare(rounds, (peak) => peak.backlog);
    const row = { part, unit: "perSecond", ...delivered } as const;
    rows.push(
      { ...row, what: "delivered", aim: aimAtLeast(delivered.ratio, RATIO_AIM) },
      { part, what: "backlog at the end of the load", unit: "count", ...backlog, ratio: null, aim: null },
    );
  }
  const p99 = compare(rounds, (peak) => peak.p99Ms);
  rows.push({ part, what: "acknowledgement p99 at that peak", unit: "ms", ...p99, ratio: null, aim: null });
  return [...rows, ...rivalRows(part, mode, rounds)];
}

function rivalRows(part: string, mode: Mode, rounds: readonly Round[]): Row[] {
  const rate = (peak: Peak) => (mode === "path" ? peak.deliveredPerSecond : peak.acceptedPerSecond);
  const pairs = rounds.flatMap(({ ceiling, rival }) => (rival === null ? [] : [{ ceiling, rival }]));
  if (pairs.length === 0) return [];
  return [
    {
      part,
      what: "our ceiling (right) beside the rival (left)",
      unit: "perSecond",
      beside: median(pairs.map(({ rival }) => rate(rival))),
      value: median(pairs.map(({ ceiling }) => rate(ceiling))),
      ratio: median(pairs.map(({ ceiling, rival }) => rate(ceiling) / rate(rival))),
      aim: null,
    },
  ];
}

function compare(rounds: readonly Round[], read: (peak: Peak) => number) {
  return {
    beside: median(rounds.map(({ ceiling }) => read(ceiling))),
    value: median(rounds.map(({ product }) => read(product))),
    ratio: median(rounds.map(({ ceiling, product }) => read(product) / read(ceiling))),
  };
}
