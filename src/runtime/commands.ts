/**
 * The verbs that every front door shares: what an operator or a client may do to deliveries, endpoints and
 * sources.
 */
import type { AckReport, AttemptRecord, Outcome } from "../domain/attempt.ts";
import {
  cancel,
  confirm,
  type DeliveryPosition,
  discard,
  handOut,
  isFinal,
  pullLane,
  replay,
  reschedule,
  restore,
  retryNow,
  settle,
  type Transition,
} from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import { type Id, showId } from "../domain/id.ts";
import type { Source } from "../domain/source.ts";
import type { Breakers } from "./breakers.ts";
import type { Clock } from "./clock.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";
import type { Parking, ParkTarget } from "./parking.ts";
import type {
  CopyStore,
  EndpointStateStore,
  Located,
  LocateStore,
  PullItem,
  PullStore,
  TransitionStore,
} from "./ports.ts";
import type { NoteResult } from "./result-notes.ts";

export interface CommandsOptions {
  readonly clock: Clock;
  readonly store: CopyStore &
    LocateStore &
    TransitionStore &
    PullStore &
    EndpointStateStore & { setSourcePaused(id: Id, pausedAt: number | null): Promise<Source | null> };
  readonly directory: Directory;
  readonly deadlines: Deadlines;
  readonly breakers: Breakers;
  readonly parking: Parking;
  readonly noteResult: NoteResult;
  readonly log: Log;
  readonly nextId: () => Id;
  /** Hands a report to an attempt that is out now; null: there is none, the stored state decides. */
  readonly reportEarly: (id: Id, report: AckReport) => Promise<boolean | null>;
  readonly onDue: (lane: number, dueAt: number) => void;
  /** The delivery of this number has ended. */
  readonly onFinished: (seq: number) => void;
  /** What was held for a source may go now. */
  readonly onSourceResumed: () => void;
  readonly onEndpointChanged: (endpoint: Endpoint) => void;
  /** A lane begins anew, whatever it rested for. */
  readonly reopen: (lane: number) => void;
}

interface FetchInput {
  readonly limit: number;
  /** `stored` when absent: what nobody has fetched yet. */
  readonly state?: "stored" | "fetched";
  /** Look without marking. */
  readonly isPeek?: boolean;
}

/** Bodies of one fetch, in memory at once. */
const FETCH_BYTES_MAX = 8 * 1_048_576;

interface PulledResult {
  readonly status: number;
  readonly durationMs: number;
}

type Decide = (position: DeliveryPosition, now: number) => Transition | null;

/** A decision that lost a race is made again this often before the caller is told. */
const RACES_MAX = 3;

export class Commands {
  readonly #options: CommandsOptions;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** Ends a delivery that waits. AppError: not_found, invalid_state (an attempt is out, or it is final). */
  cancel(project: string, id: Id): Promise<Transition> {
    return this.#change(project, id, { verb: "cancelled", decide: cancel, needsPayload: false });
  }

  discard(project: string, id: Id): Promise<Transition> {
    return this.#change(project, id, { verb: "discarded", decide: discard, needsPayload: false });
  }

  /** Makes a waiting delivery due now. */
  retryNow(project: string, id: Id): Promise<Transition> {
    return this.#change(project, id, { verb: "retried now", decide: retryNow, needsPayload: true });
  }

  /** Puts a waiting delivery off until an instant, or brings it forward. */
  reschedule(project: string, id: Id, dueAt: number): Promise<Transition> {
    const decide: Decide = (position, now) => reschedule(position, dueAt, now);
    return this.#change(project, id, { verb: "rescheduled", decide, needsPayload: true });
  }

  /** Sends a finished delivery again under its id. AppError: also gone, when its body was purged. */
  replay(project: string, id: Id): Promise<Transition> {
    return this.#change(project, id, { verb: "replayed", decide: replay, needsPayload: true });
  }

  /**
   * Pull mode: a consumer that delivers further tells how that went, which is the delivery's one attempt.
   * False when it had ended before.
   */
  async report(project: string, id: Id, { status, durationMs }: PulledResult): Promise<boolean> {
    // It may be marked as handed out just now, by whoever handed it out.
    for (let race = 0; race < RACES_MAX; race += 1) {
      const { position, facts } = await this.#locate(project, id);
      const isOpen = position.state === "stored" || position.state === "fetched";
      if (position.lane > 0 || !isOpen) return false;
      if (await this.#settlePulled({ position, facts }, { status, durationMs })) return true;
    }
    return false;
  }

  #settlePulled(
    { position, facts }: Pick<Located, "position" | "facts">,
    { status, durationMs }: PulledResult,
  ): Promise<boolean> {
    const { store, clock } = this.#options;
    const now = clock.now();
    const isGood = status >= 200 && status < 300;
    const text = `HTTP ${status}`;
    const outcome: Outcome = isGood
      ? { kind: "succeeded", status }
      : { kind: "failed", failure: "status", status, text, retryAfterMs: null };
    const attempt: AttemptRecord = {
      ...{ number: position.attemptCount + 1, startedAt: now - durationMs, durationMs, status },
      ...{ outcome: outcome.kind, excerpt: null, detail: null },
      failure: isGood ? null : "status",
      error: isGood ? null : text,
    };
    const { createdAt } = facts;
    const settlement = { outcome, attempt, decision: null, followUps: [], createdAt };
    return store.transition(settle(position, settlement, now));
  }

  /** Pull mode: marks one delivery as handed out. AppError: invalid_state when it was before. */
  handOut(project: string, id: Id): Promise<Transition> {
    return this.#change(project, id, { verb: "handed out", decide: handOut, needsPayload: false });
  }

  /** Pull mode: what its consumer is done with waits for it again. */
  restore(project: string, id: Id): Promise<Transition> {
    return this.#change(project, id, { verb: "restored", decide: restore, needsPayload: true });
  }

  /**
   * Sends a finished delivery again as a copy with an id of its own; returns that id. AppError: not_found,
   * invalid_state, gone.
   */
  async replayAsNew(project: string, id: Id): Promise<Id> {
    const { store, clock, nextId, onDue, log } = this.#options;
    const { position } = await this.#locate(project, id);
    if (replay(position, clock.now()) === null) throw wrongState(position, "replayed");
    const newId = nextId();
    const now = clock.now();
    const copied = await store.copyDelivery({ project, id }, newId, now);
    if (copied === null) throw new AppError("gone", "the body of this delivery is no longer kept");
    onDue(copied.lane, now);
    log.info("delivery.copied", { delivery: showId("delivery", id), to: showId("delivery", newId) });
    return newId;
  }

  /**
   * A receiver's report on a delivery that it took, or is just taking: it may come before its answer has been
   * read. False: the delivery no longer awaits one, or the report is about another attempt.
   */
  async acknowledge(id: Id, report: AckReport): Promise<boolean> {
    const early = await this.#options.reportEarly(id, report);
    if (early !== null) return early;
    const located = await this.#options.store.deliveryPosition(id);
    return located !== null && this.#options.deadlines.acknowledge(located, report);
  }

  async pauseEndpoint(endpoint: Endpoint): Promise<Endpoint> {
    const { store, clock } = this.#options;
    const paused = await store.setEndpointPaused(endpoint.id, endpoint.pausedAt ?? clock.now());
    return this.#endpointChanged(paused, "held");
  }

  /** Opens the lane again: paused, disabled or with an open breaker. */
  async resumeEndpoint(endpoint: Endpoint): Promise<Endpoint> {
    const { store, breakers } = this.#options;
    await store.setEndpointDisabled(endpoint.id, null);
    const resumed = await store.setEndpointPaused(endpoint.id, null);
    breakers.reset(endpoint);
    const changed = await this.#endpointChanged(resumed, "queued");
    this.#options.reopen(endpoint.lane);
    return changed;
  }

  async setSourcePaused(source: Source, isPaused: boolean): Promise<Source> {
    const { store, clock, directory, onSourceResumed } = this.#options;
    const changed = await store.setSourcePaused(
      source.id,
      isPaused ? (source.pausedAt ?? clock.now()) : null,
    );
    if (changed === null) throw new AppError("not_found", "no such source");
    directory.putSource(changed);
    if (!isPaused) onSourceResumed();
    return changed;
  }

  /**
   * Returns the oldest events that wait in a source in pull mode, and marks them as fetched, so that each is
   * handed out once; what was fetched and never acknowledged can be asked for again. At most `limit`, fewer
   * when they are large. AppError: invalid_state for a source that forwards.
   */
  async fetchStored(
    source: Source,
    { limit, state = "stored", isPeek = false }: FetchInput,
  ): Promise<PullItem[]> {
    if (source.mode !== "pull") throw new AppError("invalid_state", "this source forwards its events");
    const { store, clock } = this.#options;
    const lane = pullLane(source.seq);
    const items = await store.pull({ lane, state, limit, bytesMax: FETCH_BYTES_MAX });
    if (isPeek || state === "fetched") return [...items];
    const now = clock.now();
    const fetched = await Promise.all(
      items.map(async ({ position, ...item }) => {
        const change = handOut(position, now);
        const isOurs = change !== null && (await store.transition(change));
        return isOurs ? [{ ...item, position: { ...position, state: change.to } }] : [];
      }),
    );
    return fetched.flat();
  }

  /**
   * Ends deliveries of a source in pull mode, by their ids: their consumer has them. Returns how many were
   * not acknowledged before. AppError: not_found when one of them is not the source's; then nothing is
   * changed.
   */
  async confirmFetched(source: Source, ids: readonly Id[]): Promise<number> {
    const { store, clock } = this.#options;
    const located = await Promise.all(ids.map((id) => this.#locate(source.project, id)));
    if (located.some(({ position }) => position.lane !== pullLane(source.seq))) {
      throw new AppError("not_found", "one of these deliveries is not this source's");
    }
    const now = clock.now();
    const applied = await Promise.all(
      located.map(({ position }) => {
        const change = confirm(position, now);
        return change !== null && store.transition(change);
      }),
    );
    return applied.filter(Boolean).length;
  }

  async #endpointChanged(endpoint: Endpoint | null, to: ParkTarget): Promise<Endpoint> {
    if (endpoint === null) throw new AppError("not_found", "no such endpoint");
    this.#options.onEndpointChanged(endpoint);
    this.#options.log.info(to === "held" ? "endpoint.paused" : "endpoint.resumed", {
      endpoint: endpoint.name,
    });
    this.#options.parking.sweep(endpoint.lane, to);
    return endpoint;
  }

  async #change(
    project: string,
    id: Id,
    change: { readonly verb: string; readonly decide: Decide; readonly needsPayload: boolean },
  ): Promise<Transition> {
    const { store, clock, onDue } = this.#options;
    for (let race = 0; race < RACES_MAX; race += 1) {
      const located = await this.#locate(project, id);
      const decided = change.decide(located.position, clock.now());
      const transition = decided && this.#withNote(located, decided);
      if (transition === null) {
        throw wrongState(located.position, change.verb);
      }
      if (change.needsPayload && !located.hasPayload) {
        throw new AppError("gone", "the body of this delivery is no longer kept");
      }
      if (!(await store.transition(transition))) continue;
      if (transition.dueAt !== null) onDue(transition.lane, transition.dueAt);
      for (const { lane, dueAt } of transition.followUps) onDue(lane, dueAt);
      if (isFinal(transition.to)) this.#options.onFinished(transition.seq);
      // The next of its line may be due.
      if (transition.line !== undefined) onDue(transition.lane, clock.now());
      this.#options.log.info("delivery.changed", { delivery: showId("delivery", id), to: transition.to });
      return transition;
    }
    throw new AppError("conflict", "the delivery changes too fast at the moment; try again");
  }

  #withNote({ position, facts }: Located, decided: Transition): Transition {
    const endpoint = this.#options.directory.endpointOfLane(position.lane);
    const { to, at, attemptCount } = decided;
    if (!endpoint || to !== "cancelled") return decided;
    const last = { attemptCount, status: null, error: null };
    const note = this.#options.noteResult({ facts, endpoint, to, at, ...last });
    return note === null ? decided : { ...decided, followUps: [...decided.followUps, note] };
  }

  async #locate(project: string, id: Id): Promise<Located> {
    const located = await this.#options.store.deliveryPosition(id);
    if (located === null || located.facts.project !== project) {
      throw new AppError("not_found", "no such delivery");
    }
    return located;
  }
}

function wrongState({ state }: DeliveryPosition, verb: string): AppError {
  return new AppError("invalid_state", `a delivery that is ${state} cannot be ${verb}`, {
    details: { state },
  });
}
