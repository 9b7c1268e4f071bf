/**
 * Lets a refused request in after all: the operator has put the configuration right, or takes the
 * responsibility. What was stored is judged again under today's configuration of its source, at the time at
 * which it was received, and goes through the same intake as any request. The rejection remembers the event,
 * in the transaction that makes it, so a rejection becomes at most one event.
 *
 * Senders' credentials are never stored. A source that checks one can therefore not judge again: only force
 * helps there.
 */
import { AppError } from "../domain/errors.ts";
import { type Id, showId } from "../domain/id.ts";
import type { Lookup, RejectionDetail } from "../domain/reads.ts";
import type { VerifySpec } from "../domain/signature/index.ts";
import type { Source } from "../domain/source.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { InboundRequest, Ingest } from "./ingest.ts";
import type { Log } from "./log.ts";

export interface AdmitOptions {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly ingest: Ingest;
  readonly store: { getRejection(lookup: Lookup): Promise<RejectionDetail | null> };
  readonly log: Log;
}

export interface AdmitInput extends Lookup {
  /** Let it in although today's configuration refuses it, or cannot tell. */
  readonly isForced: boolean;
}

export interface Admitted {
  readonly eventId: Id;
  /** It is known already: an event with its dedupe key, or the rejection was admitted before. */
  readonly isDuplicate: boolean;
  /** Its admission went against today's verdict. */
  readonly isForced: boolean;
}

/**
 * Resolves after the commit. Rejects with AppError: not_found, gone (the source, or a part of the body),
 * invalid_state (it would be refused today too; details say why), and as Ingest.receive().
 */
export type Admit = (input: AdmitInput) => Promise<Admitted>;

/** Schemes whose proof is a credential itself. */
const CREDENTIAL_SCHEMES: ReadonlySet<VerifySpec["scheme"]> = new Set(["token", "basic", "gitlab"]);

export function createAdmit(options: AdmitOptions): Admit {
  const { clock, directory, ingest, store, log } = options;
  return async ({ project, id, isForced }) => {
    const rejection = await store.getRejection({ project, id });
    if (rejection === null) throw new AppError("not_found", "there is no such rejection in this project");
    if (rejection.admission !== null) return { ...rejection.admission, isDuplicate: true };
    const source = directory.sourceOfSeq(rejection.sourceSeq);
    if (!source || source.deletedAt !== null) {
      throw new AppError("gone", "the source of this rejection is no longer in service");
    }
    if (rejection.isBodyCut) {
      throw new AppError(
        "gone",
        "only the beginning of the body was kept, so there is no whole request to admit",
      );
    }
    const request = requestOf(rejection);
    const objection = objectionTo(ingest, source, { request, receivedAt: rejection.receivedAt });
    if (objection !== null && !isForced) throw objection;
    const admission = { rejectionId: id, at: clock.now(), isForced: objection !== null };
    const result = await ingest.accept(source, request, { receivedAt: rejection.receivedAt, admission });
    log.info("rejection.admitted", {
      rejection: showId("rejection", id),
      event: showId("event", result.id),
      isForced: admission.isForced,
    });
    return { eventId: result.id, isDuplicate: result.isDuplicate, isForced: admission.isForced };
  };
}

function requestOf({ method, url, headers, body, remoteAddress }: RejectionDetail): InboundRequest {
  return { method, url, headers: new Headers(headers), body, remoteAddress };
}

interface Stored {
  readonly request: InboundRequest;
  readonly receivedAt: number;
}

/** Returns the error to answer with when nobody insists; null when the request may come in. */
function objectionTo(ingest: Ingest, source: Source, { request, receivedAt }: Stored): AppError | null {
  const unverifiable = source.verify.find(({ scheme }) => CREDENTIAL_SCHEMES.has(scheme));
  if (unverifiable) {
    const { scheme } = unverifiable;
    return new AppError(
      "invalid_state",
      `the source checks a credential (${scheme}), and credentials are not stored, so this request cannot ` +
        "be verified again; force admits it as it is",
      { details: { reason: "unverifiable", scheme } },
    );
  }
  const refusal = ingest.judge(source, request, receivedAt);
  if (refusal === null) return null;
  const { reason, detail, diagnosis = null } = refusal;
  return new AppError("invalid_state", `today's configuration refuses it too: ${detail}`, {
    details: { reason, detail, diagnosis },
  });
}
