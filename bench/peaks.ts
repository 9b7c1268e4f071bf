/** (a) to (d): how much the product takes, and takes and delivers, beside ceilings that do nothing else. */
import type { Bench } from "./bench.ts";
import { startProduct } from "./product.ts";
import { CEILING_PROGRAM, type Mode, type Subject, startCeiling, startSink } from "./subject.ts";
import { aimAtLeast, type Row } from "./table.ts";
import { medianOf, type Round, ratioOf, type Slice, takeTurns } from "./turns.ts";

type Name = "ceiling" | "product" | "rival";

export interface Peaks {
  readonly mode: Mode;
  /** Without a rival, that name is missing from every round. */
  readonly rounds: readonly Round<Name>[];
}

const RATIO_AIM = 0.7;

/** Runs something with a receiver of its own, or with none when nothing is forwarded. */
export async function withSink<Result>(mode: Mode, run: (url: string) => Promise<Result>): Promise<Result> {
  const sink = mode === "path" ? await startSink() : null;
  try {
    return await run(sink?.url ?? "http://127.0.0.1:1/");
  } finally {
    await sink?.kill();
  }
}

/** Measures ceiling, product and rival (if one was given) in turn, each on a new store. */
export function measurePeaks(bench: Bench, mode: Mode): Promise<Peaks> {
  return measure(bench, mode, async (folder, sinkUrl) => {
    const ceiling = await startCeiling(CEILING_PROGRAM, { mode, folder, sinkUrl, name: "ceiling" });
    const product = await startProduct(bench.program, { mode, folder, sinkUrl });
    if (bench.rival === null) return { ceiling, product };
    return {
      ceiling,
      product,
      rival: await startCeiling(bench.rival, { mode, folder, sinkUrl, name: "rival" }),
    };
  });
}

/** Measures the product alone, for those who only need to know its peak. */
export function measureProductPeak(bench: Bench, mode: Mode): Promise<Peaks> {
  return measure(bench, mode, async (folder, sinkUrl) => ({
    product: await startProduct(bench.program, { mode, folder, sinkUrl }),
  }));
}

function measure(
  bench: Bench,
  mode: Mode,
  start: (folder: string, sinkUrl: string) => Promise<Partial<Record<Name, Subject>>>,
): Promise<Peaks> {
  return withSink(mode, (sinkUrl) =>
    bench.withFolder(async (folder) => {
      const subjects = (await start(folder, sinkUrl)) as Record<Name, Subject>;
      try {
        const rounds = await takeTurns(bench, subjects, bench.durations.rounds);
        for (const round of rounds) bench.progress(describeRound(mode, round));
        return { mode, rounds };
      } finally {
        await Promise.all(Object.values(subjects).map((subject) => subject.kill()));
      }
    }),
  );
}

function rateOf(mode: Mode): (slice: Slice) => number {
  return mode === "path" ? (slice) => slice.deliveredPerSecond : (slice) => slice.acceptedPerSecond;
}

function describeRound(mode: Mode, round: Partial<Round<Name>>): string {
  const rates = Object.entries(round).map(([name, slice]) => `${name} ${Math.round(rateOf(mode)(slice))}/s`);
  return `${mode}: ${rates.join(", ")}`;
}

export function peakRows({ mode, rounds }: Peaks): Row[] {
  const part = mode === "ingest" ? "a, b" : "c, d";
  const compare = (read: (slice: Slice) => number) => ({
    part,
    beside: medianOf(rounds, "ceiling", read),
    value: medianOf(rounds, "product", read),
    ratio: null,
    aim: null,
  });
  const ratio = ratioOf(rounds, { of: "product", to: "ceiling" }, rateOf(mode));
  const judged = { ratio, aim: aimAtLeast(ratio.median, RATIO_AIM) };
  const accepted = compare((slice) => slice.acceptedPerSecond);
  const p99 = compare((slice) => slice.p99Ms);
  const latency: Row = { ...p99, what: "acknowledgement p99 at that peak", unit: "ms" };
  const rival = rivalRows(part, mode, rounds);
  if (mode === "ingest") {
    return [
      { ...accepted, ...judged, what: "accepted, nothing forwarded", unit: "perSecond" },
      latency,
      ...rival,
    ];
  }
  const delivered = compare(rateOf(mode));
  const backlog = compare((slice) => slice.backlog);
  return [
    { ...accepted, what: "accepted while delivering", unit: "perSecond" },
    { ...delivered, ...judged, what: "delivered", unit: "perSecond" },
    { ...backlog, what: "backlog at the end of the load", unit: "count" },
    latency,
    ...rival,
  ];
}

function rivalRows(part: string, mode: Mode, rounds: readonly Round<Name>[]): Row[] {
  const isThere = rounds.every((round: Partial<Round<Name>>) => round.rival !== undefined);
  if (!isThere) return [];
  const read = rateOf(mode);
  return [
    {
      part,
      what: "our ceiling (right) beside the rival (left)",
      unit: "perSecond",
      beside: medianOf(rounds, "rival", read),
      value: medianOf(rounds, "ceiling", read),
      ratio: ratioOf(rounds, { of: "ceiling", to: "rival" }, read),
      aim: null,
    },
  ];
}
