/**
 * GET /metrics: the counters of runtime/metrics.ts as Prometheus text (exposition format 0.0.4). Written by
 * hand, because the counters and buckets exist already and a client library would only keep a second copy of
 * them. A scrape reads memory and two pragmas, never a table. Series are bounded: what comes after the first
 * LABELS_MAX endpoints or sources is summed up under one name that no object can have.
 */
import type { ListenerCounts } from "../runtime/listeners.ts";
import type { EndpointCounters, Metrics, ScheduleCounters, SourceCounters } from "../runtime/metrics.ts";
import { assertOperator, authenticate, authorize, type KeyDirectory } from "./auth.ts";
import type { Door } from "./door.ts";
import { methodNotAllowed } from "./errors.ts";
import type { StoreHealth } from "./health.ts";

export interface MetricsDoorOptions {
  readonly metrics: Metrics;
  /** Upper bounds of the duration buckets, as the counters were filled. */
  readonly durationBucketsMs: readonly number[];
  readonly breakers: { counts(): { readonly open: number; readonly halfOpen: number } };
  readonly latenessBucketsMs: readonly number[];
  readonly slots: { readonly used: number; readonly total: number };
  readonly listeners: { counts(): ListenerCounts };
  readonly store: {
    readonly health: StoreHealth;
    readonly durability: "fsync" | "relaxed";
    counts(): {
      readonly commits: number;
      readonly items: number;
      readonly waiting: number;
      readonly waitingBytes: number;
      readonly usedBytes: number;
    };
  };
  readonly directory: KeyDirectory;
  readonly build: { readonly version: string; readonly commit: string };
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

const LABELS_MAX = 200;
const REST = "(other)";
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function createMetricsDoor(options: MetricsDoorOptions): Door {
  return {
    name: "metrics",
    claims: { main: ["/metrics"], metrics: ["/metrics"] },
    handle(request, { role }) {
      if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed(["GET", "HEAD"]);
      if (role !== "metrics") {
        const principal = authenticate(request.headers, options.directory);
        authorize(principal, "read");
        // Its labels are the names of every project's endpoints and sources.
        assertOperator(principal);
      }
      return new Response(renderMetrics(options), { headers: { "content-type": CONTENT_TYPE } });
    },
  };
}

/** Returns the whole text of one scrape. */
function renderMetrics(options: MetricsDoorOptions): string {
  const { metrics, slots, store, build, startedAt } = options;
  const counts = store.counts();
  const text = new MetricsText();
  text.family("postern_build_info", "gauge", "The running build.").sample(build, 1);
  text.single("postern_start_time_seconds", "gauge", "When this process started.", startedAt / 1_000);
  text
    .family("postern_durability_info", "gauge", "What an acknowledgement is worth.")
    .sample({ durability: store.durability }, 1);
  writeSources(text, metrics);
  text.single(
    "postern_unknown_source_requests_total",
    "counter",
    "Requests to sources that do not exist.",
    metrics.unknownSourceCount,
  );
  text.single(
    "postern_refused_for_load_total",
    "counter",
    "Requests refused because the store had no room or could not be written.",
    metrics.refusedForLoadCount,
  );
  writeEndpoints(text, metrics, options.durationBucketsMs);
  const breakers = options.breakers.counts();
  const open = text.family("postern_breakers", "gauge", "Circuit breakers that are not closed.");
  open.sample({ state: "open" }, breakers.open);
  open.sample({ state: "half_open" }, breakers.halfOpen);
  writeSchedules(text, metrics, options.latenessBucketsMs);
  text.single("postern_attempts_in_flight", "gauge", "Requests under way.", slots.used);
  const { connected, unanswered } = options.listeners.counts();
  text.single("postern_listeners", "gauge", "Clients that take deliveries over a socket.", connected);
  text.single("postern_listener_unanswered", "gauge", "Deliveries that they have not answered.", unanswered);
  text.single("postern_attempt_slots", "gauge", "Attempts that may be under way at once.", slots.total);
  text.single(
    "postern_store_healthy",
    "gauge",
    "1 while the store can be written.",
    store.health.isHealthy ? 1 : 0,
  );
  text.single("postern_store_used_bytes", "gauge", "Pages in use plus the log.", counts.usedBytes);
  text.single("postern_writer_commits_total", "counter", "Transactions committed.", counts.commits);
  text.single("postern_writer_items_total", "counter", "Writes in those transactions.", counts.items);
  text.single("postern_writer_waiting", "gauge", "Writes that wait for a commit.", counts.waiting);
  text.single(
    "postern_writer_waiting_bytes",
    "gauge",
    "Roughly what they hold in memory.",
    counts.waitingBytes,
  );
  return text.toString();
}

function writeSources(text: MetricsText, metrics: Metrics): void {
  const sources = bounded(metrics.sources, addSource, (counters) => ({ ...counters }));
  const accepted = text.family("postern_events_accepted_total", "counter", "Events stored.");
  for (const [source, counters] of sources) accepted.sample({ source }, counters.accepted);
  const duplicates = text.family("postern_events_duplicate_total", "counter", "Requests known already.");
  for (const [source, counters] of sources) duplicates.sample({ source }, counters.duplicates);
  const rejected = text.family("postern_requests_rejected_total", "counter", "Requests refused.");
  for (const [source, counters] of sources) {
    for (const [reason, count] of Object.entries(counters.rejected))
      rejected.sample({ source, reason }, count);
  }
}

function addSource(sum: SourceCounters, more: SourceCounters): SourceCounters {
  return {
    accepted: sum.accepted + more.accepted,
    duplicates: sum.duplicates + more.duplicates,
    rejected: addCounts(sum.rejected, more.rejected),
  };
}

type Counts<Reason extends string> = Partial<Record<Reason, number>>;

function addCounts<Reason extends string>(sum: Counts<Reason>, more: Counts<Reason>): Counts<Reason> {
  const added = { ...sum };
  for (const key of Object.keys(more) as Reason[]) added[key] = (sum[key] ?? 0) + (more[key] ?? 0);
  return added;
}

function writeEndpoints(text: MetricsText, metrics: Metrics, boundsMs: readonly number[]): void {
  const endpoints = bounded(byName(metrics.endpoints.values()), addEndpoint, (counters) => ({
    ...counters,
    project: REST,
    name: REST,
  }));
  const labels = ({ project, name }: EndpointCounters) => ({ project, endpoint: name });
  const attempts = text.family("postern_attempts_total", "counter", "Attempts by how they ended.");
  for (const [, counters] of endpoints) {
    for (const outcome of ["succeeded", "failed", "awaiting"] as const) {
      attempts.sample({ ...labels(counters), outcome }, counters[outcome]);
    }
  }
  const dead = text.family("postern_deliveries_dead_total", "counter", "Deliveries given up.");
  for (const [, counters] of endpoints) dead.sample(labels(counters), counters.dead);
  const name = "postern_attempt_duration_seconds";
  const durations = text.family(name, "histogram", "From the start of an attempt to its outcome.");
  for (const [, counters] of endpoints) {
    const { durations: counts, durationSumMs: sumMs } = counters;
    writeHistogram(durations, labels(counters), { counts, sumMs, boundsMs });
  }
}

function writeSchedules(text: MetricsText, metrics: Metrics, boundsMs: readonly number[]): void {
  const projects = bounded(metrics.schedules, addSchedules, (counters) => ({ ...counters }));
  const runs = text.family("postern_schedule_runs_total", "counter", "Runs of schedules that were started.");
  for (const [project, counters] of projects) runs.sample({ project }, counters.runs);
  const skipped = text.family("postern_schedule_runs_skipped_total", "counter", "Runs given up, by reason.");
  for (const [project, counters] of projects) {
    for (const [reason, count] of Object.entries(counters.skipped))
      skipped.sample({ project, reason }, count);
  }
  const name = "postern_schedule_lateness_seconds";
  const late = text.family(name, "histogram", "From when a run was due until its lane had it.");
  for (const [project, { late: counts, lateSumMs: sumMs }] of projects) {
    writeHistogram(late, { project }, { counts, sumMs, boundsMs });
  }
}

function addSchedules(sum: ScheduleCounters, more: ScheduleCounters): ScheduleCounters {
  return {
    runs: sum.runs + more.runs,
    skipped: addCounts(sum.skipped, more.skipped),
    lateSumMs: sum.lateSumMs + more.lateSumMs,
    late: sum.late.map((count, index) => count + (more.late[index] ?? 0)),
  };
}

interface Histogram {
  readonly counts: readonly number[];
  readonly sumMs: number;
  readonly boundsMs: readonly number[];
}

function writeHistogram(family: Family, labels: Labels, { counts, sumMs, boundsMs }: Histogram): void {
  let count = 0;
  for (const [index, boundMs] of boundsMs.entries()) {
    count += counts[index] ?? 0;
    family.sample({ ...labels, le: String(boundMs / 1_000) }, count, "_bucket");
  }
  count += counts[boundsMs.length] ?? 0;
  family.sample({ ...labels, le: "+Inf" }, count, "_bucket");
  family.sample(labels, sumMs / 1_000, "_sum");
  family.sample(labels, count, "_count");
}

/**
 * An endpoint that was removed and made again is a new one of the same name; a series must not appear twice.
 */
function byName(all: Iterable<EndpointCounters>): Map<string, EndpointCounters> {
  const named = new Map<string, EndpointCounters>();
  for (const counters of all) {
    const key = `${counters.project}/${counters.name}`;
    const known = named.get(key);
    named.set(key, known ? addEndpoint(known, counters) : counters);
  }
  return named;
}

function addEndpoint(sum: EndpointCounters, more: EndpointCounters): EndpointCounters {
  return {
    ...sum,
    succeeded: sum.succeeded + more.succeeded,
    failed: sum.failed + more.failed,
    awaiting: sum.awaiting + more.awaiting,
    dead: sum.dead + more.dead,
    durationSumMs: sum.durationSumMs + more.durationSumMs,
    durations: sum.durations.map((count, index) => count + (more.durations[index] ?? 0)),
  };
}

/** Returns the first LABELS_MAX entries as they are and all others added up into one. */
function bounded<C>(
  all: ReadonlyMap<string, C>,
  add: (sum: C, more: C) => C,
  begin: (first: C) => C,
): readonly (readonly [string, C])[] {
  const shown: [string, C][] = [];
  let rest: C | null = null;
  for (const [key, counters] of all) {
    if (shown.length < LABELS_MAX) shown.push([key, counters]);
    else rest = rest === null ? begin(counters) : add(rest, counters);
  }
  return rest === null ? shown : [...shown, [REST, rest]];
}

type Labels = Readonly<Record<string, string>>;

interface Family {
  sample(labels: Labels, value: number, suffix?: string): void;
}

class MetricsText {
  readonly #lines: string[] = [];

  family(name: string, type: "counter" | "gauge" | "histogram", about: string): Family {
    this.#lines.push(`# HELP ${name} ${about}`, `# TYPE ${name} ${type}`);
    return {
      sample: (labels, value, suffix = "") => {
        const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
        this.#lines.push(`${name}${suffix}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`);
      },
    };
  }

  /** A family of one sample without labels. */
  single(name: string, type: "counter" | "gauge", about: string, value: number): void {
    this.family(name, type, about).sample({}, value);
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
