/**
 * From an outcome to what is stored of it: asks the policy, makes the follow-up deliveries, builds the transition,
 * submits it, and tells whoever must know (breaker, lanes, log, metrics). Attempts, expired deadlines and
 * acknowledgements all end here, so that one place knows what an outcome means.
 */
import type { AttemptRecord, Outcome } from "../domain/attempt.ts";
import {
  DEADLINE_LANE,
  type Decision,
  type NewDelivery,
  settle,
  type Transition,
} from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { type Id, showId } from "../domain/id.ts";
import type { FollowUp, Profile } from "../domain/strategy.ts";
import type { Breakers } from "./breakers.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Claimed, EndpointStateStore, TransitionStore } from "./ports.ts";
import type { Probe } from "./probe.ts";
import type { Random } from "./random.ts";

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
  readonly onEndpointChanged: (endpoint: Endpoint) => void;
}

export interface Judged {
  readonly delivery: Omit<Claimed, "payload">;
  readonly endpoint: Endpoint;
  readonly outcome: Outcome;
  readonly attempt: AttemptRecord;
  readonly followUps: readonly FollowUp[];
  /** False when the outcome says nothing about the target's health: nothing was sent. */
  readonly countsForBreaker: boolean;
}

export class Settler {
  readonly #options: SettlerOptions;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** Resolves when the outcome is on disk; false when the delivery had changed meanwhile and nothing was written. */
  async settle(judged: Judged): Promise<boolean> {
    const { clock, store, breakers, directory } = this.#options;
    const now = clock.now();
    const { delivery, endpoint, outcome, attempt } = judged;
    if (judged.countsForBreaker) breakers.record(endpoint, outcome, now);
    const followUps = judged.followUps.flatMap((followUp) => this.#newDelivery(followUp) ?? []);
    const decision = outcome.kind === "failed" ? this.#decide(judged, now) : null;
    const transition = settle(delivery.position, { outcome, attempt, decision, followUps }, now);
    this.#disableOnOutcome(judged, now);
    const isApplied = await store.transition(transition);
    if (!isApplied) return false;
    if (transition.dueAt !== null) {
      this.#options.onDue(transition.to === "awaiting" ? DEADLINE_LANE : transition.lane, transition.dueAt);
    }
    for (const followUp of followUps) {
      const target = directory.endpoint(followUp.endpointId);
      if (target) this.#options.onDue(target.lane, followUp.dueAt);
    }
    this.#report(judged, transition);
    return true;
  }

  #decide({ delivery, endpoint, outcome, attempt }: Judged, now: number): Decision | null {
    if (outcome.kind !== "failed") return null;
    const profile = this.#options.profiles.get(delivery.profile);
    if (!profile) return { kind: "dead" };
    return profile.policy({
      rule: endpoint.retry,
      failed: outcome,
      attempt: attempt.number - delivery.position.budgetStart,
      policyState: delivery.position.policyState,
      createdAt: delivery.facts.createdAt,
      now,
      random: this.#options.random.unit(),
    });
  }

  #newDelivery(followUp: FollowUp): NewDelivery | null {
    const endpoint = this.#options.directory.endpoint(followUp.endpointId);
    if (!endpoint || endpoint.deletedAt !== null) {
      this.#options.log.warn("follow_up.skipped", { endpoint: showId("endpoint", followUp.endpointId) });
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

  /** Not awaited by the outcome: a target that says 410 stays disabled in memory even if this write is refused. */
  #disableOnOutcome({ endpoint, outcome }: Judged, now: number): void {
    if (outcome.kind !== "failed" || outcome.status === null || endpoint.disabledAt !== null) return;
    const { profiles, store, log, onEndpointChanged } = this.#options;
    if (!profiles.get(endpoint.profile)?.pressure.disableOn.includes(outcome.status)) return;
    const reason = `answered HTTP ${outcome.status}`;
    onEndpointChanged({ ...endpoint, disabledAt: now, disabledReason: reason });
    log.warn("endpoint.disabled", { endpoint: endpoint.name, reason });
    store.setEndpointDisabled(endpoint.id, { at: now, reason }).catch((error: unknown) => {
      log.error("endpoint.disable_not_stored", { endpoint: endpoint.name, error: String(error) });
    });
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
