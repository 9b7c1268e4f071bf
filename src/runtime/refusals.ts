/**
 * Keeps refused requests as rejections, each with its probable cause. All of it happens after the answer, and
 * a slice at a time: an explanation can cost many verifications, and nobody may slow down others by being
 * refused. Bounded: what comes while too much waits is kept without an explanation.
 */
import { diagnose } from "../domain/diagnosis/index.ts";
import { type Id, showId } from "../domain/id.ts";
import type { NewRejection } from "../domain/rejection.ts";
import type { Refusal } from "../domain/signature/index.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { type InboundRequest, type PreparedSource, storedHeaders, storedUrl } from "./prepared-source.ts";

/** A request whose body may be missing: refused before it was read, or too large to be. */
export type RefusedRequest = Omit<InboundRequest, "body"> & { readonly body: Uint8Array | null };

export interface Refused {
  readonly prepared: PreparedSource;
  readonly refusal: Pick<Refusal, "reason" | "detail" | "diagnosis">;
  readonly request: RefusedRequest;
  readonly receivedAt: number;
  /** The wall time at which the source's rules refused it; null when something else did. */
  readonly verifiedAt: number | null;
}

export interface RefusalsOptions {
  readonly clock: Clock;
  readonly reject: (rejection: NewRejection) => Promise<void>;
  readonly nextId: () => Id;
  readonly log: Log;
  /** Runs `fire` when the current turn of the event loop is over, behind the answers that it has ready. */
  readonly defer: (fire: () => void) => void;
}

/** Enough to show a misconfiguration in full; its beginning tells what a large body is. */
const BODY_BYTES_MAX = 16_384;
/** What may wait for its explanation, over all sources. */
const WAITING_MAX = 256;
const WAITING_BYTES_MAX = 16 * 1_048_576;
/** What one turn of the event loop may spend. One explanation may take longer, then it is the only one. */
const SLICE_MS = 5;

const EMPTY = new Uint8Array(0);

export class Refusals {
  readonly #options: RefusalsOptions;
  #waiting: Refused[] = [];
  #waitingBytes = 0;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  keep(refused: Refused): void {
    const bytes = sizeOf(refused);
    if (this.#waiting.length >= WAITING_MAX || this.#waitingBytes + bytes > WAITING_BYTES_MAX) {
      this.#store(refused, null);
      return;
    }
    this.#waitingBytes += bytes;
    this.#waiting.push(refused);
    if (this.#waiting.length === 1) this.#options.defer(() => this.#work());
  }

  #work(): void {
    const { clock, defer } = this.#options;
    const endMs = clock.monotonicMs() + SLICE_MS;
    let count = 0;
    do {
      const refused = this.#waiting[count] as Refused;
      this.#waitingBytes -= sizeOf(refused);
      this.#store(refused, this.#explain(refused));
      count += 1;
    } while (count < this.#waiting.length && clock.monotonicMs() < endMs);
    this.#waiting = this.#waiting.slice(count);
    if (this.#waiting.length > 0) defer(() => this.#work());
  }

  #explain({ prepared, refusal, request, verifiedAt: now }: Refused): object | null {
    const { body } = request;
    if (now === null || body === null) return null;
    try {
      return diagnose({ refusal, verify: prepared.source.verify, request: { ...request, body }, now });
    } catch (error) {
      this.#options.log.error("diagnosis.failed", { source: prepared.source.name, error: String(error) });
      return null;
    }
  }

  #store({ prepared, refusal, request, receivedAt }: Refused, finding: object | null): void {
    const { reject, nextId, log } = this.#options;
    const { source } = prepared;
    const body = request.body ?? EMPTY;
    const diagnosis = { ...refusal.diagnosis, ...finding };
    const id = nextId();
    reject({
      id,
      project: source.project,
      sourceSeq: source.seq,
      reason: refusal.reason,
      detail: refusal.detail,
      diagnosis: Object.keys(diagnosis).length === 0 ? null : JSON.stringify(diagnosis),
      receivedAt,
      method: request.method,
      url: storedUrl(prepared, request.url),
      remoteAddress: request.remoteAddress,
      headers: JSON.stringify(storedHeaders(prepared, request.headers)),
      body: body.subarray(0, BODY_BYTES_MAX),
      isBodyCut: request.body === null || body.byteLength > BODY_BYTES_MAX,
    }).catch((error: unknown) => {
      log.debug("rejection.not_kept", { rejection: showId("rejection", id), error: String(error) });
    });
  }
}

function sizeOf({ request }: Refused): number {
  return request.body?.byteLength ?? 0;
}
