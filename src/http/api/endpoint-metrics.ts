/** How an endpoint, or a whole project, has fared: rates, latencies, backlog, and both over time. */
import { type Static, Type } from "@sinclair/typebox";
import { DAY, HOUR, MINUTE } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import type { Backlog } from "../../domain/reads.ts";
import {
  addCounts,
  averageMs,
  bucketStart,
  fillSeries,
  NO_COUNTS,
  percentileMs,
  ROLLUP_BUCKETS,
  ROLLUP_ROWS_MAX,
  type RollupBucket,
  type RollupCounts,
  type RollupRow,
  WHOLE_PROJECT,
} from "../../domain/rollup.ts";
import type { ApiDeps } from "./deps.ts";
import { badParameter, findEndpoint, queryOf, readInstantParameter } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, showInstant, showOptionalInstant } from "./schemas.ts";

/** How long ago a window begins, and which sums it is added up from. */
const WINDOWS = {
  "5m": { lengthMs: 5 * MINUTE, bucket: "minute" },
  "1h": { lengthMs: HOUR, bucket: "minute" },
  "24h": { lengthMs: DAY, bucket: "minute" },
  "7d": { lengthMs: 7 * DAY, bucket: "hour" },
  "30d": { lengthMs: 30 * DAY, bucket: "hour" },
} as const satisfies Record<string, { lengthMs: number; bucket: RollupBucket }>;

const RATE = nullable(Type.Number({ description: "0 to 1; null when nothing ended." }));
const LATENCY_MS = nullable(
  Type.Integer({ description: "At most 20 % above the exact value; null without attempts." }),
);

const FIGURES = {
  deliveries: Type.Object(
    {
      created: Type.Integer(),
      succeeded: Type.Integer(),
      dead: Type.Integer({ description: "Each time that one was given up: a replayed one may count again." }),
      cancelled: Type.Integer(),
      discarded: Type.Integer(),
      successRate: RATE,
    },
    { additionalProperties: false },
  ),
  attempts: Type.Object(
    {
      total: Type.Integer(),
      succeeded: Type.Integer(),
      failed: Type.Integer(),
      retries: Type.Integer({ description: "Those after a delivery's first." }),
      successRate: RATE,
    },
    { additionalProperties: false },
  ),
  latencyMs: Type.Object(
    {
      average: LATENCY_MS,
      p50: LATENCY_MS,
      p90: LATENCY_MS,
      p95: LATENCY_MS,
      p99: LATENCY_MS,
      max: LATENCY_MS,
    },
    { additionalProperties: false, description: "Of attempts, from the request to the end of the answer." },
  ),
};

const PROJECT_METRICS = named("ProjectMetrics", { from: INSTANT, to: INSTANT, ...FIGURES });

const ENDPOINT_METRICS = named("EndpointMetrics", {
  from: INSTANT,
  to: INSTANT,
  ...FIGURES,
  backlog: Type.Object(
    {
      count: Type.Integer({ description: "What waits or is under way now." }),
      isMore: Type.Boolean({ description: "True: counting stopped there." }),
      oldestDueAt: nullable(INSTANT),
    },
    { additionalProperties: false },
  ),
  breaker: oneOf(["closed", "open", "half_open"]),
  inFlight: Type.Integer(),
});

const SERIES = named("TimeSeries", {
  bucket: oneOf(["minute", "hour"]),
  data: Type.Array(Type.Object({ at: INSTANT, ...FIGURES }, { additionalProperties: false }), {
    description: "One per bucket, also where nothing happened.",
  }),
});

const METRICS_QUERY = queryOf({
  window: Type.Optional(oneOf(["5m", "1h", "24h", "7d", "30d"], "Up to now; 24h when absent.")),
});

const SERIES_QUERY = queryOf({
  bucket: Type.Optional(oneOf(["minute", "hour"], "minute when absent.")),
  from: Type.Optional(Type.String({ description: "60 minutes or 48 hours before `to` when absent." })),
  to: Type.Optional(Type.String({ description: "Now when absent." })),
});

function rateOf(good: number, bad: number): number | null {
  return good + bad === 0 ? null : good / (good + bad);
}

function showFigures(counts: RollupCounts) {
  const { created, succeeded, dead, cancelled, discarded, attempts, retries } = counts;
  const { attemptsSucceeded, attemptsFailed } = counts;
  const average = averageMs(counts);
  return {
    deliveries: { created, succeeded, dead, cancelled, discarded, successRate: rateOf(succeeded, dead) },
    attempts: {
      total: attempts,
      succeeded: attemptsSucceeded,
      failed: attemptsFailed,
      retries,
      successRate: rateOf(attemptsSucceeded, attemptsFailed),
    },
    latencyMs: {
      average,
      p50: percentileMs(counts, 0.5),
      p90: percentileMs(counts, 0.9),
      p95: percentileMs(counts, 0.95),
      p99: percentileMs(counts, 0.99),
      max: average === null ? null : counts.durationMaxMs,
    },
  };
}

interface Subject {
  readonly project: string;
  readonly lane: number;
}

class Figures {
  readonly #deps: ApiDeps;

  constructor(deps: ApiDeps) {
    this.#deps = deps;
  }

  async ofWindow({ project, lane }: Subject, window: keyof typeof WINDOWS = "24h") {
    const { clock, reads, rollups } = this.#deps;
    const { lengthMs, bucket } = WINDOWS[window];
    const now = clock.now();
    const from = bucketStart(now - lengthMs, bucket) + ROLLUP_BUCKETS[bucket];
    await rollups.flush();
    const rows = await reads.readRollups({ project, lane, bucket, from, to: now + 1 });
    const sum = rows.reduce<RollupCounts>(addCounts, NO_COUNTS);
    return { from: showInstant(from), to: showInstant(now), ...showFigures(sum) };
  }

  async ofSeries({ project, lane }: Subject, query: Static<typeof SERIES_QUERY>) {
    const { clock, reads, rollups } = this.#deps;
    const { bucket = "minute" } = query;
    const lengthMs = bucket === "minute" ? HOUR : 2 * DAY;
    const to = query.to === undefined ? clock.now() + 1 : readInstantParameter("to", query.to);
    // Without a beginning, the bucket that is not over yet is the last of a whole number of them.
    const first = bucketStart(to - 1, bucket) + ROLLUP_BUCKETS[bucket] - lengthMs;
    const from =
      query.from === undefined ? first : bucketStart(readInstantParameter("from", query.from), bucket);
    if (from >= to) throw badParameter("from", "must lie before `to`");
    if ((to - from) / ROLLUP_BUCKETS[bucket] > ROLLUP_ROWS_MAX) {
      throw badParameter("from", `must lie at most ${ROLLUP_ROWS_MAX} buckets before \`to\``);
    }
    await rollups.flush();
    const rows = await reads.readRollups({ project, lane, bucket, from, to });
    const data = fillSeries(rows, { bucket, from, to }).map(showRow);
    return { bucket, data };
  }
}

function showRow({ at, ...counts }: RollupRow) {
  return { at: showInstant(at), ...showFigures(counts) };
}

function showBacklog({ count, isMore, oldestDueAt }: Backlog) {
  return { count, isMore, oldestDueAt: showOptionalInstant(oldestDueAt) };
}

const SHARED = { method: "GET", tag: "metrics", scope: "read" } as const;

export function metricsRoutes(deps: ApiDeps): ApiRoute[] {
  const figures = new Figures(deps);
  return [...endpointRoutes(deps, figures), ...projectRoutes(figures)];
}

function endpointRoutes(deps: ApiDeps, figures: Figures): ApiRoute[] {
  const { directory, reads, breakers, lanes } = deps;
  const find = (project: string, text: string) => {
    const endpoint = findEndpoint(directory, project, text);
    if (!endpoint) throw new AppError("not_found", "there is no such endpoint in this project");
    return endpoint;
  };
  return [
    defineRoute({
      ...SHARED,
      path: "/endpoints/:id/metrics",
      operationId: "getEndpointMetrics",
      summary: "Show how an endpoint has fared, and what waits for it",
      query: METRICS_QUERY,
      answer: ENDPOINT_METRICS,
      errors: ["not_found", "overloaded"],
      handle: async ({ principal: { project }, id, query }) => {
        const endpoint = find(project, id);
        return {
          ...(await figures.ofWindow(endpoint, query.window)),
          backlog: showBacklog(await reads.countBacklog(endpoint.lane)),
          breaker: breakers.state(endpoint).kind,
          inFlight: lanes.overview(endpoint.lane).inFlight,
        };
      },
    }),
    defineRoute({
      ...SHARED,
      path: "/endpoints/:id/timeseries",
      operationId: "getEndpointTimeSeries",
      summary: "Show how an endpoint fared, minute by minute or hour by hour",
      query: SERIES_QUERY,
      answer: SERIES,
      errors: ["not_found", "overloaded"],
      handle: ({ principal: { project }, id, query }) => figures.ofSeries(find(project, id), query),
    }),
  ];
}

function projectRoutes(figures: Figures): ApiRoute[] {
  return [
    defineRoute({
      ...SHARED,
      path: "/metrics",
      operationId: "getProjectMetrics",
      summary: "Show how all endpoints of the project have fared together",
      query: METRICS_QUERY,
      answer: PROJECT_METRICS,
      errors: ["overloaded"],
      handle: ({ principal: { project }, query }) =>
        figures.ofWindow({ project, lane: WHOLE_PROJECT }, query.window),
    }),
    defineRoute({
      ...SHARED,
      path: "/timeseries",
      operationId: "getProjectTimeSeries",
      summary: "Show how all endpoints of the project fared over time",
      query: SERIES_QUERY,
      answer: SERIES,
      errors: ["overloaded"],
      handle: ({ principal: { project }, query }) =>
        figures.ofSeries({ project, lane: WHOLE_PROJECT }, query),
    }),
  ];
}
