/**
 * One attempt, from a leased delivery in a slot to a settled outcome: envelope -> sender -> interpreter ->
 * settler. The slot is given back when the answer is there; the settlement goes into the next commit. Nothing
 * here knows a protocol: the profile named by the delivery brings its own.
 *
 * While the store cannot be written no attempt is started: its outcome could not be kept, and the receiver
 * would see it again. Outcomes of attempts that were already out stay in the writer's line.
 */
import type { AckUrls } from "../domain/acknowledgement.ts";
import { type AckReport, type Answer, type Outcome, reportedOutcome, withReport } from "../domain/attempt.ts";
import { release } from "../domain/delivery.ts";
import { type Endpoint, egressFor } from "../domain/endpoint.ts";
import type { Id } from "../domain/id.ts";
import {
  DeliveryRefusedError,
  type EnvelopeInput,
  type Interpretation,
  type OutboundRequest,
  type Profile,
} from "../domain/strategy.ts";
import { ABORTED, type Attempt, record, type Sent, toAnswer, withKeys } from "./attempt.ts";
import type { Breakers } from "./breakers.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import { KeyRates } from "./key-rates.ts";
import { type Hold, isClosed } from "./lane.ts";
import type { Listeners, Verdict } from "./listeners.ts";
import type { Log } from "./log.ts";
import type { Claimed, TransitionStore } from "./ports.ts";
import type { Sender } from "./sender.ts";
import type { Settler } from "./settler.ts";

export interface DispatcherOptions {
  readonly clock: Clock;
  readonly sender: Sender;
  readonly settler: Settler;
  readonly store: TransitionStore;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly directory: Directory;
  readonly breakers: Breakers;
  readonly log: Log;
  readonly listeners: Listeners;
  readonly ackUrls: (deliveryId: Id, attempt: number, expiresAt: number) => AckUrls;
  readonly isStoreHealthy: () => boolean;
  readonly release: (hold: Hold, isUsed: boolean) => void;
  readonly handOver: (hold: Hold) => void;
  readonly rest: (lane: number, until: number) => void;
  /** An untouched delivery is back in the queue, due then. */
  readonly onDue: (lane: number, dueAt: number) => void;
}

/** How long a delivery rests that was given back because the store was down. */
const GIVEN_BACK_MS = 1_000;
/** How long a lane rests whose listeners have enough: short for them, long for the store. */
const FULL_REST_MS = 250;
/** After the drain limit: for the last commit, which a file that cannot be written would keep for ever. */
const LAST_COMMIT_MS = 1_000;

/** An attempt that is out, as far as a report on it matters. */
interface OnWire {
  readonly attempt: number;
  /** The first report that came before the answer had been judged. */
  report: AckReport | null;
  /** Set with an acknowledgement: resolves when it is on disk, with false if it came too late. */
  stored: Promise<boolean> | null;
  /** Ends the attempt as acknowledged, whatever is answered yet. */
  readonly acknowledge: (report: AckReport) => Promise<boolean>;
  isJudged: boolean;
  /** Reports that came between the judgement and its commit. */
  readonly waiting: (() => void)[];
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #onWire = new Map<Id, OnWire>();
  readonly #keyRates = new KeyRates();
  #isStopping = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** True when no attempt is out and no outcome waits for its commit. */
  isSettled(): boolean {
    return this.#running.size === 0;
  }

  /**
   * Takes over a leased delivery and its slot. Never throws: whatever goes wrong ends as an outcome or a
   * release.
   */
  start(claimed: Claimed, hold: Hold): void {
    const attempt = this.#attempt(claimed, hold).catch((error: unknown) => {
      // A lane must not lose a slot to a mistake in a profile; one that was given back already stays so.
      this.#options.release(hold, true);
      throw error;
    });
    this.#track(claimed, attempt);
  }

  /**
   * Takes a receiver's report on an attempt that is out now. Resolves with whether it is accepted, or with
   * null when no attempt of that delivery is out: then the stored state decides. Rejects when an
   * acknowledgement cannot be stored: then it has not happened, and the receiver has to ask again.
   */
  async report(id: Id, report: AckReport): Promise<boolean | null> {
    const out = this.#onWire.get(id);
    if (!out) return null;
    if (report.attempt !== null && report.attempt !== out.attempt) return false;
    if (!out.isJudged) return this.#takeEarly(out, report);
    await new Promise<void>((resolve) => out.waiting.push(resolve));
    return null;
  }

  /**
   * An acknowledgement ends the delivery at once, on disk before the receiver is told so: it will not say it
   * twice. A refusal waits in memory for the answer, which decides whether it counts; a kill in between means
   * another attempt, which is what it asks for.
   */
  async #takeEarly(out: OnWire, report: AckReport): Promise<boolean> {
    if (out.report !== null && out.report.isAck !== report.isAck) return false;
    out.report ??= report;
    if (!report.isAck) return true;
    out.stored ??= out.acknowledge(report);
    try {
      return await out.stored;
    } catch (error) {
      out.report = null;
      out.stored = null;
      throw error;
    }
  }

  /** Puts a leased delivery back that its lane could not send. */
  giveBack(claimed: Claimed): void {
    this.#track(claimed, this.#putBack(claimed, 0));
  }

  /**
   * Waits up to `limitMs` for attempts in flight, then aborts them; an aborted attempt goes back to the
   * queue.
   */
  async stop(limitMs: number): Promise<void> {
    this.#isStopping = true;
    if (await this.#settledWithin(limitMs)) return;
    this.abort();
    if (!(await this.#settledWithin(LAST_COMMIT_MS))) {
      this.#options.log.warn("delivery.left_leased", { count: this.#running.size });
    }
  }

  async #settledWithin(limitMs: number): Promise<boolean> {
    const limit = Promise.withResolvers<boolean>();
    const timer = this.#options.clock.setWallTimer(limitMs, () => limit.resolve(false));
    const isSettled = await Promise.race([this.settled().then(() => true), limit.promise]);
    timer.cancel();
    return isSettled;
  }

  /** Aborts what is in flight at once. */
  abort(): void {
    this.#options.sender.abortAll();
    this.#options.listeners.abortAll();
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #track(claimed: Claimed, work: Promise<void>): void {
    const running = work.catch((error: unknown) => {
      this.#options.log.error("delivery.not_settled", { seq: claimed.position.seq, error: String(error) });
    });
    this.#running.add(running);
    void running.then(() => this.#running.delete(running));
  }

  async #attempt(claimed: Claimed, hold: Hold): Promise<void> {
    const { clock, directory, profiles, breakers } = this.#options;
    const endpoint = directory.endpointOfLane(claimed.position.lane);
    const profile = profiles.get(claimed.profile);
    if (!endpoint || !profile) return this.#giveBack(claimed, hold, GIVEN_BACK_MS);
    if (this.#isStopping || !this.#options.isStoreHealthy())
      return this.#giveBack(claimed, hold, GIVEN_BACK_MS);
    if (isClosed(endpoint)) return this.#giveBack(claimed, hold, 0);
    const startedAt = clock.now();
    const mayAt = this.#keyWait(claimed, endpoint, startedAt);
    if (mayAt !== null) return this.#postpone(claimed, hold, mayAt);
    const attempt = { claimed, hold, endpoint, profile, startedAt };
    if (breakers.admit(endpoint, startedAt)) return this.#exchange(attempt);
    if (!breakers.spends(endpoint)) return this.#giveBack(claimed, hold, 0);
    const answer: Answer = { kind: "error", failure: "transport", text: "the circuit breaker is open" };
    return this.#finish({ ...attempt, durationMs: 0, isSent: false, report: null }, answer);
  }

  /** When the ordering key may make its next attempt; null: now, and this one is counted. */
  #keyWait({ position: { lane, line } }: Claimed, { pacing }: Endpoint, now: number): number | null {
    const rule = pacing?.keyRate ?? null;
    return rule === null || line === undefined ? null : this.#keyRates.take({ lane, line }, rule, now);
  }

  /** Puts a leased delivery back until an instant. */
  async #postpone({ position }: Claimed, hold: Hold, dueAt: number): Promise<void> {
    const { clock, store, onDue } = this.#options;
    const waiting = position.attemptCount > position.budgetStart ? "retrying" : "queued";
    const transition = { ...release(position, waiting, clock.now()), dueAt };
    this.#options.release(hold, false);
    if (await store.transition(transition)) onDue(position.lane, dueAt);
  }

  /** The attempt proper: what goes out, what comes back. */
  async #exchange(attempt: Attempt): Promise<void> {
    const { breakers, listeners } = this.#options;
    const { claimed, hold, endpoint, startedAt } = attempt;
    const offered = listeners.offer(claimed.position.lane, () => this.#input(attempt));
    if (offered === "full") {
      breakers.abandon(endpoint, startedAt);
      this.#options.rest(claimed.position.lane, startedAt + FULL_REST_MS);
      return this.#giveBack(claimed, hold, 0);
    }
    if (offered !== null) {
      this.#options.handOver(hold);
      return this.#receive(attempt, offered);
    }
    const request = this.#makeRequest(attempt);
    if (!("url" in request)) {
      // Nothing was sent, which says nothing about the target: if this was to be the probe, the next one is.
      breakers.abandon(endpoint, startedAt);
      return this.#finish({ ...attempt, durationMs: 0, isSent: false, report: null }, request);
    }
    return this.#receive(attempt, this.#send(attempt, request));
  }

  /** Waits for what comes back, and takes reports meanwhile. Null: the attempt was given up untouched. */
  async #receive(attempt: Attempt, coming: Promise<Answer | Verdict | null>): Promise<void> {
    const { clock, breakers } = this.#options;
    const { claimed, hold, endpoint, startedAt } = attempt;
    const startedMs = clock.monotonicMs();
    const { id } = claimed.facts;
    const number = claimed.position.attemptCount + 1;
    const elapsedMs = () => Math.round(clock.monotonicMs() - startedMs);
    const acknowledge = (report: AckReport) =>
      this.#settleEarly({ ...attempt, durationMs: elapsedMs(), isSent: true, report }, report);
    const out: OnWire = {
      ...{ attempt: number, report: null, stored: null, acknowledge },
      ...{ isJudged: false, waiting: [] },
    };
    this.#onWire.set(id, out);
    try {
      const answer = await coming;
      out.isJudged = true;
      const { report } = out;
      if (answer === null && report === null) {
        breakers.abandon(endpoint, startedAt);
        return await this.#giveBack(claimed, hold, 0);
      }
      await this.#finish({ ...attempt, durationMs: elapsedMs(), isSent: true, report }, answer ?? ABORTED);
    } finally {
      // Acknowledged and replayed meanwhile, it may be out again.
      if (this.#onWire.get(id) === out) this.#onWire.delete(id);
      for (const resolve of out.waiting) resolve();
    }
  }

  /** What the answer then brings finds the delivery ended; it still counts for the target's health. */
  #settleEarly(sent: Sent, report: AckReport): Promise<boolean> {
    const outcome = reportedOutcome(report);
    return this.#options.settler.settle({
      delivery: sent.claimed,
      endpoint: sent.endpoint,
      outcome,
      attempt: record(sent, ABORTED, { outcome, detail: null }),
      followUps: [],
      countsForBreaker: false,
    });
  }

  /** The request, or as an answer why there can be none: a header value that HTTP cannot carry, say. */
  #makeRequest(attempt: Attempt): OutboundRequest | Answer {
    try {
      return attempt.profile.envelope(this.#input(attempt));
    } catch (error) {
      if (error instanceof DeliveryRefusedError) {
        return { kind: "error", failure: "refused", text: error.message };
      }
      const text = `the request could not be made: ${error instanceof Error ? error.message : String(error)}`;
      return { kind: "error", failure: "transport", text };
    }
  }

  #input({ claimed, endpoint }: Attempt): EnvelopeInput {
    const { clock, directory, ackUrls } = this.#options;
    const attempt = claimed.position.attemptCount + 1;
    return {
      delivery: claimed.facts,
      endpoint: withKeys(endpoint, directory),
      payload: claimed.payload,
      attempt,
      attemptsBefore: claimed.position.budgetStart,
      now: clock.now(),
      wallNow: clock.wallNow(),
      ackUrls: (forMs) => ackUrls(claimed.facts.id, attempt, clock.now() + forMs),
    };
  }

  async #send(attempt: Attempt, request: OutboundRequest): Promise<Answer | null> {
    const { fallback, ...first } = request;
    if (!fallback) return this.#sendTo(attempt, first);
    // The sender may change the headers that it is given.
    const headers = new Headers(first.headers);
    const answer = await this.#sendTo(attempt, first);
    if (answer?.kind !== "response" || !fallback.isWanted(answer)) return answer;
    const other = await this.#sendTo(attempt, { ...first, headers, url: fallback.url });
    if (other?.kind === "response" && !fallback.isWanted(other)) fallback.onFound();
    return other;
  }

  async #sendTo({ endpoint, profile }: Attempt, request: OutboundRequest): Promise<Answer | null> {
    const result = await this.#options.sender.send({
      ...request,
      timeoutMs: endpoint.timeoutMs,
      captureBytesMax: profile.interpreter.captureBytesMax,
      tls: endpoint.tls ?? null,
      ...egressFor(endpoint, this.#options.directory.egressOf(endpoint.project)),
    });
    return result.kind === "error" && result.reason === "aborted" ? null : toAnswer(result);
  }

  async #finish(sent: Sent, answer: Answer | Verdict): Promise<void> {
    const { claimed, hold, endpoint, isSent, report } = sent;
    const interpretation = this.#interpret(sent, answer);
    const { followUps, logs = [] } = interpretation;
    const outcome = withReport(interpretation.outcome, report);
    const settlement = this.#options.settler.settle({
      delivery: claimed,
      endpoint,
      outcome,
      attempt: record(sent, answer, { outcome, detail: interpretation.detail }),
      followUps: outcome.kind === "failed" ? [] : followUps,
      logs,
      countsForBreaker: isSent,
    });
    // The slot is free before the commit: waiting for it would cost every lane a commit per slot.
    this.#options.release(hold, true);
    await settlement;
  }

  #interpret(sent: Sent, answer: Answer | Verdict): Interpretation {
    if (answer.kind === "verdict") return { outcome: answer.outcome, followUps: [], detail: null };
    const { claimed, endpoint, profile, startedAt } = sent;
    try {
      return profile.interpreter.interpret(answer, {
        delivery: claimed.facts,
        endpoint,
        attempt: claimed.position.attemptCount + 1,
        now: this.#options.clock.now(),
      });
    } catch (error) {
      this.#options.log.error("interpreter.failed", {
        profile: profile.name,
        error: String(error),
        startedAt,
      });
      const status = answer.kind === "response" ? answer.status : null;
      const outcome: Outcome = {
        kind: "failed",
        failure: "answer",
        status,
        text: "the answer could not be read",
        retryAfterMs: null,
      };
      return { outcome, followUps: [], detail: null };
    }
  }

  #giveBack(claimed: Claimed, hold: Hold, restMs: number): Promise<void> {
    const putBack = this.#putBack(claimed, restMs);
    this.#options.release(hold, false);
    return putBack;
  }

  async #putBack(claimed: Claimed, restMs: number): Promise<void> {
    const { clock, directory, store, breakers } = this.#options;
    const now = clock.now();
    const endpoint = directory.endpointOfLane(claimed.position.lane);
    const { attemptCount, budgetStart } = claimed.position;
    const waiting = attemptCount > budgetStart ? "retrying" : "queued";
    const isParked =
      endpoint !== undefined && (isClosed(endpoint) || breakers.gate(endpoint, now).kind === "closed");
    const transition = release(claimed.position, isParked ? "held" : waiting, now);
    if (!(await store.transition(transition))) return;
    this.#options.onDue(claimed.position.lane, restMs === 0 ? (transition.dueAt ?? now) : now + restMs);
  }
}
