/** The live stream: one JSON object per line, as things happen, until the client leaves. */
import { Type } from "@sinclair/typebox";
import { DELIVERY_STATES } from "../../domain/delivery.ts";
import { showId } from "../../domain/id.ts";
import type { NamedDelivery } from "../../domain/reads.ts";
import type { FeedAttempt, FeedEntry, FeedEvent, FeedStep, Watcher } from "../../runtime/feed.ts";
import { showDelivery } from "./deliveries.ts";
import type { ApiDeps } from "./deps.ts";
import { queryOf, readEndpointParameter } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { oneOf, showInstant } from "./schemas.ts";

/** Entries turned into lines at a time: what a client that stops reading makes us hold. */
const STEP_ENTRIES = 100;
/** Tells both ends, and whatever is between them, that the other is there. */
const PING_EVERY_MS = 15_000;

interface TailFilter {
  readonly project: string;
  readonly lane: number | null;
  readonly type: string | null;
  readonly state: string | null;
}

type Line = Readonly<Record<string, unknown>>;

export function tailRoutes(deps: ApiDeps): ApiRoute[] {
  return [
    defineRoute({
      method: "GET",
      path: "/tail",
      operationId: "tail",
      summary: "Watch events, deliveries and attempts as they happen",
      description:
        "JSON lines (application/x-ndjson), each with a cursor to go on after. After a gap some are missing.",
      tag: "server",
      scope: "read",
      query: queryOf({
        since: Type.Optional(Type.String({ description: "The cursor of a line; from now on when absent." })),
        endpoint: Type.Optional(Type.String({ description: "Only deliveries to it: its name or id." })),
        type: Type.Optional(Type.String({ description: "The event's: exact, or a prefix that ends in *." })),
        state: Type.Optional(oneOf(DELIVERY_STATES, "Only deliveries that come into this state.")),
        wait: Type.Optional(oneOf(["yes", "no"], "no: end when everything so far is told.")),
      }),
      answer: Type.Unknown(),
      errors: ["overloaded"],
      handle: ({ principal: { project }, query, holdOpen }) => {
        const { since = null, endpoint, type = null, state = null, wait = "yes" } = query;
        const lane =
          endpoint === undefined ? null : readEndpointParameter(deps.directory, project, endpoint).lane;
        const watcher = deps.feed.watch(project, since);
        holdOpen();
        const lines = new TailLines(deps, watcher, { project, lane, type, state });
        return new Response(streamOf(lines, watcher, wait === "yes"), {
          headers: { "content-type": "application/x-ndjson", "cache-control": "no-store" },
        });
      },
    }),
  ];
}

/** Pulled by the client: what it does not read is not made. */
function streamOf(lines: TailLines, watcher: Watcher, isLive: boolean): ReadableStream<Uint8Array> {
  const encode = (written: readonly Line[]) =>
    Buffer.from(written.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return new ReadableStream<Uint8Array>({
    // The first line tells at once where the client stands.
    start: (controller) => {
      if (isLive) controller.enqueue(encode([{ kind: "ping", cursor: watcher.cursor }]));
    },
    pull: async (controller) => {
      const written = await lines.next(isLive);
      if (written.length > 0) controller.enqueue(encode(written));
      const isOver = watcher.isStopped || (!isLive && written.at(-1)?.kind === "end");
      if (!isOver) return;
      watcher.end();
      controller.close();
    },
    cancel: () => watcher.end(),
  });
}

class TailLines {
  readonly #deps: ApiDeps;
  readonly #watcher: Watcher;
  readonly #filter: TailFilter;

  constructor(deps: ApiDeps, watcher: Watcher, filter: TailFilter) {
    this.#deps = deps;
    this.#watcher = watcher;
    this.#filter = filter;
  }

  /** Resolves with at least one line: what has happened, or that nothing has. */
  async next(isLive: boolean): Promise<readonly Line[]> {
    for (;;) {
      const step = this.#watcher.take(STEP_ENTRIES);
      const lines = [...this.#gap(step), ...(await this.#linesOf(step.entries))];
      if (lines.length > 0 || this.#watcher.isStopped) return lines;
      if (step.entries.length > 0) continue;
      const { cursor } = this.#watcher;
      if (!isLive) return [{ kind: "end", cursor }];
      if (!(await this.#watcher.wait(this.#deps.clock, PING_EVERY_MS))) return [{ kind: "ping", cursor }];
    }
  }

  #gap({ missed, entries }: FeedStep): Line[] {
    if (missed === 0) return [];
    const first = entries[0]?.number;
    const cursor = first === undefined ? this.#watcher.cursor : this.#deps.feed.cursorOf(first - 1);
    return [{ kind: "gap", cursor, missed }];
  }

  async #linesOf(entries: readonly FeedEntry[]): Promise<Line[]> {
    const seqs = new Set(entries.flatMap((entry) => (entry.kind === "delivery" ? [entry.seq] : [])));
    const rows = seqs.size === 0 ? [] : await this.#deps.reads.deliveriesOfSeqs([...seqs]);
    const known = new Map(rows.map((row) => [row.seq, row]));
    return entries.flatMap((entry) => {
      const shown = entry.kind === "event" ? this.#event(entry.event) : this.#delivery(entry, known);
      if (shown === null) return [];
      const { number, kind, at } = entry;
      return [{ kind, cursor: this.#deps.feed.cursorOf(number), at: showInstant(at), ...shown }];
    });
  }

  #event({ id, project, sourceSeq, type, tenant, sizeBytes }: FeedEvent): Line | null {
    const { lane, state } = this.#filter;
    if (project !== this.#filter.project || lane !== null || state !== null || !this.#isType(type))
      return null;
    const source = sourceSeq === null ? undefined : this.#deps.directory.sourceOfSeq(sourceSeq);
    return { event: { id: showId("event", id), source: source?.name ?? null, type, tenant, sizeBytes } };
  }

  #delivery(
    { seq, state, attempt }: Extract<FeedEntry, { kind: "delivery" }>,
    known: ReadonlyMap<number, NamedDelivery>,
  ): Line | null {
    const row = known.get(seq);
    const { project, lane, state: wanted } = this.#filter;
    if (row === undefined || row.project !== project) return null;
    if ((lane !== null && row.lane !== lane) || (wanted !== null && state !== wanted)) return null;
    if (!this.#isType(row.type)) return null;
    const { id, eventId, source, endpoint } = showDelivery(row, this.#deps.directory);
    const delivery = { id, eventId, source, endpoint, type: row.type, state };
    return { delivery, attempt: attempt && showAttempt(attempt) };
  }

  #isType(type: string | null): boolean {
    const wanted = this.#filter.type;
    if (wanted === null) return true;
    if (type === null) return false;
    return wanted.endsWith("*") ? type.startsWith(wanted.slice(0, -1)) : type === wanted;
  }
}

function showAttempt({ startedAt, ...attempt }: FeedAttempt): Line {
  return { ...attempt, startedAt: showInstant(startedAt) };
}
