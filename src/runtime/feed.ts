/**
 * What happens, as it happens: the newest changes in memory, numbered, for those who watch. A watcher reads
 * at its own pace and holds nothing here but its place; one that falls behind what is kept is told how much
 * it has missed. Numbers begin anew with each process, so a cursor names the process, too.
 */
import type { AttemptRecord } from "../domain/attempt.ts";
import type { StoreChange } from "../domain/change.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import { AppError } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Clock } from "./clock.ts";

export type FeedEntry = { readonly number: number; readonly at: number } & (
  | { readonly kind: "event"; readonly event: FeedEvent }
  | {
      readonly kind: "delivery";
      readonly seq: number;
      readonly state: DeliveryState;
      readonly attempt: FeedAttempt | null;
    }
);

/** Without the body: what is kept here has to stay small. */
export type FeedEvent = Pick<NewEvent, "id" | "project" | "sourceSeq" | "type" | "tenant"> & {
  readonly sizeBytes: number;
};

export type FeedAttempt = Omit<AttemptRecord, "excerpt" | "detail">;

export interface FeedOptions {
  readonly clock: Clock;
  /** The number of this process. */
  readonly lease: number;
  readonly entriesMax?: number;
}

/** At a thousand deliveries per second some seconds: time enough to come back. A few MiB. */
const ENTRIES_MAX = 8_192;
const WATCHERS_MAX = 32;
/** Of one project: none may keep all others from watching. */
const PROJECT_WATCHERS_MAX = 16;
const CURSOR = /^(\d{1,15})\.(\d{1,15})$/;

export interface FeedStep {
  readonly entries: readonly FeedEntry[];
  /** How many entries the watcher missed before these; null: nobody knows, they were another process's. */
  readonly missed: number | null;
}

export class Feed {
  readonly #options: FeedOptions;
  #entries: FeedEntry[] = [];
  #lastNumber = 0;
  /** Each with the project whose it is. */
  readonly #watchers = new Map<Watcher, string>();
  #isStopped = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Takes what a commit changed. */
  note(changes: readonly StoreChange[]): void {
    for (const change of changes) this.#add(change);
    const { entriesMax = ENTRIES_MAX } = this.#options;
    // Cut by halves: moving the whole list for each entry would cost more than the entries.
    if (this.#entries.length > 2 * entriesMax) this.#entries = this.#entries.slice(-entriesMax);
    for (const watcher of this.#watchers.keys()) watcher.wake?.();
  }

  /** Begins to watch: after a cursor, or from now on. AppError: invalid_request, overloaded. */
  watch(project: string, since: string | null): Watcher {
    const own = [...this.#watchers.values()].filter((other) => other === project).length;
    if (this.#watchers.size >= WATCHERS_MAX || own >= PROJECT_WATCHERS_MAX)
      throw new AppError("overloaded", "too many are watching already");
    const watcher = new Watcher(this, this.#placeOf(since), () => this.#watchers.delete(watcher));
    this.#watchers.set(watcher, project);
    return watcher;
  }

  /** Ends all watching. */
  stop(): void {
    this.#isStopped = true;
    for (const watcher of this.#watchers.keys()) watcher.wake?.();
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  cursorOf(number: number): string {
    return `${this.#options.lease}.${number}`;
  }

  /** Returns what came after a number, the oldest first, at most `limit`. */
  after(number: number, limit: number): readonly FeedEntry[] {
    const first = this.#entries[0]?.number ?? this.#lastNumber + 1;
    const from = Math.max(0, number + 1 - first);
    return this.#entries.slice(from, from + limit);
  }

  #placeOf(since: string | null): { number: number; isForeign: boolean } {
    if (since === null) return { number: this.#lastNumber, isForeign: false };
    const parts = CURSOR.exec(since);
    if (parts === null) throw new AppError("invalid_request", "since is no cursor of a live stream");
    const isForeign = Number(parts[1]) !== this.#options.lease || Number(parts[2]) > this.#lastNumber;
    return { number: isForeign ? 0 : Number(parts[2]), isForeign };
  }

  #add(change: StoreChange): void {
    if (change.kind === "accepted") {
      const { id, project, sourceSeq, type, tenant, body, receivedAt: at } = change.event;
      const event = { id, project, sourceSeq, type, tenant, sizeBytes: body.byteLength };
      this.#entries.push({ number: ++this.#lastNumber, at, kind: "event", event });
    } else if (change.kind === "created") {
      const { seq, delivery, createdAt: at } = change;
      const { state } = delivery;
      this.#entries.push({ number: ++this.#lastNumber, at, kind: "delivery", seq, state, attempt: null });
    } else {
      const { seq, to: state, at, attempt } = change.change;
      const kept = attempt === null ? null : withoutBytes(attempt);
      this.#entries.push({ number: ++this.#lastNumber, at, kind: "delivery", seq, state, attempt: kept });
    }
  }
}

function withoutBytes({ excerpt: _excerpt, detail: _detail, ...kept }: AttemptRecord): FeedAttempt {
  return kept;
}

/** One place in the feed. Whoever made it must end it. */
export class Watcher {
  readonly #feed: Feed;
  readonly #end: () => void;
  #number: number;
  #isForeign: boolean;
  wake: (() => void) | null = null;

  constructor(feed: Feed, place: { number: number; isForeign: boolean }, end: () => void) {
    this.#feed = feed;
    this.#number = place.number;
    this.#isForeign = place.isForeign;
    this.#end = end;
  }

  /** Where it stands; watching after it goes on from here. */
  get cursor(): string {
    return this.#feed.cursorOf(this.#number);
  }

  /** Returns what has come since, at most `limit`, and moves on behind it. */
  take(limit: number): FeedStep {
    const entries = this.#feed.after(this.#number, limit);
    const first = entries[0]?.number ?? this.#number + 1;
    const missed = this.#isForeign ? null : first - this.#number - 1;
    this.#isForeign = false;
    this.#number = entries.at(-1)?.number ?? this.#number;
    return { entries, missed };
  }

  /** Resolves with true when there may be more, with false after `untilMs` of real time without anything. */
  async wait(clock: Clock, waitMs: number): Promise<boolean> {
    if (this.#feed.isStopped || this.#feed.after(this.#number, 1).length > 0) return true;
    const waiting = Promise.withResolvers<boolean>();
    const timer = clock.setWallTimer(waitMs, () => waiting.resolve(false));
    this.wake = () => waiting.resolve(true);
    const isMore = await waiting.promise;
    timer.cancel();
    this.wake = null;
    return isMore;
  }

  get isStopped(): boolean {
    return this.#feed.isStopped;
  }

  end(): void {
    this.wake?.();
    this.#end();
  }
}
