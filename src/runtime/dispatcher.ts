/**
 * One attempt, from a leased delivery in a slot to a settled outcome: envelope -> sender -> interpreter -> settler.
 * The slot is given back when the answer is there; the settlement goes into the next commit. Nothing here knows a
 * protocol: the profile named by the delivery brings its own.
 *
 * While the store cannot be written no attempt is started: its outcome could not be kept, and the receiver would see
 * it again. Outcomes of attempts that were already out stay in the writer's line.
 */
import type { Answer, AttemptRecord, Outcome } from "../domain/attempt.ts";
import { release } from "../domain/delivery.ts";
import { type Endpoint, isTrusted } from "../domain/endpoint.ts";
import type { Interpretation, OutboundRequest, Profile } from "../domain/strategy.ts";
import type { Breakers } from "./breakers.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Hold } from "./lane.ts";
import type { Log } from "./log.ts";
import type { Claimed, TransitionStore } from "./ports.ts";
import type { Sender, SendResult } from "./sender.ts";
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
  readonly isStoreHealthy: () => boolean;
  readonly release: (hold: Hold, isUsed: boolean) => void;
  /** An untouched delivery is back in the queue, due then. */
  readonly onDue: (lane: number, dueAt: number) => void;
}

/** How long a delivery rests that was given back because the store was down. */
const GIVEN_BACK_MS = 1_000;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #running = new Set<Promise<void>>();
  #isStopping = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** Takes over a leased delivery and its slot. Never throws: whatever goes wrong ends as an outcome or a release. */
  start(claimed: Claimed, hold: Hold): void {
    this.#track(claimed, this.#attempt(claimed, hold));
  }

  /** Puts a leased delivery back that its lane could not send. */
  giveBack(claimed: Claimed): void {
    this.#track(claimed, this.#putBack(claimed, 0));
  }

  /** Waits up to `limitMs` for attempts in flight, then aborts them; an aborted attempt goes back to the queue. */
  async stop(limitMs: number): Promise<void> {
    this.#isStopping = true;
    const timer = this.#options.clock.setWallTimer(limitMs, () => this.abort());
    await this.settled();
    timer.cancel();
  }

  /** Aborts what is in flight at once. */
  abort(): void {
    this.#options.sender.abortAll();
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
    if (endpoint.pausedAt !== null || endpoint.disabledAt !== null) return this.#giveBack(claimed, hold, 0);
    const startedAt = clock.now();
    const startedMs = clock.monotonicMs();
    if (!breakers.admit(endpoint, startedAt)) {
      if (profile.pressure.onOpen === "park") return this.#giveBack(claimed, hold, 0);
      const answer: Answer = { kind: "error", failure: "transport", text: "the circuit breaker is open" };
      return this.#finish(
        { claimed, hold, endpoint, profile, startedAt, durationMs: 0, isSent: false },
        answer,
      );
    }
    const result = await this.#send(claimed, endpoint, profile);
    if (result.kind === "error" && result.reason === "aborted") {
      breakers.abandon(endpoint, startedAt);
      return this.#giveBack(claimed, hold, 0);
    }
    const durationMs = Math.round(clock.monotonicMs() - startedMs);
    await this.#finish(
      { claimed, hold, endpoint, profile, startedAt, durationMs, isSent: true },
      toAnswer(result),
    );
  }

  async #send(claimed: Claimed, endpoint: Endpoint, profile: Profile): Promise<SendResult> {
    const { clock, sender } = this.#options;
    let request: OutboundRequest;
    try {
      request = profile.envelope({
        delivery: claimed.facts,
        endpoint,
        payload: claimed.payload,
        attempt: claimed.position.attemptCount + 1,
        now: clock.now(),
        wallNow: clock.wallNow(),
      });
    } catch (error) {
      // A header value that HTTP cannot carry, say: this delivery fails like any other, with the reason shown.
      const text = `the request could not be made: ${error instanceof Error ? error.message : String(error)}`;
      return { kind: "error", reason: "protocol", text, durationMs: 0, address: null };
    }
    return sender.send({
      ...request,
      timeoutMs: endpoint.timeoutMs,
      captureBytesMax: profile.interpreter.captureBytesMax,
      isTrusted: isTrusted(endpoint),
    });
  }

  async #finish(sent: Sent, answer: Answer): Promise<void> {
    const { claimed, hold, endpoint, isSent } = sent;
    const interpretation = this.#interpret(sent, answer);
    const { outcome, followUps } = interpretation;
    const settlement = this.#options.settler.settle({
      delivery: claimed,
      endpoint,
      outcome,
      attempt: record(sent, answer, interpretation),
      followUps: outcome.kind === "failed" ? [] : followUps,
      countsForBreaker: isSent,
    });
    // The slot is free before the commit: waiting for it would cost every lane a commit per slot.
    this.#options.release(hold, true);
    await settlement;
  }

  #interpret(sent: Sent, answer: Answer): Interpretation {
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
    const { clock, directory, store } = this.#options;
    const now = clock.now();
    const endpoint = directory.endpointOfLane(claimed.position.lane);
    const isParked = endpoint !== undefined && (endpoint.pausedAt !== null || endpoint.disabledAt !== null);
    const transition = release(claimed.position, isParked ? "held" : "queued", now);
    if (!(await store.transition(transition))) return;
    this.#options.onDue(claimed.position.lane, restMs === 0 ? (transition.dueAt ?? now) : now + restMs);
  }
}

interface Sent {
  readonly claimed: Claimed;
  readonly hold: Hold;
  readonly endpoint: Endpoint;
  readonly profile: Profile;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly isSent: boolean;
}

function toAnswer(result: SendResult): Answer {
  if (result.kind === "response") return result;
  const failure =
    result.reason === "timeout" || result.reason === "blocked" ? result.reason : ("transport" as const);
  return { kind: "error", failure, text: result.text };
}

function record(sent: Sent, answer: Answer, { outcome, detail }: Interpretation): AttemptRecord {
  const { claimed, startedAt, durationMs, profile } = sent;
  const body = answer.kind === "response" && answer.body.byteLength > 0 ? answer.body : null;
  return {
    number: claimed.position.attemptCount + 1,
    startedAt,
    durationMs,
    outcome: outcome.kind,
    status: answer.kind === "response" ? answer.status : null,
    failure: outcome.kind === "failed" ? outcome.failure : null,
    error: outcome.kind === "failed" ? outcome.text : null,
    excerpt: body === null ? null : body.subarray(0, profile.interpreter.excerptBytesMax),
    detail,
  };
}
