/**
 * Inbound: judge one request to a source, then store it with everything that follows from it. Signatures are
 * checked on the raw bytes, and the raw bytes are stored. A refusal never waits for the store: it is kept as
 * a rejection on the side, bounded in rate per source, so that nobody can fill the disk or slow the answer
 * with refusals.
 */
import type { Challenge, ChallengeAnswer } from "../domain/challenge.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { FilterSubject } from "../domain/filter.ts";
import type { Id } from "../domain/id.ts";
import { ORDERING_KEY_MAX } from "../domain/pacing.ts";
import { type Admission, REJECTION_STATUS, type RejectionReason } from "../domain/rejection.ts";
import { Selection } from "../domain/selection.ts";
import type { Refusal } from "../domain/signature/index.ts";
import type { Source } from "../domain/source.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Intake, Routing } from "./intake.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { type InboundRequest, type PreparedSource, prepareSource, storedHeaders } from "./prepared-source.ts";
import { subscribersOf } from "./publisher.ts";
import type { Refusals, Refused, RefusedRequest } from "./refusals.ts";

export type { InboundRequest };

export type IngestResult =
  | {
      readonly kind: "accepted";
      readonly id: Id;
      readonly isDuplicate: boolean;
      readonly type: string | null;
      readonly status: number;
    }
  | {
      readonly kind: "refused";
      readonly reason: RejectionReason;
      readonly detail: string;
      readonly status: number;
      /** When it is worth to try again; null: not by waiting. */
      readonly retryAfterMs: number | null;
    }
  /** A challenge of the provider: nothing was stored, and this is the whole answer. */
  | { readonly kind: "challenged"; readonly answer: ChallengeAnswer };

type Objection = Pick<Refusal, "reason" | "detail" | "diagnosis"> & { readonly retryAfterMs?: number };

interface Routed {
  readonly routing: Routing;
  /** Whose event it is; null: nobody's in particular. */
  readonly tenant: string | null;
}

export interface IngestOptions {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly intake: Intake;
  readonly refusals: Refusals;
  readonly log: Log;
  readonly metrics: Metrics;
  /** A source was resumed while something was on its way to be held for it. */
  readonly onSourceResumed: () => void;
}

/** Providers come back on their own schedule; this keeps the eager ones from hammering a paused source. */
const PAUSED_RETRY_AFTER_MS = 60_000;

export class Ingest {
  readonly #options: IngestOptions;
  /** By id: one entry per source, with the newest definition that a request has met. */
  readonly #prepared = new Map<Id, PreparedSource>();

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  /**
   * The source of that name, or undefined after counting the miss. Does not tell whether it may be used. One
   * with a secret of its own is reached through the door that made it, never by its name.
   */
  source(name: string): Source | undefined {
    const source = this.#options.directory.sourceNamed(name);
    if (source && source.secret === undefined) return source;
    this.#options.metrics.unknownSourceCount += 1;
    return undefined;
  }

  /** Resolves after the commit. Rejects with AppError when the store has no room or cannot be written. */
  receive(source: Source, request: InboundRequest): Promise<IngestResult> {
    const answer = this.#decide(source, request);
    if (answer !== null) return Promise.resolve(answer);
    return this.accept(source, request, { receivedAt: this.#options.clock.now() });
  }

  /** Returns the answer to a request that becomes no event; null for one that is to be accepted. */
  #decide(source: Source, request: InboundRequest): IngestResult | null {
    const { clock } = this.#options;
    const prepared = this.#prepare(source);
    const now = clock.wallNow();
    const hasChallenges = prepared.challenges.length > 0;
    const challenge = hasChallenges ? answerTo(request, prepared, { isVerified: false, now }) : null;
    const objection =
      this.judgeHead(source, request, challenge !== null) ??
      judgeAddress(prepared, request.remoteAddress) ??
      takeToken(prepared, clock);
    if (objection !== null) return this.refuse(source, objection, request);
    if (challenge !== null) return this.#answerChallenge(challenge, source, request);
    const verdict = prepared.verify(request, now);
    if (!verdict.ok) return this.#refuse(prepared, verdict, { request, verifiedAt: now });
    const answer = hasChallenges ? answerTo(request, prepared, { isVerified: true, now }) : null;
    return answer === null ? null : this.#answerChallenge(answer, source, request);
  }

  /**
   * Returns why a request that was received `at` this wall time may not come in; null when it may. Its rate
   * is not asked.
   */
  judge(source: Source, request: InboundRequest, at: number): Refusal | null {
    const prepared = this.#prepare(source);
    const objection = this.judgeHead(source, request) ?? judgeAddress(prepared, request.remoteAddress);
    if (objection !== null) return { ok: false, ...objection };
    const verdict = prepared.verify(request, at);
    return verdict.ok ? null : verdict;
  }

  /** Returns why a request may not come in whatever its body; null when that depends on it. */
  judgeHead(source: Source, { method }: { readonly method: string }, isChallenge = false): Objection | null {
    if (!isChallenge && !source.methods.includes(method)) {
      return { reason: "invalid_method", detail: `this source takes ${source.methods.join(", ")}` };
    }
    if (source.pausedAt !== null && source.whilePaused === "refuse") {
      const retryAfterMs = PAUSED_RETRY_AFTER_MS;
      return { reason: "paused", detail: "this source is paused", retryAfterMs };
    }
    return null;
  }

  /** Stores a request that was judged before, with everything that follows; rejects as receive(). */
  async accept(
    source: Source,
    request: InboundRequest,
    { receivedAt, admission }: { readonly receivedAt: number; readonly admission?: Admission },
  ): Promise<Extract<IngestResult, { kind: "accepted" }>> {
    const prepared = this.#prepare(source);
    const { intake, metrics } = this.#options;
    const selection = new Selection(request);
    const type = source.eventType === null ? null : selection.read(source.eventType);
    const orderingKey = source.orderingKey ? selection.read(source.orderingKey) : null;
    const key = source.dedupe === null ? null : selection.dedupeKey(source.dedupe);
    const { routing, tenant } = this.#route(prepared, { type, values: selection });
    try {
      const accepted = await intake.accept(
        {
          project: source.project,
          sourceSeq: source.seq,
          type,
          tenant,
          receivedAt,
          remoteAddress: request.remoteAddress,
          payload: { headers: storedHeaders(prepared, request.headers), body: request.body },
          body: request.body,
          dedupe:
            key === null || source.dedupe === null
              ? null
              : { key, expiresAt: receivedAt + source.dedupe.windowMs },
          orderingKey: orderingKey === null ? null : orderingKey.slice(0, ORDERING_KEY_MAX),
          ...(admission === undefined ? {} : { admission }),
        },
        routing,
      );
      if (routing.kind === "hold") this.#checkResumed(source);
      metrics.countAccepted(source.name, accepted.isDuplicate);
      return {
        kind: "accepted",
        id: accepted.id,
        isDuplicate: accepted.isDuplicate,
        type,
        status: source.respond.status,
      };
    } catch (error) {
      if (error instanceof AppError) metrics.refusedForLoadCount += 1;
      throw error;
    }
  }

  /** Keeps a refusal (if the source's allowance lets it) and answers with it; never waits for the store. */
  refuse(source: Source, objection: Objection, request: RefusedRequest): IngestResult {
    return this.#refuse(this.#prepare(source), objection, { request, verifiedAt: null });
  }

  #refuse(
    prepared: PreparedSource,
    objection: Objection,
    { request, verifiedAt }: Pick<Refused, "request" | "verifiedAt">,
  ): IngestResult {
    const { reason, detail, retryAfterMs = null } = objection;
    const { metrics, log, clock, refusals } = this.#options;
    const { name } = prepared.source;
    metrics.countRejected(name, reason);
    const receivedAt = clock.now();
    if (prepared.refusals.available(receivedAt) >= 1) {
      prepared.refusals.take(1);
      refusals.keep({ prepared, refusal: objection, request, receivedAt, verifiedAt });
    }
    log.debug("event.rejected", { source: name, reason });
    return { kind: "refused", reason, detail, status: REJECTION_STATUS[reason], retryAfterMs };
  }

  #answerChallenge(answer: ChallengeAnswer | Refusal, source: Source, request: InboundRequest): IngestResult {
    if (!answer.ok) return this.refuse(source, answer, request);
    this.#options.log.info("challenge.answered", { source: source.name });
    return { kind: "challenged", answer };
  }

  /** Every target and every matching subscription makes a delivery of its own, whoever else leads there. */
  #route({ source, targets }: PreparedSource, subject: FilterSubject): Routed {
    if (source.mode === "pull") return { routing: { kind: "pull", source }, tenant: null };
    const { directory } = this.#options;
    const { project } = source;
    const endpoints: Endpoint[] = [];
    let tenant: string | null = null;
    for (const { target, test } of targets) {
      if (test !== null && !test(subject)) continue;
      if (target.kind === "endpoint") {
        const endpoint = directory.endpointNamed(project, target.name);
        if (endpoint) endpoints.push(endpoint);
      } else {
        if (target.tenant !== "") tenant = target.tenant;
        endpoints.push(...subscribersOf(directory, { project, tenant: target.tenant, type: subject.type }));
      }
    }
    const isHeld = source.pausedAt !== null && source.whilePaused === "accept";
    return { routing: { kind: isHeld ? "hold" : "send", endpoints }, tenant };
  }

  /** The walk that released what was held may have passed before this event was there. */
  #checkResumed({ id }: Source): void {
    const { directory, onSourceResumed } = this.#options;
    if (directory.source(id)?.pausedAt === null) onSourceResumed();
  }

  #prepare(source: Source): PreparedSource {
    const known = this.#prepared.get(source.id);
    if (known?.source === source) return known;
    const made = prepareSource(source, known, this.#options.clock.now());
    this.#prepared.set(source.id, made);
    return made;
  }
}

function judgeAddress({ isAllowed }: PreparedSource, remoteAddress: string | null): Objection | null {
  if (isAllowed === null || isAllowed(remoteAddress)) return null;
  return { reason: "ip_not_allowed", detail: `this source takes nothing from ${remoteAddress ?? "nowhere"}` };
}

function takeToken({ rate, source }: PreparedSource, clock: Clock): Objection | null {
  if (rate === null) return null;
  const now = clock.now();
  if (rate.available(now) >= 1) {
    rate.take(1);
    return null;
  }
  const detail = `this source takes ${source.rate?.perSecond} requests per second`;
  return { reason: "rate_limited", detail, retryAfterMs: rate.nextAt(now) - now };
}

/**
 * Returns the answer to a challenge, or null for any other request. Those that are not signed come by a
 * method that the source need not take for anything else.
 */
function answerTo(
  request: InboundRequest,
  { challenges }: PreparedSource,
  { isVerified, now }: { readonly isVerified: boolean; readonly now: number },
): ReturnType<Challenge["answer"]> {
  for (const challenge of challenges) {
    if (challenge.isVerified !== isVerified || challenge.method !== request.method) continue;
    const answer = challenge.answer(request, now);
    if (answer !== null) return answer;
  }
  return null;
}
