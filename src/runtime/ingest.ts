/**
 * Inbound: judge one request to a source, then store it with everything that follows from it. Signatures are
 * checked on the raw bytes, and the raw bytes are stored. A refusal never waits for the store: it is kept as
 * a rejection on the side, bounded in rate per source, so that nobody can fill the disk or slow the answer
 * with refusals.
 */
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import { type Id, showId } from "../domain/id.ts";
import { type NewRejection, REJECTION_STATUS, type RejectionReason } from "../domain/rejection.ts";
import { Selection } from "../domain/selection.ts";
import { prepareVerifyAll, type Refusal, type Verifier } from "../domain/signature/index.ts";
import type { Source } from "../domain/source.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Intake } from "./intake.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { TokenBucket } from "./rate.ts";

export interface InboundRequest {
  readonly method: string;
  /** As received, path and query. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly remoteAddress: string | null;
}

export type IngestResult =
  | { readonly kind: "accepted"; readonly id: Id; readonly isDuplicate: boolean; readonly status: number }
  | {
      readonly kind: "refused";
      readonly reason: RejectionReason;
      readonly detail: string;
      readonly status: number;
    };

export interface IngestOptions {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly intake: Intake;
  readonly reject: (rejection: NewRejection) => Promise<void>;
  readonly nextId: () => Id;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Refusals kept per source: a burst that shows a misconfiguration in full, then a trickle. */
const REJECTION_RATE = { perSecond: 5, burst: 100 };
const REJECTED_BODY_BYTES_MAX = 16_384;

/** Never stored with an event: the sender's credentials. Compared in lower case. */
const CREDENTIALS = ["authorization", "proxy-authorization", "cookie", "x-api-key"] as const;

interface Prepared {
  readonly source: Source;
  readonly verify: Verifier;
  /** Lower-case names of headers that carry this source's token. */
  readonly tokenHeaders: readonly string[];
  readonly refusals: TokenBucket;
}

export class Ingest {
  readonly #options: IngestOptions;
  readonly #prepared = new WeakMap<Source, Prepared>();

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  /** The source of that name, or undefined after counting the miss. Does not tell whether it may be used. */
  source(name: string): Source | undefined {
    const source = this.#options.directory.sourceNamed(name);
    if (!source) this.#options.metrics.unknownSourceCount += 1;
    return source;
  }

  /** Resolves after the commit. Rejects with AppError when the store has no room or cannot be written. */
  async receive(source: Source, request: InboundRequest): Promise<IngestResult> {
    const prepared = this.#prepare(source);
    const refusal = this.#check(prepared, request);
    if (refusal !== null) return this.refuse(source, refusal, request);
    const { clock, intake, metrics } = this.#options;
    const receivedAt = clock.now();
    const selection = new Selection(request);
    const key = source.dedupe === null ? null : selection.dedupeKey(source.dedupe);
    try {
      const accepted = await intake.accept(
        {
          project: source.project,
          sourceSeq: source.seq,
          type: source.eventType === null ? null : selection.read(source.eventType),
          tenant: null,
          receivedAt,
          remoteAddress: request.remoteAddress,
          payload: { headers: storedHeaders(request.headers, prepared.tokenHeaders), body: request.body },
          body: request.body,
          dedupe:
            key === null || source.dedupe === null
              ? null
              : { key, expiresAt: receivedAt + source.dedupe.windowMs },
        },
        this.#targets(source),
      );
      metrics.countAccepted(source.name, accepted.isDuplicate);
      return {
        kind: "accepted",
        id: accepted.id,
        isDuplicate: accepted.isDuplicate,
        status: source.respondStatus,
      };
    } catch (error) {
      if (error instanceof AppError) metrics.refusedForLoadCount += 1;
      throw error;
    }
  }

  /** Keeps a refusal (if the source's allowance lets it) and answers with it; never waits for the store. */
  refuse(
    source: Source,
    refusal: Pick<Refusal, "reason" | "detail" | "diagnosis">,
    request: Omit<InboundRequest, "body"> & { readonly body: Uint8Array | null },
  ): IngestResult {
    const { reason, detail } = refusal;
    const { metrics, log, clock } = this.#options;
    metrics.countRejected(source.name, reason);
    const prepared = this.#prepare(source);
    if (prepared.refusals.available(clock.now()) >= 1) {
      prepared.refusals.take(1);
      this.#keep(prepared, refusal, request);
    }
    log.debug("event.rejected", { source: source.name, reason });
    return { kind: "refused", reason, detail, status: REJECTION_STATUS[reason] };
  }

  #keep(
    { source, tokenHeaders }: Prepared,
    refusal: Pick<Refusal, "reason" | "detail" | "diagnosis">,
    request: Omit<InboundRequest, "body"> & { readonly body: Uint8Array | null },
  ): void {
    const { reject, nextId, clock, log } = this.#options;
    const body = request.body ?? new Uint8Array(0);
    const id = nextId();
    reject({
      id,
      project: source.project,
      sourceSeq: source.seq,
      reason: refusal.reason,
      detail: refusal.detail,
      diagnosis: refusal.diagnosis === undefined ? null : JSON.stringify(refusal.diagnosis),
      receivedAt: clock.now(),
      method: request.method,
      remoteAddress: request.remoteAddress,
      headers: JSON.stringify(storedHeaders(request.headers, tokenHeaders)),
      body: body.subarray(0, REJECTED_BODY_BYTES_MAX),
      isBodyCut: body.byteLength > REJECTED_BODY_BYTES_MAX,
    }).catch((error: unknown) => {
      log.debug("rejection.not_kept", { rejection: showId("rejection", id), error: String(error) });
    });
  }

  #check({ source, verify }: Prepared, request: InboundRequest): Refusal | null {
    if (!source.methods.includes(request.method)) {
      return {
        ok: false,
        reason: "invalid_method",
        detail: `this source takes ${source.methods.join(", ")}`,
      };
    }
    if (source.pausedAt !== null) return { ok: false, reason: "paused", detail: "this source is paused" };
    const verdict = verify(request, this.#options.clock.wallNow());
    return verdict.ok ? null : verdict;
  }

  #targets(source: Source): Endpoint[] {
    const targets: Endpoint[] = [];
    for (const name of source.to) {
      const endpoint = this.#options.directory.endpointNamed(source.project, name);
      if (endpoint) targets.push(endpoint);
    }
    return targets;
  }

  #prepare(source: Source): Prepared {
    const known = this.#prepared.get(source);
    if (known) return known;
    const tokenHeaders: string[] = [];
    for (const spec of source.verify) {
      if (spec.scheme === "token" && spec.header !== undefined) tokenHeaders.push(spec.header.toLowerCase());
    }
    const made: Prepared = {
      source,
      verify: prepareVerifyAll(source.verify),
      tokenHeaders,
      refusals: new TokenBucket(REJECTION_RATE, this.#options.clock.now()),
    };
    this.#prepared.set(source, made);
    return made;
  }
}

function storedHeaders(headers: Headers, tokenHeaders: readonly string[]): Record<string, string> {
  const stored = headers.toJSON() as Record<string, string>;
  for (const name of CREDENTIALS) if (name in stored) delete stored[name];
  for (const name of tokenHeaders) if (name in stored) delete stored[name];
  return stored;
}
