/**
 * From an outcome to what is stored of it: asks the policy, makes the follow-up deliveries, builds the
 * transition, submits it, and tells whoever must know (breaker, lanes, log, metrics). Attempts, expired
 * deadlines and acknowledgements all end here, so that one place knows what an outcome means.
 */
import type { AttemptRecord, Outcome } from "../domain/attempt.ts";
import {
  DEADLINE_LANE,
  type Decision,
  DUE_WHEN_ASKED,
  isFinal,
  type NewDelivery,
  settle,
  type Transition,
} from "../domain/delivery.ts";
import { formatDuration } from "../domain/duration.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import { type Id, showId } from "../domain/id.ts";
import type { LogLine } from "../domain/log-line.ts";
import { DEFAULT_PACING, poisoned } from "../domain/pacing.ts";
import type { SlowDown } from "../domain/pressure.ts";
import type { FollowUp, Profile } from "../domain/strategy.ts";
import type { Breakers } from "./breakers.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { FailingEndpoints } from "./failing.ts";
import { isClosed } from "./lane.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Notices } from "./notices.ts";
import type { Parking } from "./parking.ts";
import type { Claimed, EndpointStateStore, TransitionStore } from "./ports.ts";
import type { Probe } from "./probe.ts";
import type { Random } from "./random.ts";
import type { NoteResult } from "./result-notes.ts";

export interface SettlerOptions {
  readonly store: TransitionStore & Pick<EndpointStateStore, "setEndpointDisabled">;
  readonly clock: Clock;
  readonly random: Random;
  readonly nextId: () => Id;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly directory: Directory;
  readonly breakers: Breakers;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly probe: Probe;
  /** Something became due in a lane (or, for lane 0, a deadline was set). */
  readonly onDue: (lane: number, dueAt: number) => void;
  /** The delivery of this number has ended. */
  readonly onFinished: (seq: number) => void;
  readonly onEndpointChanged: (endpoint: Endpoint) => void;
  /** Tells the lane's pace; true: the lane rests from now on. */
  readonly noteOutcome: (lane: number, outcome: Outcome, slowDown: SlowDown | undefined) => boolean;
  readonly parking: Parking;
  readonly noteResult: NoteResult;
  readonly notices: Pick<Notices, "disabled" | "countDead">;
  readonly failing: Pick<FailingEndpoints, "record" | "forget">;
}

export interface Judged {
  readonly delivery: Omit<Claimed, "payload">;
  readonly endpoint: Endpoint;
  readonly outcome: Outcome;
  readonly attempt: AttemptRecord;
  readonly followUps: readonly FollowUp[];
  readonly logs?: readonly LogLine[];
  /** False when the outcome says nothing about the target's health: nothing was sent. */
  readonly countsForBreaker: boolean;
}

export class Settler {
  readonly #options: SettlerOptions;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the outcome is on disk; false when the delivery had changed meanwhile and nothing was
   * written.
   */
  async settle(judged: Judged): Promise<boolean> {
    const { clock, store, breakers, directory } = this.#options;
    const now = clock.now();
    const { delivery, endpoint, outcome, attempt } = judged;
    if (judged.countsForBreaker) {
      this.#pace(judged);
      breakers.record(endpoint, outcome, now);
    }
    const { project } = delivery.facts;
    const followUps = judged.followUps.flatMap((followUp) => this.#newDelivery(followUp, project) ?? []);
    const decision = outcome.kind === "failed" ? this.#decide(judged, now) : null;
    const { logs = [] } = judged;
    const { createdAt } = delivery.facts;
    const settlement = { outcome, attempt, decision, followUps, logs, createdAt };
    const settled = settle(delivery.position, settlement, now);
    const transition = this.#withNote(judged, settled);
    const isDisabled = this.#disableOnOutcome(judged, now);
    try {
      if (!(await store.transition(transition))) return false;
    } catch (error) {
      return this.#settleUnstorable(judged, error);
    }
    this.#parkIfClosed(transition, isDisabled);
    if (isFinal(transition.to)) this.#options.onFinished(transition.seq);
    const isGivenUp = transition.to === "dead" || transition.dueAt === DUE_WHEN_ASKED;
    if (isGivenUp) this.#options.notices.countDead(endpoint, delivery.facts.spec);
    // The next of its line is due.
    if (transition.line !== undefined) this.#options.onDue(transition.lane, now);
    if (transition.dueAt !== null) {
      this.#options.onDue(transition.to === "awaiting" ? DEADLINE_LANE : transition.lane, transition.dueAt);
    }
    for (const followUp of transition.followUps) {
      const target = directory.endpoint(followUp.endpointId);
      if (target) this.#options.onDue(target.lane, followUp.dueAt);
    }
    this.#report(judged, transition);
    return true;
  }

  /** Whoever is to be told of an end is told in the transaction that brings it. */
  #withNote({ delivery, endpoint, attempt }: Judged, settled: Transition): Transition {
    const { to, at, attemptCount } = settled;
    if (!isFinal(to)) return settled;
    const { status, error } = attempt;
    const { facts } = delivery;
    const note = this.#options.noteResult({ facts, endpoint, to, at, attemptCount, status, error });
    return note === null ? settled : { ...settled, followUps: [...settled.followUps, note] };
  }

  /** A receiver that asks for less gets less from its whole lane, not only from the delivery it answered. */
  #pace({ delivery, endpoint, outcome }: Judged): void {
    const { profiles, noteOutcome, log } = this.#options;
    const slowDown = profiles.get(endpoint.profile)?.pressure.slowDown;
    if (!noteOutcome(delivery.position.lane, outcome, slowDown)) return;
    log.info("lane.resting", { endpoint: endpoint.name, status: outcome.status });
  }

  /** What the policy says, and of a delivery in a line what its endpoint says about poison. */
  #decide(judged: Judged, now: number): Decision | null {
    const decision = this.#askPolicy(judged, now);
    const { position } = judged.delivery;
    if (decision === null || position.line === undefined) return decision;
    const { poison = DEFAULT_PACING.poison } = judged.endpoint.pacing ?? {};
    return poisoned(decision, poison, judged.attempt.number - position.budgetStart);
  }

  #askPolicy({ delivery, endpoint, outcome, attempt }: Judged, now: number): Decision | null {
    if (outcome.kind !== "failed") return null;
    const profile = this.#options.profiles.get(delivery.profile);
    if (!profile || outcome.failure === "refused") return { kind: "dead" };
    try {
      return profile.policy({
        rule: endpoint.retry,
        failed: outcome,
        attempt: attempt.number - delivery.position.budgetStart,
        attemptsBefore: delivery.position.budgetStart,
        policyState: delivery.position.policyState,
        spec: delivery.facts.spec,
        createdAt: delivery.facts.createdAt,
        now,
        random: this.#options.random.unit(),
      });
    } catch (error) {
      // Somebody has to look at it, and as a dead letter it can be seen and replayed.
      this.#options.log.error("policy.failed", { profile: profile.name, error: String(error) });
      return { kind: "dead" };
    }
  }

  /**
   * The store could be written but would not take this outcome: what a profile made of the answer breaks a
   * rule of the store. Without an end the delivery would stay leased, so the attempt fails instead and
   * nothing follows from it.
   */
  #settleUnstorable(judged: Judged, error: unknown): Promise<boolean> {
    const { outcome, attempt, followUps, logs = [] } = judged;
    const hasMore = followUps.length > 0 || logs.length > 0;
    const isPlain = outcome.kind === "failed" && attempt.detail === null && !hasMore;
    if (error instanceof AppError || isPlain) throw error;
    this.#options.log.error("outcome.not_storable", {
      profile: judged.delivery.profile,
      error: String(error),
    });
    const text = "the outcome could not be stored";
    return this.settle({
      ...judged,
      outcome: { kind: "failed", failure: "answer", status: attempt.status, text, retryAfterMs: null },
      attempt: { ...attempt, outcome: "failed", failure: "answer", error: text, detail: null },
      followUps: [],
      logs: [],
      countsForBreaker: false,
    });
  }

  #newDelivery(followUp: FollowUp, project: string): NewDelivery | null {
    const { directory, log } = this.#options;
    const endpoint =
      "endpointId" in followUp
        ? directory.endpoint(followUp.endpointId)
        : directory.endpointNamed(project, followUp.endpointName);
    if (!endpoint || endpoint.deletedAt !== null) {
      const name = "endpointId" in followUp ? showId("endpoint", followUp.endpointId) : followUp.endpointName;
      log.warn("follow_up.skipped", { endpoint: name, project });
      return null;
    }
    return {
      id: this.#options.nextId(),
      project: endpoint.project,
      lane: endpoint.lane,
      endpointId: endpoint.id,
      profile: followUp.profile,
      state: "queued",
      dueAt: followUp.dueAt,
      spec: followUp.spec,
      payload: followUp.payload,
    };
  }

  /**
   * Not awaited by the outcome: a target that says 410 stays disabled in memory even if this write is
   * refused.
   */
  #disableOnOutcome(judged: Judged, now: number): boolean {
    const { store, log, directory, failing, notices, onEndpointChanged } = this.#options;
    const reason = this.#disableReason(judged, now);
    if (reason === null) return false;
    // The endpoint may have changed while the attempt was out; the answer says nothing about another URL.
    const endpoint = directory.endpointOfLane(judged.endpoint.lane);
    if (!endpoint || endpoint.disabledAt !== null || endpoint.url !== judged.endpoint.url) return false;
    onEndpointChanged({ ...endpoint, disabledAt: now, disabledReason: reason });
    log.warn("endpoint.disabled", { endpoint: endpoint.name, reason });
    store.setEndpointDisabled(endpoint.id, { at: now, reason }).catch((error: unknown) => {
      log.error("endpoint.disable_not_stored", { endpoint: endpoint.name, error: String(error) });
    });
    // Submitted in the same turn, so that both are in one commit. Resumed, it begins with a clean slate.
    notices.disabled(endpoint, reason);
    failing.forget(endpoint);
    return true;
  }

  #disableReason({ endpoint, outcome, countsForBreaker }: Judged, now: number): string | null {
    const pressure = this.#options.profiles.get(endpoint.profile)?.pressure;
    const { disableAfterMs: ruleMs = pressure?.disableAfterMs ?? null } = endpoint.pacing ?? {};
    const hasFailedTooLong = countsForBreaker && this.#options.failing.record(endpoint, outcome, ruleMs, now);
    if (outcome.kind !== "failed") return null;
    if (outcome.status !== null && pressure?.disableOn.includes(outcome.status)) {
      return `answered HTTP ${outcome.status}`;
    }
    return hasFailedTooLong ? `nothing but failures for ${formatDuration(ruleMs ?? 0)}` : null;
  }

  /** What comes back to a lane that has closed meanwhile is parked like everything else in it. */
  #parkIfClosed({ lane, to, dueAt, seq }: Transition, isDisabled: boolean): void {
    const { directory, parking } = this.#options;
    const endpoint = directory.endpointOfLane(lane);
    if (!endpoint || !isClosed(endpoint)) return;
    if (isDisabled) parking.sweep(lane, "held");
    else if (to === "retrying" && dueAt !== null) parking.parkOne({ lane, dueAt, seq });
  }

  #report({ delivery, endpoint, attempt }: Judged, transition: Transition): void {
    const { log, metrics, probe } = this.#options;
    metrics.countAttempt(endpoint, attempt, transition.to);
    log.info("delivery.attempted", {
      delivery: showId("delivery", delivery.facts.id),
      endpoint: endpoint.name,
      attempt: attempt.number,
      state: transition.to,
      status: attempt.status,
      durationMs: attempt.durationMs,
      error: attempt.error ?? undefined,
      nextAt: transition.dueAt ?? undefined,
    });
    probe.signal("attempt.settled", {
      deliveryId: delivery.facts.id,
      state: transition.to,
      attempt: attempt.number,
    });
  }
}
