/**
 * Bulk operations: repairs of many deliveries, done in small slices so that what is fresh gets between them.
 * Each operation is a row of the store; a slice and the cursor behind it commit together (storage/bulks.ts).
 *
 *   running    one loop here                    <- created, resumed, found at start
 *   paused     no loop; stays so over a restart <- an operator, or a slice that the store cannot apply
 *   done, cancelled      over
 *
 * With a rate, slices follow the clock. Without one they follow the receivers: of no lane is more made due
 * than it sends at a time (and a slice), because a fresh delivery would have to queue behind all of it. A
 * lane that takes nothing for a second keeps nobody waiting.
 */
import type {
  Bulk,
  BulkState,
  BulkStep,
  BulkStepInput,
  DeliveryMatch,
  MatchGroup,
  NewBulk,
} from "../domain/bulk.ts";
import type { StoreChange } from "../domain/change.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import { type Id, showId } from "../domain/id.ts";
import type { ListReads, Lookup } from "../domain/reads.ts";
import { afterTurn, type Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import { isClosed } from "./lane.ts";
import type { Log } from "./log.ts";
import type { Probe } from "./probe.ts";

export interface BulkStore {
  createBulk(bulk: NewBulk, now: number): Promise<Bulk>;
  stepBulk(input: BulkStepInput): Promise<BulkStep | null>;
  setBulkState(lookup: Lookup, state: BulkState, now: number): Promise<Bulk | null>;
  openBulks(): Promise<readonly Bulk[]>;
  countMatches: ListReads["countMatches"];
}

export interface BulksOptions {
  readonly clock: Clock;
  readonly store: BulkStore;
  readonly directory: Pick<Directory, "endpointOfLane">;
  readonly nextId: () => Id;
  readonly log: Log;
  readonly probe: Probe;
  readonly onDue: (lane: number, dueAt: number) => void;
  readonly onFinished: () => void;
}

export interface BulkPreview {
  readonly count: number;
  /** False: the time was up, and there may be more. */
  readonly isComplete: boolean;
  readonly groups: readonly MatchGroup[];
}

/** Half a millisecond of writing: what a fresh delivery may have to wait for. */
const SLICE_ITEMS = 16;
/** Made due ahead in one lane, however many it sends at a time: a fresh delivery has to queue behind them. */
const AHEAD_MAX = 16;
/** How long a lane may take nothing at all before the others go on without it. */
const STALL_MS = 1_000;
/** Deliveries of one lane that are followed until they are sent. */
const TRACKED_MAX = 2_048;
/** How long a slice may wait for the store to be writable again. */
const RETRY_MS = 1_000;
/** With a rate: how often slices come, as far as they are not single deliveries. */
const PACE_MS = 50;
/** Each costs a little at every commit. */
const OPEN_MAX = 50;
const PREVIEW_MS = 2_000;
/** Types of events are the sender's words; a preview names the most frequent. */
const GROUPS_MAX = 2_000;

/** What one lane has to send of it. */
interface Backlog {
  count: number;
  /** No more than that is made due ahead. */
  readonly countMax: number;
  /** When it last sent one, or got its first: engine time. */
  movedAt: number;
}

interface Run {
  bulk: Bulk;
  /** What it made due and what has not been tried since. */
  readonly outstanding: Map<number, Backlog>;
  /** By lane. */
  readonly backlogs: Map<number, Backlog>;
  /** When the next slice may come, with a rate. */
  nextAt: number;
  isWaiting: boolean;
  /** The operation as a resume left it, until the loop has seen that. */
  resumed: Bulk | null;
  /** Ends the present wait. */
  wake: (() => void) | null;
}

export class Bulks {
  readonly #options: BulksOptions;
  readonly #runs = new Map<Id, Run>();
  readonly #loops = new Set<Promise<void>>();
  #openCount = 0;
  #isStopped = false;

  constructor(options: BulksOptions) {
    this.#options = options;
  }

  /** Goes on with what an earlier process left running. */
  async start(): Promise<void> {
    const open = await this.#options.store.openBulks();
    this.#openCount = open.length;
    for (const bulk of open) if (bulk.state === "running") this.#begin(bulk);
  }

  /** Ends after the slices under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const run of this.#runs.values()) run.wake?.();
    await Promise.all(this.#loops);
  }

  /** True when every operation waits: for its time, or for receivers. */
  isSettled(): boolean {
    for (const run of this.#runs.values()) if (!run.isWaiting) return false;
    return true;
  }

  /** Stores an operation and begins it. AppError: conflict when too many are open. */
  async create(wanted: Omit<NewBulk, "id">): Promise<Bulk> {
    const { store, clock, nextId, log } = this.#options;
    if (this.#openCount >= OPEN_MAX) {
      throw new AppError("conflict", `there are ${OPEN_MAX} bulk operations that are not over already`);
    }
    this.#openCount += 1;
    try {
      const bulk = await store.createBulk({ ...wanted, id: nextId() }, clock.now());
      log.info("bulk.created", { bulk: showId("bulk", bulk.id), action: bulk.action, rate: bulk.rate });
      this.#begin(bulk);
      return bulk;
    } catch (error) {
      this.#openCount -= 1;
      throw error;
    }
  }

  /** Counts what a filter means, for at most two seconds. */
  async preview(match: DeliveryMatch): Promise<BulkPreview> {
    const { store, clock } = this.#options;
    const untilMs = clock.monotonicMs() + PREVIEW_MS;
    const groups = new Map<string, MatchGroup>();
    const now = clock.now();
    let after: number | null = 0;
    let count = 0;
    while (after !== null && clock.monotonicMs() <= untilMs && groups.size < GROUPS_MAX) {
      const counted: Awaited<ReturnType<BulkStore["countMatches"]>> = await store.countMatches({
        match,
        after,
        now,
      });
      for (const group of counted.groups) {
        count += group.count;
        const key = JSON.stringify([group.lane, group.type, group.age]);
        groups.set(key, { ...group, count: group.count + (groups.get(key)?.count ?? 0) });
      }
      after = counted.next;
    }
    return { count, isComplete: after === null, groups: [...groups.values()] };
  }

  /** AppError: not_found, invalid_state when it is over. */
  async pause(lookup: Lookup): Promise<Bulk> {
    return this.#change(lookup, "paused");
  }

  async resume(lookup: Lookup): Promise<Bulk> {
    const bulk = await this.#change(lookup, "running");
    const run = this.#runs.get(bulk.id);
    // A loop that has not seen the pause yet, or is just about to end because of it, goes on.
    if (run) run.resumed = bulk;
    else this.#begin(bulk);
    return bulk;
  }

  /** What is changed already stays so. */
  async cancel(lookup: Lookup): Promise<Bulk> {
    const bulk = await this.#change(lookup, "cancelled");
    this.#openCount -= 1;
    return bulk;
  }

  /** Takes what a commit changed: what moved has been tried, or was moved by somebody else. */
  note(changes: readonly StoreChange[]): void {
    if (this.#runs.size === 0) return;
    for (const run of this.#runs.values()) {
      if (run.outstanding.size === 0) continue;
      const now = this.#options.clock.now();
      for (const change of changes) if (change.kind === "moved") takeOut(run, change.change.seq, now);
      if (run.bulk.rate === null && run.isWaiting && hasRoom(run, now)) run.wake?.();
    }
  }

  async #change(lookup: Lookup, state: BulkState): Promise<Bulk> {
    const { store, clock, log } = this.#options;
    const bulk = await store.setBulkState(lookup, state, clock.now());
    if (bulk === null) throw new AppError("invalid_state", "this bulk operation is over, or there is none");
    log.info("bulk.changed", { bulk: showId("bulk", bulk.id), to: state });
    this.#runs.get(bulk.id)?.wake?.();
    return bulk;
  }

  #begin(bulk: Bulk): void {
    if (this.#isStopped) return;
    const nextAt = this.#options.clock.now();
    const run: Run = {
      bulk,
      outstanding: new Map(),
      backlogs: new Map(),
      nextAt,
      isWaiting: false,
      resumed: null,
      wake: null,
    };
    this.#runs.set(bulk.id, run);
    const loop = this.#loop(run).catch((error: unknown) => this.#giveUp(run, error));
    this.#loops.add(loop);
    void loop.then(() => this.#loops.delete(loop));
  }

  async #loop(run: Run): Promise<void> {
    while (!this.#isStopped) {
      await this.#turn(run);
      if (this.#isStopped) break;
      const step = await this.#step(run);
      if (step === "later" || (step === null && takeResumed(run))) continue;
      if (step === null || step.bulk.state !== "running") {
        this.#end(run, step?.bulk ?? null);
        return;
      }
    }
    this.#runs.delete(run.bulk.id);
  }

  /** Resolves when the next slice may come. */
  async #turn(run: Run): Promise<void> {
    const { clock } = this.#options;
    const { rate } = run.bulk;
    if (rate === null) {
      if (!hasRoom(run, clock.now())) await this.#wait(run, clock.now() + STALL_MS);
      else await new Promise<void>(afterTurn);
      return;
    }
    if (run.nextAt > clock.now()) await this.#wait(run, run.nextAt);
    else await new Promise<void>(afterTurn);
  }

  async #step(run: Run): Promise<BulkStep | null | "later"> {
    const { store, clock, nextId } = this.#options;
    const { seq, cursor, rate, isAsNew, action } = run.bulk;
    const itemsMax = rate === null ? SLICE_ITEMS : clamp(Math.ceil((rate * PACE_MS) / 1_000), 1, SLICE_ITEMS);
    // For copies, or for what tells somebody of an end.
    const ids = isAsNew || action === "cancel" ? Array.from({ length: itemsMax }, nextId) : [];
    const now = clock.now();
    let step: BulkStep | null;
    try {
      step = await store.stepBulk({ seq, cursor, now, itemsMax, ids });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // The store is full, down or stopping; nothing was written.
      await this.#wait(run, now + RETRY_MS);
      return "later";
    }
    if (step === null) return null;
    const changed = step.bulk.changedCount - run.bulk.changedCount;
    run.bulk = step.bulk;
    if (rate !== null) run.nextAt = Math.max(run.nextAt, now - PACE_MS) + (changed * 1_000) / rate;
    this.#announce(run, step, now);
    return step;
  }

  #announce(run: Run, step: BulkStep, now: number): void {
    const { directory, onDue, onFinished } = this.#options;
    for (const { seq, lane } of step.due) {
      const endpoint = directory.endpointOfLane(lane);
      // What goes to a closed lane waits there for its own reasons.
      if (run.bulk.rate === null && endpoint && !isClosed(endpoint)) putIn(run, seq, { endpoint, now });
    }
    for (const lane of step.lanes) onDue(lane, now);
    if (step.hasEnded) onFinished();
  }

  async #wait(run: Run, until: number): Promise<void> {
    const { clock } = this.#options;
    if (this.#isStopped) return;
    run.isWaiting = true;
    const waiting = Promise.withResolvers<void>();
    const timer = clock.setTimer(until, () => waiting.resolve());
    run.wake = () => waiting.resolve();
    await waiting.promise;
    timer.cancel();
    run.wake = null;
    run.isWaiting = false;
  }

  #end(run: Run, bulk: Bulk | null): void {
    const { log, probe } = this.#options;
    this.#runs.delete(run.bulk.id);
    if (bulk === null) return;
    this.#openCount -= 1;
    const { changedCount, skippedCount } = bulk;
    log.info("bulk.done", { bulk: showId("bulk", bulk.id), changedCount, skippedCount });
    probe.signal("bulk.done", { bulkId: bulk.id });
  }

  /** A slice that the store will never take: it stays where it is, in sight, and loses nothing. */
  async #giveUp(run: Run, error: unknown): Promise<void> {
    const { store, clock, log } = this.#options;
    const { id, project } = run.bulk;
    this.#runs.delete(id);
    log.error("bulk.paused_by_error", { bulk: showId("bulk", id), error: String(error) });
    await store.setBulkState({ id, project }, "paused", clock.now()).catch(() => null);
  }
}

function takeResumed(run: Run): boolean {
  if (run.resumed === null) return false;
  run.bulk = run.resumed;
  run.resumed = null;
  return true;
}

function putIn(run: Run, seq: number, { endpoint, now }: { endpoint: Endpoint; now: number }): void {
  const { lane, concurrency } = endpoint;
  const backlog = run.backlogs.get(lane) ?? {
    count: 0,
    countMax: Math.min(concurrency, AHEAD_MAX),
    movedAt: now,
  };
  // A lane that is stuck no longer holds anything up, and what it gets need not be remembered.
  if (backlog.count >= TRACKED_MAX) return;
  if (backlog.count === 0) backlog.movedAt = now;
  backlog.count += 1;
  run.backlogs.set(lane, backlog);
  run.outstanding.set(seq, backlog);
}

function takeOut(run: Run, seq: number, now: number): void {
  const backlog = run.outstanding.get(seq);
  if (backlog === undefined) return;
  run.outstanding.delete(seq);
  backlog.count -= 1;
  backlog.movedAt = now;
}

function hasRoom({ backlogs }: Run, now: number): boolean {
  for (const { count, countMax, movedAt } of backlogs.values()) {
    if (count > countMax / 2 && now - movedAt < STALL_MS) return false;
  }
  return true;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
