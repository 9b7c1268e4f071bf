/**
 * Reports of receivers on what they took: issues the URLs that go out with an attempt, and judges what comes
 * back to them. The token alone tells a forgery (401) from what is gone (404), overtaken (409) or late (410);
 * the delivery's own state makes every token good for one decision.
 *
 * A report may come before the answer that promises it: the dispatcher knows the attempts that are out. It
 * never waits for that answer, which would deadlock a receiver that reports first and answers afterwards. An
 * acknowledgement is stored at once; a refusal is held in memory, and a crash sends the delivery again.
 */
import { type AckClaim, type AckUrls, issueAck, readAck, reportText } from "../domain/acknowledgement.ts";
import type { AckReport, AttemptRecord } from "../domain/attempt.ts";
import type { Id } from "../domain/id.ts";
import type { DeliveryDetail, Lookup } from "../domain/reads.ts";
import type { Profile, ReportAnswer, Reported } from "../domain/strategy.ts";
import { createTokens, type Tokens } from "../domain/token.ts";
import type { Clock } from "./clock.ts";
import type { LocateStore } from "./ports.ts";

export interface AcknowledgementsOptions {
  readonly clock: Clock;
  readonly store: LocateStore & {
    readonly tokenKey: Uint8Array;
    getDelivery(lookup: Lookup): Promise<DeliveryDetail | null>;
  };
  /** Without a trailing slash; receivers report below it. */
  readonly publicUrl: string;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly acknowledge: (id: Id, report: AckReport) => Promise<boolean>;
}

/** What became of a report, for a door to put into its product's words. */
export type ReportResult =
  /** Not a token of ours. */
  | { readonly kind: "invalid" }
  /** The delivery is no longer there. */
  | { readonly kind: "unknown" }
  | ReportedOn;

/**
 * `applied`: the report decides the attempt. `repeated`: it had already decided it. `resolved`: the attempt
 * ended otherwise. `superseded`: a later attempt has begun. `expired`: too late. `state` is the delivery's
 * when the report was judged.
 */
export interface ReportedOn extends Reported {
  /** Names the strategies of the delivery, and so whose words the answer is in. */
  readonly profile: string;
}

const PATH = "/cb/";

export class Acknowledgements {
  readonly #options: AcknowledgementsOptions;
  readonly #tokens: Tokens;

  constructor(options: AcknowledgementsOptions) {
    this.#options = options;
    this.#tokens = createTokens(options.store.tokenKey);
  }

  /** The two URLs of one attempt, good until `expiresAt`. */
  urls(deliveryId: Id, attempt: number, expiresAt: number): AckUrls {
    const urlOf = (isAck: boolean) =>
      this.#options.publicUrl + PATH + issueAck(this.#tokens, { deliveryId, attempt, isAck, expiresAt });
    return { ack: urlOf(true), nack: urlOf(false) };
  }

  /** The words of the product that a delivery belongs to; null: ours. */
  answerOf({ profile }: ReportedOn): ReportAnswer | null {
    return this.#options.profiles.get(profile)?.reportAnswer ?? null;
  }

  /** Judges and applies a report. `path` is the whole path of the URL. Resolves after it is stored. */
  async report(path: string, body: Uint8Array): Promise<ReportResult> {
    const claim = path.startsWith(PATH) ? readAck(this.#tokens, path.slice(PATH.length)) : null;
    if (claim === null) return { kind: "invalid" };
    const { store, acknowledge } = this.#options;
    const { deliveryId, attempt, isAck } = claim;
    if ((await store.deliveryPosition(deliveryId)) === null) return { kind: "unknown" };
    const text = isAck ? null : reportText(body);
    const isApplied = await acknowledge(deliveryId, { attempt, isAck, text });
    const located = await store.deliveryPosition(deliveryId);
    if (located === null) return { kind: "unknown" };
    const { position, profile, facts } = located;
    const reported = { deliveryId, attempt, isAck, profile, state: position.state };
    if (isApplied) return { kind: "applied", ...reported };
    const isOvertaken =
      position.attemptCount > attempt || (position.attemptCount === attempt && position.state === "sending");
    if (isOvertaken) return { kind: "superseded", ...reported };
    const detail = await store.getDelivery({ project: facts.project, id: deliveryId });
    return { kind: this.#whyNot(claim, detail), ...reported };
  }

  #whyNot(claim: AckClaim, detail: DeliveryDetail | null): "repeated" | "resolved" | "expired" {
    const ended = detail?.attempts.find(({ number }) => number === claim.attempt);
    if (ended !== undefined && isDecidedBy(claim, ended)) return "repeated";
    if (ended?.failure === "deadline" || claim.expiresAt <= this.#options.clock.now()) return "expired";
    return ended?.outcome === "awaiting" && detail?.state === "awaiting" ? "expired" : "resolved";
  }
}

/** Whether the attempt ended as the report would have ended it. */
function isDecidedBy({ isAck }: AckClaim, { outcome, failure }: AttemptRecord): boolean {
  return isAck ? outcome === "succeeded" : failure === "nack";
}
